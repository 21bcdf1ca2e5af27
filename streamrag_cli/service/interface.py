"""The interface of services."""

from collections.abc import AsyncGenerator
from typing import Protocol

from streamrag_cli.events import AskEvent
from streamrag_cli.model import Passage, Question, Selection
from streamrag_cli.settings import Settings


class Service(Protocol):
    """Answers each question with a stream of events, which the caller must close.

    If a question fails, the last event of the stream is an `Error`. A call may block for a second while it looks for an
    engine, and work may already have begun when it returns.

    `read` returns its result, or raises the StreamragError itself.
    """

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """The answer, as events in the order described in `events`."""
        ...

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """The sources, without a model: one `Sources`, or one `Error` (including if nothing is relevant)."""
        ...

    async def read(self, selection: Selection, settings: Settings) -> Passage:
        """Text of an ingested document, from the store. Uses no model.

        Raises UsageError `no_such_passage`, and the errors of the store.
        """
        ...
