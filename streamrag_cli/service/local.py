"""The service of this process: it retrieves, asks the model and quotes itself."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal, TypeAlias

from streamrag_cli.events import AskEvent
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.answer.shared_resources import SharedResources

_Wants: TypeAlias = Literal["ask", "search"]


class LocalService:
    """Answers with what a library has open; without one, each question opens what it needs and closes it behind it."""

    def __init__(self, library: "SharedResources | None" = None) -> None:
        self._library = library

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._act("ask", question, settings)

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._act("search", question, settings)

    def _act(self, wants: _Wants, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        if self._library is None:
            return _once(wants, question, settings)
        return _events(wants, question, settings, self._library)


def _events(
    wants: _Wants, question: Question, settings: Settings, library: "SharedResources"
) -> AsyncGenerator[AskEvent, None]:
    from streamrag_cli.answer import pipeline  # retrieval and what it reads stores with, 0.1 s

    return (pipeline.ask if wants == "ask" else pipeline.search)(question, settings, library)


async def _once(wants: _Wants, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
    from streamrag_cli.answer.shared_resources import SharedResources  # loads what the pipeline does

    async with SharedResources() as library, aclosing(_events(wants, question, settings, library)) as events:
        async for event in events:
            yield event
