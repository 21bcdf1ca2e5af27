"""What a service is."""

from collections.abc import AsyncGenerator
from typing import Protocol

from streamrag_cli.events import AskEvent
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings


class Service(Protocol):
    """Answers questions, each with a stream of events of its own, which the caller closes.

    What can go wrong is the last event of the stream, an `Error`. A call may block for a
    second while an engine is looked for; work may have begun when it returns.
    """

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """The answer, in the order that `events` describes."""
        ...

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """The sources alone, without a model: one `Sources`, or one `Error`. That nothing is relevant is an `Error`."""
        ...
