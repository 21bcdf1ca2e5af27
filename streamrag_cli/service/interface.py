"""The interface of services."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final, Protocol

from streamrag_cli.display_names import DisplayNames
from streamrag_cli.events import AskEvent
from streamrag_cli.model import DocumentEntry, Passage, Question
from streamrag_cli.settings import Settings

_AS_STORED: Final = DisplayNames(None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The text to read: the chunk with the id `chunk_id`, or the text that a user specifies with `where`.

    `where` is the start of a chunk's id, or a document, which may be followed by `:LINE`, `:FIRST-LAST` or `:pPAGE`. A
    document is specified by its path, its name, or a unique end of its path. `names` resolves relative paths.
    """

    chunk_id: str = ""
    where: str = ""
    names: DisplayNames = field(default=_AS_STORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The documents to list: all, or the documents that `--in PATTERN` would select.

    With `unread`, only files without a current version in the collection, because they failed or were skipped. With
    `tags`, only documents that have all of these tags.
    """

    pattern: str = ""
    unread: bool = False
    tags: tuple[str, ...] = ()
    names: DisplayNames = field(default=_AS_STORED)


class Service(Protocol):
    """Answers each question with a stream of events, which the caller must close.

    If a question fails, the last event of the stream is an `Error`. A call may block for a second while it looks for an
    engine, and work may already have begun when it returns.

    `read` and `list` need no model and no embedder. They return their result, or raise UsageError or StoreError.
    """

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """Answer a question. The events have the order that the module `events` describes."""
        ...

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """Find the sources without a model. Yields one `Sources`, or an `Error` if it fails or finds nothing."""
        ...

    async def read(self, selection: Selection, settings: Settings) -> Passage:
        """Read text from an ingested document in the store.

        Raises UsageError: `no_such_passage`, `ambiguous_passage`, `no_such_document`, `ambiguous_document`,
        `no_such_line`.
        """
        ...

    async def list(self, listing: Listing, settings: Settings) -> list[DocumentEntry]:
        """The documents in the collection, ordered by path."""
        ...
