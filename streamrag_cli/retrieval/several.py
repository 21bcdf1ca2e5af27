"""Searches several collections as one. Each collection may have its own embedder.

Scores can be compared between embedders, but vectors cannot. Hits are therefore merged by their scores, and
`Retrieved.parts` contains each collection's results for comparisons with the question's vector.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TypeAlias, TypeVar

from streamrag_cli.errors import NothingRelevantError, StoreError, with_target_flags
from streamrag_cli.model import Chunk, Filter, Hit, Turn
from streamrag_cli.retrieval.cancellable import run_cancellable
from streamrag_cli.retrieval.cited_passages import MAX_PASSAGES
from streamrag_cli.retrieval.embedder import EmbeddedQuestion, Embedder
from streamrag_cli.retrieval.follow_up import earlier_questions
from streamrag_cli.retrieval.near_duplicates import DuplicateGroups, FindMissing
from streamrag_cli.retrieval.query import TermWeights
from streamrag_cli.retrieval.recent_questions import RecentQuestions
from streamrag_cli.retrieval.retriever import RecordOf, Retriever, require_hits
from streamrag_cli.retrieval.search import NEAREST, NO_FILTER, Part, Retrieved
from streamrag_cli.store.time_limit import Cancellation

Result = TypeVar("Result")


class SeveralRetrievers:
    """Finds the relevant chunks in several collections. An instance is used for only one question."""

    def __init__(self, retrievers: Mapping[str, Retriever]) -> None:
        """`retrievers` maps names to open collections, of which there must be at least one. The caller closes them."""
        self._retrievers = retrievers

    @property
    def embedder(self) -> Embedder:
        """The embedder of the first collection. `Retrieved.parts` has the embedder of every collection."""
        return next(iter(self._retrievers.values())).embedder

    async def in_thread(self, work: Callable[[Cancellation], Result]) -> Result:
        """Run `work` in a new thread. If the caller is cancelled, `work` is cancelled as well.

        `work` must not run in a collection's thread, because it waits for searches that need these threads.
        """
        return await run_cancellable(work)

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
        """Like `Retriever.retrieve`, but searches all collections at the same time.

        If the filter allows no document in a collection, the collection has no hits. If it allows none in any
        collection, raises NothingRelevantError `no_document_matches`. Any other error in a collection is raised.
        """
        embedded_once = _EmbeddedOnce(self._retrievers.values())
        searches = {
            name: partial(
                each.search,
                question,
                earlier=earlier_questions(question, history),
                limit=limit,
                min_score=min_score,
                scope=scope,
                find_missing=find_missing,
                recent=embedded_once,
            )
            for name, each in self._retrievers.items()
        }
        results, excluded = self._results(searches, cancellation)
        if not results:
            raise NothingRelevantError(
                f"no document in these collections matches {scope.text or 'the filter'}",
                code=excluded[0].code,
                hint=excluded[0].hint,
            )
        parts = {
            name: Part(_in_collection(retrieved, name), self._retrievers[name].embedder)
            for name, retrieved in results.items()
        }
        return require_hits(_merged(question, parts, limit), min_score)

    def cited_passages(
        self,
        retrieved: Retrieved,
        chunk_ids: Sequence[str],
        *,
        scope: Filter = NO_FILTER,
        find_missing: FindMissing | None = None,
        cancellation: Cancellation | None = None,
    ) -> Retrieved:
        """Like `Retriever.cited_passages`. A passage in several collections is taken from the first of them."""
        remaining = list(dict.fromkeys(chunk_ids))
        hit_of: dict[str, Hit] = {}
        parts: dict[str, Part] = {}
        for name, part in retrieved.parts.items():
            own = self._retrievers[name].cited_passages(
                replace(part.retrieved, hits=retrieved.hits),
                remaining,
                scope=scope,
                find_missing=find_missing,
                cancellation=cancellation,
            )
            parts[name] = Part(_in_collection(own, name), part.embedder)
            hit_of |= {hit.chunk.id: hit for hit in parts[name].retrieved.hits}
            remaining = [chunk_id for chunk_id in remaining if chunk_id not in hit_of]
        hits: list[Hit] = []
        for chunk_id in [each for each in dict.fromkeys(chunk_ids) if each in hit_of][:MAX_PASSAGES]:
            before = hits[-1].score if hits else 1.0
            rank = len(retrieved.hits) + len(hits) + 1
            hits.append(replace(hit_of[chunk_id], score=min(before, hit_of[chunk_id].score), rank=rank))
        return replace(retrieved, hits=tuple(hits), parts=parts)

    def documents(self, hits: Iterable[Hit], cancellation: Cancellation | None = None) -> RecordOf:
        """Like `Retriever.documents`. A document in several collections has a record for each collection."""
        in_collection: dict[str, list[Hit]] = {}
        for hit in hits:
            in_collection.setdefault(hit.collection or "", []).append(hit)
        records: RecordOf = {}
        for name, of_collection in in_collection.items():
            records |= self._retrievers[name].documents(of_collection, cancellation)
        return records

    def chunk_after(self, hit: Hit, *, cancellation: Cancellation | None = None) -> Chunk | None:
        """The chunk after `hit` in the same document; None if `hit` is the last chunk."""
        return self._retrievers[hit.collection or ""].chunk_after(hit, cancellation=cancellation)

    def count_chunks(self, cancellation: Cancellation | None = None) -> int:
        return sum(each.count_chunks(cancellation) for each in self._retrievers.values())

    def _results(
        self, searches: Mapping[str, Callable[..., Retrieved]], cancellation: Cancellation | None
    ) -> tuple[dict[str, Retrieved], list[NothingRelevantError]]:
        """Run each search in its collection's thread. Return the results and the errors `no_document_matches`.

        Any other error cancels the other searches and is raised.
        """
        of_all = Cancellation()
        results: dict[str, Retrieved] = {}
        excluded: list[NothingRelevantError] = []
        with (cancellation or Cancellation()).on_cancel(of_all.cancel):
            futures: dict[str, Future[Retrieved]] = {
                name: self._retrievers[name].submit(partial(search, cancellation=of_all))
                for name, search in searches.items()
            }
            try:
                for name, future in futures.items():
                    try:
                        with naming(name):
                            results[name] = future.result()
                    except NothingRelevantError as error:
                        excluded.append(error)
            finally:
                of_all.cancel()
        return results, excluded


Searcher: TypeAlias = Retriever | SeveralRetrievers


class _EmbeddedOnce(RecentQuestions):
    """A cache that embeds a question only once for all concurrent searches with the same embedder."""

    def __init__(self, retrievers: Iterable[Retriever]) -> None:
        super().__init__()
        self._recent: dict[str, RecentQuestions] = {}
        for each in retrievers:
            self._recent.setdefault(each.embedder.name, each.recent)
        self._locks = {name: Lock() for name in self._recent}

    def embed(
        self, embedder: Embedder, texts: Sequence[str], cancellation: Cancellation | None
    ) -> list[EmbeddedQuestion]:
        if embedder.name not in self._recent:  # the collection was rebuilt with another embedder after it was opened
            return super().embed(embedder, texts, cancellation)
        with self._locks[embedder.name]:
            return self._recent[embedder.name].embed(embedder, texts, cancellation)


@contextmanager
def naming(collection: str) -> Iterator[None]:
    """Add the collection's name to errors from its store, and to the commands in their hints."""
    try:
        yield
    except (StoreError, NothingRelevantError) as error:
        if isinstance(error, StoreError) and repr(collection) not in error.message:
            error.message = f"collection {collection!r}: {error.message}"
        error.hint = with_target_flags(error.hint, collection=collection)
        raise


def _in_collection(retrieved: Retrieved, collection: str) -> Retrieved:
    hits, nearest = (
        tuple(replace(hit, collection=collection) for hit in each) for each in (retrieved.hits, retrieved.nearest)
    )
    return replace(retrieved, hits=hits, nearest=nearest)


def _merged(question: str, parts: Mapping[str, Part], limit: int) -> Retrieved:
    """Merge the results from all collections. The duration of each step is that of the slowest collection."""
    of_each = [part.retrieved for part in parts.values()]
    slowest = max(of_each, key=lambda each: sum(each.spent_ms.values()))
    return Retrieved(
        hits=_merged_hits(question, (each.hits for each in of_each), limit),
        question_vector=of_each[0].question_vector,
        term_weights=_mean_weights([each.term_weights for each in of_each]),
        best_score=max(each.best_score for each in of_each),
        spent_ms=slowest.spent_ms,
        codes=of_each[0].codes,
        is_lexical_only=any(each.is_lexical_only for each in of_each),
        nearest=_merged_hits(question, (each.nearest for each in of_each), NEAREST),
        parts=parts,
    )


def _merged_hits(question: str, of_each: Iterable[Sequence[Hit]], limit: int) -> tuple[Hit, ...]:
    """Merge the best hits from all collections. Hits with equal scores have the order of their collections."""
    groups = DuplicateGroups(question, None)
    groups.add_hits(sorted((hit for hits in of_each for hit in hits), key=lambda hit: -hit.score))
    best = sorted((group.merged_hit() for group in groups.groups), key=lambda hit: -hit.score)
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(best[:limit], start=1))


def _mean_weights(of_each: Sequence[TermWeights]) -> TermWeights:
    """The mean weight of each term in the collections that have documents in the term's language."""
    known: dict[str, dict[str, list[float]]] = {}
    for weights in of_each:
        for language, terms in weights.items():
            in_language = known.setdefault(language, {})
            for term, weight in terms.items():
                in_language.setdefault(term, []).append(weight)
    return {
        language: {term: sum(each) / len(each) for term, each in terms.items()} for language, terms in known.items()
    }
