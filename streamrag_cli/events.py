"""What the pipelines say while they run.

An answer: `Status`, `Sources`, `Status`, `Token`..., `Citations`, and exactly one `Done` or `Error`, always
last; a `Notice` may come anywhere before that. `tests/answer/test_pipeline.py` holds the pipeline to it.

An ingest: `IngestStarted`, then `DocumentSeen`, `FileProgress` and `Notice` in any number, and exactly one
`IngestDone` or `Error`, always last. A document is reported once it is safe in the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias, get_args

from streamrag_cli.errors import StreamragError
from streamrag_cli.model import IF_SET, PRIVATE, ROUNDED_UP, Citation, Source, Timings, Usage, shown
from streamrag_cli.text import sanitise_line


class Event:
    """What all events have in common. `kind` is their `type` in JSON; one that `is_own_key` has `"KIND": true` as well.

    A new event is a class here, a part of `AskEvent` or `IngestEvent`, and a row in `docs/events.md`. `codec.py` does
    the rest.
    """

    __slots__ = ()
    kind: ClassVar[str]
    is_own_key: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Event):
    """What is about to be done. `detail` says it to a person, and is not part of the public format."""

    kind = "status"
    status: Literal["retrieving", "generating", "retrying"]
    detail: str = field(default="", metadata=shown(PRIVATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources(Event):
    kind = "sources"
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Event):
    """One piece of answer text. Concatenated in order, they are the answer."""

    kind = "token"
    text: str = field(metadata=shown(key="token"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Citations(Event):
    """Which markers in the answer point to which source; `unknown` are markers that point nowhere."""

    kind = "citations"
    citations: tuple[Citation, ...]
    unknown: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something the reader should know; `code` is a stable word for programs."""

    kind = "notice"
    message: str
    code: str


THINKING_SHOWN: Final = Notice(
    message="what was shown so far is the model's thinking, not its answer; the answer begins here",
    code="thinking_shown",
)
"""Tokens before this are not part of the answer: the server sent thinking without a mark at its beginning."""


QUOTES_ONLY: Final = Notice(message="no model is connected, so these are quotes from the documents", code="quotes_only")
"""Without how to connect one, which is for whoever runs the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Event):
    """The answer is complete. `finish_reason` is the model server's word, or `stop` for quotes."""

    kind = "done"
    is_own_key = True
    finish_reason: str
    model: str
    usage: Usage | None
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Event):
    """The stream ends here, unfinished. `exit_code` is the process's, not part of the public format.

    `retry_after_s` is how long the model's server asks to wait, if it does.
    """

    kind = "error"
    message: str = field(metadata=shown(key="error"))
    code: str
    hint: str
    retryable: bool
    exit_code: int = field(metadata=shown(PRIVATE))
    retry_after_s: float | None = field(default=None, metadata=shown(IF_SET, ROUNDED_UP))


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestStarted(Event):
    """Files found; nothing is read yet. `documents` is how many will be looked at."""

    kind = "started"
    documents: int
    collection: str
    embedding: str


DocumentAction: TypeAlias = Literal["added", "changed", "unchanged", "deleted", "skipped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSeen(Event):
    """What became of one file. `reason` says why it was skipped or failed, `code` in a word why it was skipped."""

    kind = "document"
    source: str
    action: DocumentAction
    chunks: int = 0
    reason: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress(Event):
    """How far a file is that takes long: about `embedded` of its `chunks`, which are 0 as long as it is being read."""

    kind = "progress"
    source: str
    embedded: int
    chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestDone(Event):
    """The store is in line with the files, but for those that failed.

    `counts` has one entry for each action; `chunks` is the number in the collection now. `skipped` counts what was
    left out by its code, `unsupported` those of an unsupported format by their suffix.
    """

    kind = "done"
    is_own_key = True
    counts: Mapping[DocumentAction, int]
    chunks_written: int
    chunks: int
    elapsed_ms: float
    dry_run: bool
    skipped: Mapping[str, int] = field(default_factory=dict)
    unsupported: Mapping[str, int] = field(default_factory=dict)


AskEvent: TypeAlias = Status | Sources | Token | Citations | Notice | Done | Error
IngestEvent: TypeAlias = IngestStarted | DocumentSeen | FileProgress | Notice | IngestDone | Error
EVENTS: Final[tuple[type[Event], ...]] = tuple(dict.fromkeys(get_args(AskEvent) + get_args(IngestEvent)))


def as_event(error: StreamragError) -> Error:
    """The terminal event of a stream that an expected failure ended."""
    return Error(
        message=sanitise_line(error.message),
        code=error.code,
        hint=sanitise_line(error.hint),
        retryable=error.retryable,
        exit_code=error.exit_code,
        retry_after_s=error.retry_after_s,
    )
