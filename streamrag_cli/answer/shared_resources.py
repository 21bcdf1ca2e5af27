"""Open collections and model clients that are shared between questions.

A command creates `SharedResources` for one question and closes it; a server keeps one instance while it runs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self, TypeAlias

from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.model_server.pace import Pace
from streamrag_cli.new_thread import run_in_new_thread
from streamrag_cli.pool import ResourcePool
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.retrieval.several import Searcher, SeveralRetrievers, naming
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.model_server.client import StreamingClient

_Key: TypeAlias = tuple[object, ...]


class SharedResources:
    """Provides one open collection and one model client for all questions with the same settings.

    An instance belongs to one event loop. Nothing is shared between different API keys or servers.
    """

    def __init__(self, *, for_visitors: bool = False) -> None:
        """Set `for_visitors` for a server's clients, who must not learn what runs on this machine."""
        self.for_visitors = for_visitors
        self._pace = Pace()
        self._retrievers: ResourcePool[_Key, Retriever] = ResourcePool(lambda each: run_in_new_thread(each.close))
        self._clients: ResourcePool[_Key, StreamingClient] = ResourcePool(lambda each: each.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._clients.aclose()
        await self._retrievers.aclose()

    @asynccontextmanager
    async def retriever(self, settings: Settings) -> AsyncIterator[Retriever]:
        """The open collection that `settings` names. Raises the errors that `Retriever.open` raises."""
        collection_key = (settings.store, settings.collection, settings.embedding)
        server_key = (settings.base_url, settings.api_key, settings.timeout_s)
        open_collection = partial(run_in_new_thread, partial(Retriever.open, settings))
        async with self._retrievers.acquire(collection_key + server_key, open_collection) as retriever:
            yield retriever

    @asynccontextmanager
    async def searcher(self, settings: Settings) -> AsyncIterator[Searcher]:
        """The open collections that `settings` names, one or more. Raises the errors that `Retriever.open` raises."""
        if len(settings.collections) == 1:
            async with self.retriever(settings) as retriever:
                yield retriever
            return
        async with AsyncExitStack() as stack:

            async def opened(collection: str) -> Retriever:
                with naming(collection):
                    return await stack.enter_async_context(self.retriever(replace(settings, collection=collection)))

            opening = map(opened, settings.collections)
            results = await asyncio.gather(*opening, return_exceptions=True)  # so that all are closed after an error
            retrievers = [_result(each) for each in results]
            yield SeveralRetrievers(dict(zip(settings.collections, retrievers, strict=True)))

    @asynccontextmanager
    async def client(self, endpoint: ModelEndpoint) -> "AsyncIterator[StreamingClient]":
        """A client for the endpoint's server, with its open connections."""

        async def make() -> "StreamingClient":
            from streamrag_cli.model_server.client import StreamingClient  # imports an HTTP library, 0.1 to 0.2 s

            return StreamingClient(endpoint, self._pace)

        async with self._clients.acquire((endpoint.url, endpoint.api_key), make) as client:
            yield client


def _result(outcome: Retriever | BaseException) -> Retriever:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
