"""LangChain integration for other programs: a retriever over a collection, and answers as a Runnable.

streamrag itself does not use this module, which imports langchain-core (0.3 s). Importing any streamrag module
disables telemetry through environment variables (`telemetry.SWITCHES`), including LangSmith tracing in the importing
program.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from functools import cached_property
from time import perf_counter
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableGenerator
from pydantic import ConfigDict, SkipValidation

from streamrag_cli.errors import NothingRelevantError, StreamragError
from streamrag_cli.events import Error, Token
from streamrag_cli.model import Hit, Question
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings


class CollectionRetriever(BaseRetriever):
    """Retrieves whole passages like `streamrag search`: best first, with near-duplicates merged.

    The result is empty if nothing is relevant. A document's metadata consists of `source` (the document's name),
    `path`, `page`, `line_start`, `line_end`, `title`, `chunk_id`, and `score` from 0 to 1. The collection stays open
    until `close` is called. Raises StreamragError.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, ignored_types=(cached_property,))

    settings: SkipValidation[Settings]

    @cached_property
    def _retriever(self) -> Retriever:
        return Retriever.open(self.settings)

    def close(self) -> None:
        if "_retriever" in self.__dict__:
            self._retriever.close()

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - part of the signature
    ) -> list[Document]:
        settings = self.settings
        try:
            retrieved = self._retriever.retrieve(query, limit=settings.top_k, min_score=settings.min_score)
        except NothingRelevantError:
            return []
        return [_document(hit) for hit in retrieved.hits]


def _document(hit: Hit) -> Document:
    chunk = hit.chunk
    metadata = {"source": hit.source, "path": hit.path, "title": chunk.title, "score": hit.score}
    position = {"page": chunk.page, "line_start": chunk.line_start, "line_end": chunk.line_end}
    return Document(id=chunk.id, page_content=chunk.text, metadata=metadata | position | {"chunk_id": chunk.id})


def answers(settings: Settings) -> Runnable[str, str]:
    """Return a Runnable that takes a question and streams the pieces of its answer, with `[n]` as citations.

    If the answer fails, the Runnable raises StreamragError after the pieces that have already arrived.
    """

    async def stream_pieces(questions: AsyncIterator[str]) -> AsyncIterator[str]:
        text = "".join([part async for part in questions])
        async with aclosing(LocalService().ask(Question(text=text, accepted_at=perf_counter()), settings)) as events:
            async for event in events:
                if isinstance(event, Token):
                    yield event.text
                elif isinstance(event, Error):
                    raise StreamragError(event.message, code=event.code, hint=event.hint)

    def in_new_event_loop(questions: Iterator[str]) -> Iterator[str]:
        async def as_async() -> AsyncIterator[str]:
            for part in questions:
                yield part

        with closing(asyncio.new_event_loop()) as loop:
            pieces: Any = stream_pieces(as_async())
            try:
                while True:
                    yield loop.run_until_complete(anext(pieces))
            except StopAsyncIteration:
                pass
            finally:
                loop.run_until_complete(pieces.aclose())
                loop.run_until_complete(loop.shutdown_default_executor())

    return RunnableGenerator(in_new_event_loop, stream_pieces)
