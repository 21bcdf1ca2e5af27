"""Combines an open collection, its embedder and the threads for its searches."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final, Self, TypeAlias, TypeVar

from streamrag_cli.cores import usable_cores
from streamrag_cli.errors import ConfigurationError, NothingRelevantError, StoreError
from streamrag_cli.model import Chunk, DocumentRecord, Filter, Hit, Turn
from streamrag_cli.retrieval.cancellable import run_cancellable
from streamrag_cli.retrieval.cited_passages import cited_passages
from streamrag_cli.retrieval.embedder import Embedder, has_tokens
from streamrag_cli.retrieval.embeddings import make_embedder
from streamrag_cli.retrieval.follow_up import earlier_questions
from streamrag_cli.retrieval.near_duplicates import FindMissing
from streamrag_cli.retrieval.recent_questions import RecentQuestions
from streamrag_cli.retrieval.search import NO_FILTER, DimensionError, EmbeddingChangedError, Retrieved, retrieve
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import Reader, busy, dimension_mismatch, embedding_mismatch
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit

Result = TypeVar("Result")
RecordOf: TypeAlias = dict[tuple[str | None, str], DocumentRecord]
"""Maps a collection and a path to the document's record. If only one collection is searched, its name is None."""
_WAITING_THREADS: Final = 4
"""Additional threads for searches that wait for a database or for a server with the embedding model."""
_ATTEMPTS: Final = 3


class Retriever:
    """Finds the relevant chunks for a question. Safe to share between threads."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        """Raises StoreError `another_embedding` if the settings do not request the collection's embedder."""
        self.reader = reader
        self._settings = settings
        self.embedder = self._matching_embedder()
        self.recent = RecentQuestions()
        # Each collection has its own thread pool, so that a collection that hangs does not block the others.
        self._threads = ThreadPoolExecutor(self._thread_count(), thread_name_prefix="retrieve")

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the collection that `settings` names, with the embedder that made its vectors.

        Raises StoreError `store_missing` or `store_damaged`. If the settings request another embedder, raises
        `another_embedding` before anything is sent.
        """
        reader = open_store(settings.store).reader(settings.collection)
        try:
            return cls(reader, settings)
        except BaseException:
            reader.close()
            raise

    def _matching_embedder(self) -> Embedder:
        made_with = self.reader.embedding
        embedder = embedder_for(self._settings, made_with=made_with)
        if embedder.name != made_with:
            raise embedding_mismatch(self._settings.collection, stored=made_with, requested=embedder.name)
        return embedder

    def _thread_count(self) -> int:
        """The number of searches that can run at the same time.

        More searches than cores would only delay each other: with 100 concurrent questions, the answers would begin
        1.25 times as late at the median.
        """
        never_waits = open_store(self._settings.store).has_local_files and has_tokens(self.embedder)
        return max(2, usable_cores()) if never_waits else usable_cores() + _WAITING_THREADS

    def close(self) -> None:
        """Close the collection. This does not wait for searches that are still running in threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.reader.close()

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Run `work` in one of this collection's threads."""
        return self._threads.submit(work)

    async def in_thread(self, work: Callable[[Cancellation], Result]) -> Result:
        """Run `work` in one of this collection's threads. If the caller is cancelled, `work` is cancelled as well."""
        return await run_cancellable(work, self._threads)

    def retrieve(
        self,
        question: str,
        *,
        history: Sequence[Turn] = (),
        limit: int,
        min_score: float,
        scope: Filter = NO_FILTER,
        find_missing: FindMissing | None = None,
        cancellation: Cancellation | None = None,
    ) -> Retrieved:
        """Return the best chunks for a question. `history` contains the earlier turns, oldest first.

        Only documents that `scope` allows are searched. `find_missing` finds files that no longer exist. Raises
        NothingRelevantError if no chunk reaches `min_score`, and the errors that `search.retrieve` raises.
        """
        return require_hits(
            self.search(
                question,
                earlier=earlier_questions(question, history),
                limit=limit,
                min_score=min_score,
                scope=scope,
                find_missing=find_missing,
                cancellation=cancellation,
                recent=self.recent,
            ),
            min_score,
        )

    def cited_passages(
        self,
        retrieved: Retrieved,
        chunk_ids: Sequence[str],
        *,
        scope: Filter = NO_FILTER,
        find_missing: FindMissing | None = None,
        cancellation: Cancellation | None = None,
    ) -> Retrieved:
        """Look up the passages in this collection that the previous answer cites (see `cited_passages.py`)."""
        return cited_passages(
            self.reader,
            self.embedder,
            retrieved,
            chunk_ids,
            scope=scope,
            find_missing=find_missing,
            cancellation=cancellation,
        )

    def count_chunks(self, cancellation: Cancellation | None = None) -> int:
        with self.reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
            return self.reader.counts().chunks

    def documents(self, hits: Iterable[Hit], cancellation: Cancellation | None = None) -> RecordOf:
        """The records of the documents with these `hits`. Documents no longer in the collection are left out."""
        with self.reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
            keys = dict.fromkeys((hit.collection, hit.path) for hit in hits)
            records = {(name, path): self.reader.catalog.document(path) for name, path in keys}
            return {key: record for key, record in records.items() if record}

    def chunk_after(self, hit: Hit, *, cancellation: Cancellation | None = None) -> Chunk | None:
        """The chunk after `hit` in the same document; None if `hit` is the last chunk."""
        with self.reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
            return self.reader.catalog.chunk_at(hit.path, hit.chunk.ordinal + 1)

    def search(
        self,
        question: str,
        *,
        earlier: Sequence[str],
        limit: int,
        min_score: float,
        scope: Filter,
        find_missing: FindMissing | None,
        cancellation: Cancellation | None,
        recent: RecentQuestions,
    ) -> Retrieved:
        """Like `retrieve`, but returns a result without hits instead of raising an error."""
        search = partial(
            retrieve,
            self.reader,
            question=question,
            earlier=earlier,
            limit=limit,
            min_score=min_score,
            scope=scope,
            find_missing=find_missing,
            cancellation=cancellation,
            recent=recent,
        )
        for _ in range(_ATTEMPTS):
            try:
                return search(self.embedder)
            except EmbeddingChangedError:
                self.embedder = self._matching_embedder()
            except DimensionError as error:
                raise dimension_mismatch(
                    self._settings.collection, stored=error.stored, returned=error.returned
                ) from error
        raise busy(f"the collection {self._settings.collection!r} is being rebuilt repeatedly with different embedders")


def require_hits(retrieved: Retrieved, min_score: float) -> Retrieved:
    """Return `retrieved`. Raises NothingRelevantError `nothing_relevant` if it has no hits."""
    if not retrieved.hits:
        error = NothingRelevantError(
            f"nothing relevant in the documents: best match scored {retrieved.best_score:.2f},"
            f" below --min-score {min_score:.2f}",
            code="nothing_relevant",
            hint="rephrase the question, or accept weaker matches: streamrag ask --min-score 0 QUESTION",
        )
        error.nearest = (replace(retrieved, hits=retrieved.nearest),)
        raise error
    return retrieved


def embedder_for(settings: Settings, *, made_with: str | None) -> Embedder:
    """The embedder that the settings request. If they request none, the collection's own, or else the built-in one.

    Raises StoreError `store_format` if the collection's embedder is unknown, and the errors of `make_embedder`.
    """
    try:
        return make_embedder(
            settings.embedding or made_with or "builtin",
            base_url=settings.base_url,
            api_key=settings.api_key,
            timeout_s=settings.timeout_s,
        )
    except ConfigurationError as error:
        if settings.embedding or error.code != "unknown_embedding":
            raise
        raise StoreError(
            f"this version of streamrag does not have the collection's embedder: {error.message}",
            code="store_format",
            hint="upgrade streamrag, or rebuild the collection: streamrag ingest --rebuild --embedding builtin",
        ) from error
