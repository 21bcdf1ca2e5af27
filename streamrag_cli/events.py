"""Events that the pipelines emit.

An answer consists of `Status`, `Sources`, `Status`, `Token`..., `Citations`, and exactly one `Done` or `Error`, always
last. In a conversation, `QuestionAsked` precedes these events; if the model rewrites the question, a `Status` comes
first. A `Notice` may occur anywhere before the last event. `tests/answer/test_pipeline.py` and `test_conversation.py`
check this order.

An ingest consists of `IngestStarted`, then any number of `DocumentSeen`, `FileProgress` and `Notice`, and exactly one
`IngestDone` or `Error`, always last. A document is reported after it has been written to the store.

While a folder is watched, the first sync is like an ingest, but ends with `BatchDone`. `Watching` follows. Each later
batch consists of its changed documents and a `BatchDone`. `tests/watch/test_watcher.py` checks this order.
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
    """A step of the answer begins. `detail` describes it for users and is not part of the public format."""

    kind = "status"
    status: Literal["retrieving", "generating", "retrying"]
    detail: str = field(default="", metadata=shown(PRIVATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAsked(Event):
    """The question in this turn of a conversation, and the texts that are searched for.

    `n` is the number of the turn, counted from 1. `thread` is the id of the conversation, or "". `searched_for` starts
    with the question, possibly rewritten by the model, followed by the earlier questions that are searched with it.
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
    """A piece of the answer. The answer is all pieces concatenated, except those before the notice `THINKING_SHOWN`."""

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

    If the notice is about sources' files, `paths` are the absolute paths of these files. `collection` is their
    collection if several were searched.
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
"""Tokens before this notice are not part of the answer: the server sent the model's thinking without an opening tag."""


QUOTES_ONLY: Final = Notice(message="no model is connected, so these are quotes from the documents", code="quotes_only")
"""The notice for an answer without a model. The command line adds how to connect a model."""


NO_CITATIONS: Final = Notice(
    message="the answer cites none of the sources; check it against the documents", code="no_citations"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Event):
    """The answer is complete.

    `finish_reason` is the one that the model server sent; for quotes it is `stop` or `length`.
    """

    kind = "done"
    is_own_key = True
    finish_reason: str
    model: str
    usage: Usage | None
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Event):
    """A failure that ended the stream before it was complete.

    `exit_code` is for the process and not part of the public format. `retry_after_s` is the delay that the model server
    requests, if any. `nearest` are the best-scoring sources if none is relevant.
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

    `new_documents` is the number of new or changed files, `passages` the estimated number of their passages, and
    `seconds` the estimated time to embed these passages. Each of the three is None if it is unknown.
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

    `reason` is why the file was skipped, deleted or not read, or a note about it. `code` is the machine-readable reason
    for a skip.
    """

    kind = "document"
    source: str
    action: DocumentAction
    chunks: int = 0
    reason: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress(Event):
    """The progress within a file: about `embedded` of its `chunks` are embedded; both are 0 while the file is read.

    The event is emitted several times a second if an ingest takes longer than a second.

    - `passages`: roughly the number of passages that the whole ingest has embedded so far.
    - `all_passages`: roughly the number of passages that it will embed in total; None if that is unknown.
    - `files_read`: the number of files that have been read or are unchanged.
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

    `counts` is the number of documents by action, and `chunks` the number of chunks that the collection now contains.
    `skipped` is the number of skipped files by code, and `unsupported` the number of files in unsupported formats by
    suffix.
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
    """The collection is in sync, and the files are now watched for changes.

    `roots` are the watched files and folders as shown to users. `method` is `inotify` or `polling`.
    """

    kind = "watching"
    roots: tuple[str, ...]
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDone(Event):
    """All changes so far have been written to the store. `counts` and `chunks` are as in `IngestDone`."""

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
    """Convert an expected failure to the last event of its stream."""
    return Error(
        message=sanitise_line(error.message),
        code=error.code,
        hint=sanitise_line(error.hint),
        retryable=error.retryable,
        exit_code=error.exit_code,
        retry_after_s=error.retry_after_s,
        nearest=error.nearest if isinstance(error, NothingRelevantError) else (),
    )
