"""The interface of services."""

from collections.abc import AsyncGenerator
from typing import Protocol

from streamrag_cli.events import AskEvent
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings


class Service(Protocol):
    """Answers each question with a stream of events, which the caller must close.

    If a question fails, the last event of the stream is an `Error`. A call may block for a second while it looks for an
    engine, and work may already have begun when it returns.
    """

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """The answer, as events in the order described in `events`."""
        ...

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """The sources, without a model: one `Sources`, or one `Error` (including if nothing is relevant)."""
        ...
