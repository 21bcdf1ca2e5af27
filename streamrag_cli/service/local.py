"""The service of this process: it retrieves, asks the model and quotes itself."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeAlias

from streamrag_cli.events import AskEvent
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.answer.library import Library

_Act: TypeAlias = "Callable[[Question, Settings, Library], AsyncGenerator[AskEvent, None]]"


class LocalService:
    """Answers with what a library has open; without one, each question opens what it needs and closes it behind it."""

    def __init__(self, library: "Library | None" = None) -> None:
        self._library = library

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._act(_ask, question, settings)

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._act(_search, question, settings)

    def _act(self, act: _Act, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        if self._library is None:
            return _once(act, question, settings)
        return act(question, settings, self._library)


async def _once(act: _Act, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
    from streamrag_cli.answer.library import Library  # retrieval and what it reads stores with, 0.1 s

    async with Library() as library, aclosing(act(question, settings, library)) as events:
        async for event in events:
            yield event


def _ask(question: Question, settings: Settings, library: "Library") -> AsyncGenerator[AskEvent, None]:
    from streamrag_cli.answer.pipeline import ask  # loads what a library does

    return ask(question, settings, library)


def _search(question: Question, settings: Settings, library: "Library") -> AsyncGenerator[AskEvent, None]:
    from streamrag_cli.answer.pipeline import search  # loads what a library does

    return search(question, settings, library)
