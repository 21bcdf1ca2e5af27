"""A collection for programs that use LangChain: a retriever over it, and its answers as a Runnable.

Neither is used by this program itself: what they wrap is. Importing this module imports langchain-core, 0.3 s. Whether
LangChain reports to LangSmith is the other program's decision, and not changed here.
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
    """Finds what `streamrag search` finds: whole passages, best first, near-copies as one; none if none is relevant.

    Metadata: `source` (the document's name), `path`, `page`, `line_start`, `line_end`, `title`, `chunk_id`, and `score`
    from 0 to 1. The collection stays open until `close`. Raises StreamragError.
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
            found = self._retriever.retrieve(query, limit=settings.top_k, min_score=settings.min_score)
        except NothingRelevantError:
            return []
        return [_document(hit) for hit in found.hits]


def _document(hit: Hit) -> Document:
    chunk = hit.chunk
    metadata = {"source": hit.source, "path": hit.path, "title": chunk.title, "score": hit.score}
    place = {"page": chunk.page, "line_start": chunk.line_start, "line_end": chunk.line_end}
    return Document(id=chunk.id, page_content=chunk.text, metadata=metadata | place | {"chunk_id": chunk.id})


def answers(settings: Settings) -> Runnable[str, str]:
    """A question in, the pieces of its answer out as they are written, with `[n]` for its sources.

    Raises StreamragError, with what had come before it.
    """

    async def as_written(questions: AsyncIterator[str]) -> AsyncIterator[str]:
        text = "".join([part async for part in questions])
        async with aclosing(LocalService().ask(Question(text=text, accepted_at=perf_counter()), settings)) as events:
            async for event in events:
                if isinstance(event, Token):
                    yield event.text
                elif isinstance(event, Error):
                    raise StreamragError(event.message, code=event.code, hint=event.hint)

    def in_new_event_loop(questions: Iterator[str]) -> Iterator[str]:
        async def given() -> AsyncIterator[str]:
            for part in questions:
                yield part

        with closing(asyncio.new_event_loop()) as loop:
            pieces: Any = as_written(given())
            try:
                while True:
                    yield loop.run_until_complete(anext(pieces))
            except StopAsyncIteration:
                pass
            finally:
                loop.run_until_complete(pieces.aclose())
                loop.run_until_complete(loop.shutdown_default_executor())

    return RunnableGenerator(in_new_event_loop, as_written)
