"""Events that the pipelines emit.

An answer: `Status`, `Sources`, `Status`, `Token`..., `Citations`, and exactly one `Done` or `Error`, always
last. In a conversation, `QuestionAsked` comes before them; if the model rewrites the question, a `Status` precedes it.
A `Notice` may come anywhere before the last event.
`tests/answer/test_pipeline.py` and `test_conversation.py` check this order.

An ingest: `IngestStarted`, then any number of `DocumentSeen`, `FileProgress` and `Notice`, and exactly one
`IngestDone` or `Error`, always last. A document is reported after it has been written to the store.

While a folder is watched, the first sync is like an ingest, but ends with `BatchDone`. `Watching` follows, and then the
changed documents of each batch and its `BatchDone`. `tests/watch/test_watcher.py` checks this order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias, get_args

from streamrag_cli.errors import NothingRelevantError, StreamragError
from streamrag_cli.model import IF_SET, PRIVATE, ROUNDED_UP, Citation, Source, Timings, Usage, shown
from streamrag_cli.text import sanitise_line


class Event:
    """Base class of events. `kind` is the `type` in JSON; with `is_own_key` the JSON also has `"KIND": true`.

    To add an event, add a class here, include it in `AskEvent` or `IngestEvent`, and document it in `docs/events.md`.
    `codec.py` needs no change.
    """

    __slots__ = ()
    kind: ClassVar[str]
    is_own_key: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Event):
    """The step that begins now. `detail` describes it for users and is not part of the public format."""

    kind = "status"
    status: Literal["retrieving", "generating", "retrying"]
    detail: str = field(default="", metadata=shown(PRIVATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAsked(Event):
    """The question of this turn of a conversation, and the texts that are searched for.

    `n` is the number of the turn, counted from 1. `thread` is the id of the conversation, or "". `searched_for` has the
    question, or the question as the model rewrote it, followed by the earlier questions that are searched with it.
    """

    kind = "question"
    n: int
    thread: str
    text: str
    searched_for: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources(Event):
    kind = "sources"
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Event):
    """A piece of the answer. The answer is all pieces concatenated, without those before `THINKING_SHOWN`."""

    kind = "token"
    text: str = field(metadata=shown(key="token"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Citations(Event):
    """The citations in the answer.

    `unknown` are cited numbers that match no source. `unsupported` are the numbers of cited sources that do not seem to
    support a sentence that cites them.
    """

    kind = "citations"
    citations: tuple[Citation, ...]
    unknown: tuple[int, ...]
    unsupported: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something the user should know; `code` is a stable identifier for programs.

    If it is about files of sources, `paths` are their absolute paths, and `collection` is theirs if several were
    searched.
    """

    kind = "notice"
    message: str
    code: str
    paths: tuple[str, ...] = field(default=(), metadata=shown(PRIVATE))
    collection: str | None = field(default=None, metadata=shown(PRIVATE))


THINKING_SHOWN: Final = Notice(
    message="the text so far was the model's thinking, not its answer; the answer begins here",
    code="thinking_shown",
)
"""Tokens before this notice are not part of the answer: the server sent thinking without an opening tag."""


QUOTES_ONLY: Final = Notice(message="no model is connected, so these are quotes from the documents", code="quotes_only")
"""The command line appends a hint on how to connect a model."""


NO_CITATIONS: Final = Notice(message="The answer cites none of the sources; check it.", code="no_citations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Event):
    """The answer is complete. `finish_reason` is as the model server sent it; for quotes it is `stop` or `length`."""

    kind = "done"
    is_own_key = True
    finish_reason: str
    model: str
    usage: Usage | None
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Event):
    """The stream ends here and is incomplete. `exit_code` is for the process and not part of the public format.

    `retry_after_s` is the delay that the model server requests, if any. `nearest` are the best sources if none is
    relevant.
    """

    kind = "error"
    message: str = field(metadata=shown(key="error"))
    code: str
    hint: str
    retryable: bool
    exit_code: int = field(metadata=shown(PRIVATE))
    retry_after_s: float | None = field(default=None, metadata=shown(IF_SET, ROUNDED_UP))
    nearest: tuple[Source, ...] = field(default=(), metadata=shown(PRIVATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestStarted(Event):
    """The files are known but not read yet. `documents` is the number of files to check.

    `new_documents` is the number of new or changed files. `passages` is the estimated number of their passages, and
    `seconds` the estimated time to embed these. Each is None if it is unknown.
    """

    kind = "started"
    documents: int
    collection: str
    embedding: str
    new_documents: int | None = field(default=None, metadata=shown(IF_SET))
    passages: int | None = field(default=None, metadata=shown(IF_SET))
    seconds: float | None = field(default=None, metadata=shown(IF_SET))


DocumentAction: TypeAlias = Literal["added", "changed", "unchanged", "deleted", "skipped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSeen(Event):
    """The result for one file.

    `reason` is why it was skipped, deleted or failed, or a note about it. `code` is the reason for a skip for programs.
    """

    kind = "document"
    source: str
    action: DocumentAction
    chunks: int = 0
    reason: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress(Event):
    """The progress within a file: about `embedded` of its `chunks` are embedded. Both are 0 while it is being read.

    Reported several times a second if an ingest takes longer than a second. In the whole ingest, about `passages`
    passages are embedded, of about `all_passages` (None if unknown), and `files_read` files are read or unchanged.
    """

    kind = "progress"
    source: str
    embedded: int
    chunks: int
    passages: int = 0
    all_passages: int | None = field(default=None, metadata=shown(IF_SET))
    files_read: int = field(default=0, metadata=shown(PRIVATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestDone(Event):
    """The collection is in sync with the files, except for files that failed.

    `counts` has one entry per action; `chunks` is the number of chunks that the collection now has. `skipped` counts
    skipped files by code; `unsupported` counts files of unsupported formats by suffix.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching(Event):
    """The collection is in sync, and later changes of the files are noticed.

    `roots` are the watched files and folders, as they are shown to the user. `method` is `inotify` or `polling`.
    """

    kind = "watching"
    roots: tuple[str, ...]
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDone(Event):
    """The changes so far are in the store. `counts` and `chunks` are as in `IngestDone`."""

    kind = "batch"
    counts: Mapping[DocumentAction, int]
    chunks: int
    elapsed_ms: float


AskEvent: TypeAlias = Status | QuestionAsked | Sources | Token | Citations | Notice | Done | Error
IngestEvent: TypeAlias = (
    IngestStarted | DocumentSeen | FileProgress | Notice | Watching | BatchDone | IngestDone | Error
)
EVENTS: Final[tuple[type[Event], ...]] = tuple(dict.fromkeys(get_args(AskEvent) + get_args(IngestEvent)))


def as_event(error: StreamragError) -> Error:
    """The last event of a stream that ended with an expected failure."""
    return Error(
        message=sanitise_line(error.message),
        code=error.code,
        hint=sanitise_line(error.hint),
        retryable=error.retryable,
        exit_code=error.exit_code,
        retry_after_s=error.retry_after_s,
        nearest=error.nearest if isinstance(error, NothingRelevantError) else (),
    )
