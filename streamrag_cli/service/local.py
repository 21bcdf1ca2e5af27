"""The service that answers in this process, without an engine."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal, TypeAlias

from streamrag_cli.events import AskEvent
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.answer.shared_resources import SharedResources

_Operation: TypeAlias = Literal["ask", "search"]


class LocalService:
    """Answers with shared `resources`. Without them, each question opens and closes the resources that it needs."""

    def __init__(self, resources: "SharedResources | None" = None) -> None:
        self._resources = resources

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._run("ask", question, settings)

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._run("search", question, settings)

    def _run(self, operation: _Operation, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        if self._resources is None:
            return _run_once(operation, question, settings)
        return _events(operation, question, settings, self._resources)


class WarmLocalService:
    """Like LocalService, but opens the resources for the first question and keeps them until `aclose`.

    All questions must be asked in one event loop.
    """

    def __init__(self) -> None:
        self._resources: SharedResources | None = None

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return LocalService(self._opened()).ask(question, settings)

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return LocalService(self._opened()).search(question, settings)

    async def aclose(self) -> None:
        if self._resources is not None:
            await self._resources.aclose()

    def _opened(self) -> "SharedResources":
        if self._resources is None:
            from streamrag_cli.answer.shared_resources import SharedResources  # imports the same as the pipeline

            self._resources = SharedResources()
        return self._resources


def _events(
    operation: _Operation, question: Question, settings: Settings, resources: "SharedResources"
) -> AsyncGenerator[AskEvent, None]:
    from streamrag_cli.answer import pipeline  # imports retrieval and the store libraries, 0.1 s

    return (pipeline.ask if operation == "ask" else pipeline.search)(question, settings, resources)


async def _run_once(operation: _Operation, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
    from streamrag_cli.answer.shared_resources import SharedResources  # imports the same as the pipeline

    async with SharedResources() as resources, aclosing(_events(operation, question, settings, resources)) as events:
        async for event in events:
            yield event
