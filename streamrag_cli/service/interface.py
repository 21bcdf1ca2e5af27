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
    """The text to read: the chunk `chunk_id`, or what a user names with `where`.

    `where` is the start of the id of a chunk, or a document, which may be followed by `:LINE`, `:FIRST-LAST` or
    `:pPAGE`. A document is named by its path, its name, or a unique end of its path. `names` resolves relative paths.
    """

    chunk_id: str = ""
    where: str = ""
    names: DisplayNames = field(default=_AS_STORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The documents to list: all, or the ones that `--in PATTERN` would select.

    With `unread`, only files without a current version in the collection: failed and skipped ones. With `tags`,
    only documents that have all of them.
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
        """The answer, as events in the order described in `events`."""
        ...

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """The sources, without a model: one `Sources`, or one `Error` (including if nothing is relevant)."""
        ...

    async def read(self, selection: Selection, settings: Settings) -> Passage:
        """Text of an ingested document, from the store.

        Raises UsageError: `no_such_passage`, `ambiguous_passage`, `no_such_document`, `ambiguous_document`,
        `no_such_line`.
        """
        ...

    async def list(self, listing: Listing, settings: Settings) -> list[DocumentEntry]:
        """The documents of the collection, ordered by path."""
        ...
