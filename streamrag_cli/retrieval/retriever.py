"""A collection and its embedder, open together: what it takes to answer questions about documents."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Self, TypeVar

from streamrag_cli.errors import NothingRelevantError
from streamrag_cli.model import Chunk, Hit
from streamrag_cli.retrieval.embedder import Embedder
from streamrag_cli.retrieval.embeddings import make_embedder
from streamrag_cli.retrieval.follow_up import MOST_CHARS_BEFORE, fuse
from streamrag_cli.retrieval.near_duplicates import FindMissing
from streamrag_cli.retrieval.search import EmbeddingChangedError, Retrieved, retrieve
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import Reader, embedding_mismatch
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit

Result = TypeVar("Result")
_THREADS: Final = min(32, (os.cpu_count() or 1) + 4)


class Retriever:
    """Finds the chunks that bear on a question. May be shared between threads."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        """Raises StoreError `another_embedding`."""
        self.reader = reader
        self._settings = settings
        self.embedder = self._suited_embedder()
        # Its own: a collection whose store or embedding hangs must not take the threads of the others.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="retrieve")

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the collection that the settings name, with the embedding it was made with.

        Raises StoreError: `store_missing`, `store_damaged`, or `another_embedding` where the settings ask for
        one the collection was not made with; nothing was sent anywhere then.
        """
        reader = open_store(settings.store).reader(settings.collection)
        try:
            return cls(reader, settings)
        except BaseException:
            reader.close()
            raise

    def _suited_embedder(self) -> Embedder:
        made_with = self.reader.embedding
        embedder = embedder_for(self._settings, made_with=made_with)
        if embedder.name != made_with:
            raise embedding_mismatch(self._settings.collection, stored=made_with, requested=embedder.name)
        return embedder

    def close(self) -> None:
        """Searches that still run in a thread end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.reader.close()

    async def in_thread(self, work: Callable[[Cancellation], Result]) -> Result:
        """Run `work` in one of this collection's threads; it is told to end when the caller is cancelled."""
        cancellation = Cancellation()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, cancellation)
        except asyncio.CancelledError:
            cancellation.cancel()
            raise

    def retrieve(
        self,
        question: str,
        *,
        previous: str = "",
        limit: int,
        min_score: float,
        find_missing: FindMissing | None = None,
        cancellation: Cancellation | None = None,
    ) -> Retrieved:
        """The best chunks. `previous` is what the user asked before, if the question is one of a conversation.

        `find_missing` checks which of their files no longer exist. Raises NothingRelevantError if none reaches
        `min_score`, and what `search.retrieve` does.
        """
        search = partial(self._search, min_score=min_score, find_missing=find_missing, cancellation=cancellation)
        if previous.strip():
            both = f"{previous[:MOST_CHARS_BEFORE]}\n{question}"
            found = fuse(search(question, limit=2 * limit), search(both, limit=2 * limit), limit=limit)
        else:
            found = search(question, limit=limit)
        if not found.hits:
            raise NothingRelevantError(
                f"nothing relevant in the documents: best match scored {found.best_score:.2f},"
                f" below --min-score {min_score:.2f}",
                code="nothing_relevant",
                hint="rephrase the question, or accept weaker matches: streamrag ask --min-score 0 QUESTION",
            )
        return found

    def chunk_after(self, hit: Hit, *, cancellation: Cancellation | None = None) -> Chunk | None:
        """The chunk that follows in the same document."""
        with self.reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
            return self.reader.catalog.chunk_at(hit.path, hit.chunk.ordinal + 1)

    def _search(
        self,
        question: str,
        *,
        limit: int,
        min_score: float,
        find_missing: FindMissing | None,
        cancellation: Cancellation | None,
    ) -> Retrieved:
        search = partial(
            retrieve,
            self.reader,
            question=question,
            limit=limit,
            min_score=min_score,
            find_missing=find_missing,
            cancellation=cancellation,
        )
        try:
            return search(self.embedder)
        except EmbeddingChangedError:
            self.embedder = self._suited_embedder()
            return search(self.embedder)


def embedder_for(settings: Settings, *, made_with: str | None) -> Embedder:
    """The embedder that the settings ask for, else the collection's own, else the built-in one."""
    return make_embedder(
        settings.embedding or made_with or "builtin",
        base_url=settings.base_url,
        api_key=settings.api_key,
        timeout_s=settings.timeout_s,
    )
