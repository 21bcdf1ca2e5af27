"""The service that answers in this process, without an engine."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from streamrag_cli.errors import UsageError
from streamrag_cli.events import AskEvent
from streamrag_cli.model import DocumentEntry, Passage, Question
from streamrag_cli.service.interface import Listing, Selection
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.answer.shared_resources import SharedResources
    from streamrag_cli.store.interface import Manifest

Result = TypeVar("Result")
_Operation: TypeAlias = Literal["ask", "search"]


class LocalService:
    """Answers in this process with shared `resources`. Without them, each question opens and closes its own."""

    def __init__(self, resources: "SharedResources | None" = None) -> None:
        self._resources = resources

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._run("ask", question, settings)

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._run("search", question, settings)

    async def read(self, selection: Selection, settings: Settings) -> Passage:
        from streamrag_cli.service import library

        try:
            heading_of = partial(_heading_of, settings)
            work = partial(library.read, selection=selection, heading_of=heading_of)
            return await _with_manifest(work, settings, self._resources)
        except UsageError as error:
            if error.code == "no_such_document" and self._resources is None:
                library.suggest_other_collection(error, selection, settings)
            raise

    async def list(self, listing: Listing, settings: Settings) -> list[DocumentEntry]:
        from streamrag_cli.service import library

        return await _with_manifest(partial(library.list_documents, listing=listing), settings, self._resources)

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

    async def read(self, selection: Selection, settings: Settings) -> Passage:
        return await LocalService(self._opened()).read(selection, settings)

    async def list(self, listing: Listing, settings: Settings) -> list[DocumentEntry]:
        return await LocalService(self._opened()).list(listing, settings)

    async def aclose(self) -> None:
        if self._resources is not None:
            await self._resources.aclose()

    def _opened(self) -> "SharedResources":
        if self._resources is None:
            from streamrag_cli.answer.shared_resources import SharedResources  # needs the same imports as the pipeline

            self._resources = SharedResources()
        return self._resources


def _heading_of(settings: Settings, page: str, fragment: str) -> str | None:
    """The text of the heading whose id is `fragment` on a web page; None if the page was fetched on another machine."""
    if not settings.state_directory:
        return None
    from streamrag_cli.remote.copies import Copies  # needed only for web pages
    from streamrag_cli.remote.web.links import heading_of
    from streamrag_cli.store.registry import open_store

    copies = Copies.of(settings.state_directory, str(open_store(settings.store)), settings.collection)
    return heading_of(page, fragment, copies)


def _events(
    operation: _Operation, question: Question, settings: Settings, resources: "SharedResources"
) -> AsyncGenerator[AskEvent, None]:
    from streamrag_cli.answer import pipeline  # imports retrieval and the store libraries, 0.1 s

    return (pipeline.ask if operation == "ask" else pipeline.search)(question, settings, resources)


async def _run_once(operation: _Operation, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
    from streamrag_cli.answer.shared_resources import SharedResources  # needs the same imports as the pipeline

    async with SharedResources() as resources, aclosing(_events(operation, question, settings, resources)) as events:
        async for event in events:
            yield event


async def _with_manifest(
    work: "Callable[[Manifest], Result]", settings: Settings, resources: "SharedResources | None"
) -> Result:
    """Call `work` with the manifest of the collection, and return its result.

    If the collection is already open in `resources`, the manifest is one snapshot of it. Without `resources`, only the
    catalog is opened: no vectors and no embedder.
    """
    from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit

    if resources is None:
        from streamrag_cli.store.backend import missing_collection
        from streamrag_cli.store.registry import open_store

        store = open_store(settings.store)
        with store.manifest(settings.collection) as manifest:
            if manifest is None:
                raise missing_collection(store, settings.collection, existing=store.collections())
            return work(manifest)

    async with resources.retriever(settings) as retriever:

        def in_snapshot(cancellation: Cancellation) -> Result:
            with retriever.reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
                return work(retriever.reader.catalog)

        return await retriever.in_thread(in_snapshot)
