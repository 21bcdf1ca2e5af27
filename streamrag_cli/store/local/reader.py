"""A local collection, open for reading."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from math import ceil
from pathlib import Path
from threading import Lock, local
from typing import Any, Final

from streamrag_cli.errors import StreamragError
from streamrag_cli.model import Filter
from streamrag_cli.store.backend import missing_collection
from streamrag_cli.store.interface import Counts, FloatArray, ScoredIds, Selection, StoredChunk, busy
from streamrag_cli.store.local import index_fingerprint
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.database import damaged_catalog
from streamrag_cli.store.local.epoch import OpenEpoch
from streamrag_cli.store.local.index_fingerprint import damaged_vectors
from streamrag_cli.store.local.layout import Layout, collections
from streamrag_cli.store.local.vector_fingerprints import changed_vectors
from streamrag_cli.store.local.vectors import Vectors, best_of
from streamrag_cli.store.stemming import MOST_WORDS, match_expression, rarest_words, stems
from streamrag_cli.store.time_limit import TimeLimit

_MIN_CHUNKS_FOR_THREAD: Final = 5_000
"""The minimum size of a collection in which a vector search takes longer than starting a thread, in chunks."""
_MAX_COMPARED: Final = 3000
"""The maximum number of selected chunks whose vectors are all compared with the question. They take up to 5 MB."""
_EXPECTED_SHARE: Final = 0.5
_LEAST_SHARE: Final = 0.25
"""If more chunks are selected, a search in all vectors is expected to find half as many selected chunks as requested,
and must find at least a quarter. Higher shares make searches slower and hardly change the best hits."""
_MAX_FETCHED: Final = 5000
_TEXT_SURPLUS: Final = 1.5


class CollectionReader:
    """Finds chunks. It never returns parts of incomplete documents. Changes by other processes appear in new snapshots.

    Run all reads for one question inside `snapshot()`, which reopens the files if they have changed. Any number of
    threads can read concurrently, each from its own snapshot. Raises StoreError: `store_missing`, `store_damaged`,
    `store_busy`, `retrieval_timeout`.
    """

    def __init__(self, store: Path, collection: str) -> None:
        self._layout = Layout(store, collection)
        self._lock = Lock()  # protects looking up and opening an epoch; not held during a search
        self._epoch: OpenEpoch | None = None
        self._catalog: tuple[OpenEpoch, Catalog] | None = None
        self._thread_state = local()
        self._counted: tuple[tuple[str, int], Counts] | None = None
        self._selected: tuple[tuple[str, int], Filter, Selection] | None = None
        self._cache: dict[str, Any] = {}

    @contextmanager
    def snapshot(self, limit: TimeLimit | None = None) -> Iterator[None]:
        with self._session(limit):
            yield

    @property
    def is_prepared(self) -> bool:
        """Whether Chroma is open. It must still be reopened if the collection has changed since."""
        return self._epoch is not None and self._epoch.has_open_vectors

    def prepare(self, limit: TimeLimit | None = None) -> None:
        """Open Chroma before the first search. This takes 0.6 s in a new process."""
        with self._session(limit) as session:
            session.vectors()

    def close(self) -> None:
        """Close the files. If other threads have open snapshots, the files are closed when the last snapshot ends."""
        with self._lock:
            epoch, self._epoch = self._epoch, None
            catalog, self._catalog = self._catalog, None
        if catalog is not None:
            catalog[1].close()
        if epoch is not None:
            epoch.retire()

    @property
    def catalog(self) -> Catalog:
        """The catalog in this thread's snapshot. Outside `snapshot()`, the catalog is read without a snapshot."""
        session: _Session | None = getattr(self._thread_state, "session", None)
        if session is not None:
            return session.catalog
        epoch = self._enter_epoch()
        epoch.leave()
        with self._lock:
            if self._catalog is None or self._catalog[0] is not epoch or self._catalog[1].is_outdated():
                if self._catalog is not None:
                    self._catalog[1].close()
                self._catalog = epoch, epoch.new_catalog()
            return self._catalog[1]

    @property
    def embedding(self) -> str:
        with self._session() as session:
            return session.catalog.meta("embedding") or ""

    def counts(self) -> Counts:
        # Counting scans a whole index, so counts are cached by generation, which increases with every change.
        with self._session() as session:
            state = session.epoch.name, session.generation
            counted = self._counted
            if counted is None or counted[0] != state:
                self._counted = counted = state, session.catalog.counts()
            return counted[1]

    def require_chunks(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        with self._session() as session:
            chunks = session.catalog.chunks(chunk_ids)
            if len(chunks) < len(set(chunk_ids)):
                why = f"passages listed in the index but missing: {len(chunk_ids) - len(chunks)}"
                raise damaged_catalog(session.epoch.catalog_file, why)
        return [chunks[chunk_id] for chunk_id in chunk_ids]

    def select(self, scope: Filter) -> Selection:
        # Cached like the counts: each question resolves its filter twice, and the questions in a chat share a filter.
        with self._session() as session:
            state = session.epoch.name, session.generation
            selected = self._selected
            if selected is None or selected[:2] != (state, scope):
                self._selected = selected = state, scope, session.catalog.select(scope, self.counts().chunks)
            return selected[2]

    def within(self, chunk_ids: Iterable[str], selection: Selection) -> set[str]:
        with self._session() as session:
            return session.catalog.within(chunk_ids, selection)

    def search_text(self, words: Sequence[str], limit: int, selection: Selection | None = None) -> ScoredIds:
        with self._session() as session:
            return session.search_text(words, limit, selection)

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        with self._session() as session:
            return session.document_frequencies(terms)

    def nearest(self, vector: FloatArray, limit: int, selection: Selection | None = None) -> ScoredIds:
        with self._session() as session:
            hits = session.vector_search(vector, limit, selection)()
            return session.selected(hits, vector, limit, selection)

    def search_both(
        self, words: Sequence[str], vector: FloatArray, limit: int, selection: Selection | None = None
    ) -> tuple[ScoredIds, ScoredIds]:
        """Run both searches. In a large collection they run concurrently, because neither of them holds the GIL."""
        with self._session() as session:
            if self.counts().chunks < _MIN_CHUNKS_FOR_THREAD:
                return session.search_text(words, limit, selection), self.nearest(vector, limit, selection)
            with ThreadPoolExecutor(1, thread_name_prefix="nearest") as pool:
                nearest = pool.submit(session.vector_search(vector, limit, selection))
                texts = session.search_text(words, limit, selection)
                return texts, session.selected(nearest.result(), vector, limit, selection)

    def cosines(self, vector: FloatArray, ids: Sequence[str]) -> dict[str, float]:
        with self._session() as session:
            cosines = session.vectors().cosines(vector, ids, session.check_vectors)
            lost = session.catalog.existing(set(ids).difference(cosines)) if len(cosines) < len(ids) else ()
            if lost:
                session.raise_damaged(f"{len(lost)} of {len(ids)} vectors cannot be read")
        return cosines

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        import numpy as np

        with self._session() as session:
            vectors = session.vectors().get(ids, session.check_vectors)
            if lost := [each for each in ids if each not in vectors]:
                session.raise_damaged(f"{len(lost)} of {len(ids)} vectors cannot be read")
                raise busy(
                    f"an ingest is changing {self._layout.directory}",
                    hint="wait until the ingest finishes, then try again",
                )
        return np.array([vectors[each] for each in ids], dtype=np.float32)

    @contextmanager
    def _session(self, limit: TimeLimit | None = None) -> "Iterator[_Session]":
        """This thread's session, or a new one if it has none."""
        session: _Session | None = getattr(self._thread_state, "session", None)
        if session is not None:
            yield session
            return
        epoch = self._enter_epoch()
        try:
            with epoch.snapshot(limit) as catalog, ExitStack() as stack:
                self._thread_state.session = _Session(self._layout, epoch, catalog, stack, limit, self._cache)
                try:
                    yield self._thread_state.session
                finally:
                    self._thread_state.session = None
        finally:
            epoch.leave()

    def _enter_epoch(self) -> OpenEpoch:
        """Open the active epoch and register this reader as its user. The caller must call `leave` on the epoch."""
        with self._lock:
            name = self._active_epoch()
            while self._epoch is None or self._epoch.name != name or not self._epoch.enter():
                outdated, self._epoch = self._epoch, None
                if outdated is not None:
                    outdated.retire()
                try:
                    self._epoch = OpenEpoch(self._layout, name)
                except StreamragError:
                    # A rebuild may have replaced and removed the epoch since the lookup.
                    if self._active_epoch() == name:
                        raise
                    name = self._active_epoch()
            return self._epoch

    def _active_epoch(self) -> str:
        active = self._layout.active_epoch()
        if active is None:
            raise missing_collection(
                self._layout.store, self._layout.collection, existing=collections(self._layout.store)
            )
        return active.epoch


class _Session:
    """A snapshot of the catalog that one thread reads, and the Chroma collection if it is needed."""

    def __init__(  # noqa: PLR0917
        self,
        layout: Layout,
        epoch: OpenEpoch,
        catalog: Catalog,
        stack: ExitStack,
        limit: TimeLimit | None,
        cache: dict[str, Any],
    ) -> None:
        self.epoch = epoch
        self.catalog = catalog
        self.generation = catalog.generation  # the first read determines the state that the snapshot shows
        self._layout = layout
        self._stack = stack
        self._limit = limit
        self._cache = cache
        self._vectors: Vectors | None = None
        self._frequencies: dict[str, int] = {}

    def vectors(self) -> Vectors:
        """The Chroma collection. It is opened only on the first call, because opening it is slow."""
        if self._vectors is None:
            shared = self.epoch.vectors(self.generation, self._open_vectors, self._limit)
            self._vectors = self._stack.enter_context(shared)
        if self._limit is not None:
            self._limit.check()
        return self._vectors

    def vector_search(self, vector: FloatArray, limit: int, selection: Selection | None) -> Callable[[], ScoredIds]:
        """Return the part of a vector search that does not read the catalog, so that another thread can run it.

        If few chunks are selected, their vectors are all compared. Otherwise all vectors are searched for more hits
        than needed, because `selected` then removes the hits that are not selected.
        """
        vectors = self.vectors()
        if selection is None:
            return partial(vectors.nearest, vector, limit)
        if selection.chunks <= _MAX_COMPARED:
            return partial(best_of, *self._selected_vectors(selection), vector, limit)
        count = ceil(limit * _EXPECTED_SHARE * selection.total / selection.chunks)
        if count <= _MAX_FETCHED:
            return partial(vectors.nearest, vector, count)
        return partial(vectors.nearest_of, vector, self.catalog.selected_chunk_ids(selection), limit)

    def selected(self, hits: ScoredIds, vector: FloatArray, limit: int, selection: Selection | None) -> ScoredIds:
        """Filter the hits of `vector_search` by the selection. If too few remain, search only the selected chunks."""
        if selection is None or selection.chunks <= _MAX_COMPARED:
            return hits
        selected_hits = self._only_selected(hits, selection)[:limit]
        if len(selected_hits) >= limit * _LEAST_SHARE:
            return selected_hits
        return self.vectors().nearest_of(vector, self.catalog.selected_chunk_ids(selection), limit)

    def _selected_vectors(self, selection: Selection) -> tuple[list[str], FloatArray]:
        """The ids and vectors of the selected chunks. They are cached, because reading takes 0.05 ms per vector."""
        import numpy as np

        key = self.epoch.name, self.generation, selection
        cached = self._cache.get("vectors")
        if cached is None or cached[0] != key:
            stored = self.vectors().get(self.catalog.selected_chunk_ids(selection), self.check_vectors)
            if lost := selection.chunks - len(stored):
                self.raise_damaged(f"{lost} of {selection.chunks} vectors cannot be read")
            matrix = np.array(list(stored.values()), dtype=np.float32).reshape(len(stored), -1 if stored else 0)
            # Chroma rounds the stored vectors, so divide by their length.
            matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
            self._cache["vectors"] = cached = key, list(stored), matrix
        return cached[1:]

    def search_text(self, words: Sequence[str], limit: int, selection: Selection | None) -> ScoredIds:
        weights = self._weights(words)
        by_weight = {weight: [word for word in weights if weights[word] == weight] for weight in weights.values()}
        matches = {match_expression(of_weight): weight for weight, of_weight in by_weight.items()}
        if selection is not None and selection.chunks * 4 > selection.total:
            # Filtering more hits gives the same result as looking up every matching chunk, and is faster.
            count = ceil(limit * _TEXT_SURPLUS * selection.total / selection.chunks)
            hits = self.catalog.search_text(matches, count)
            selected_hits = self._only_selected(hits, selection)
            if len(selected_hits) >= limit or len(hits) < count:
                return selected_hits[:limit]
        return self.catalog.search_text(matches, limit, selection)

    def _only_selected(self, hits: ScoredIds, selection: Selection) -> ScoredIds:
        allowed = self.catalog.within([chunk_id for chunk_id, _ in hits], selection)
        return [each for each in hits if each[0] in allowed]

    def _weights(self, words: Sequence[str]) -> dict[str, int]:
        """The unstemmed words to search for, with their weights. A word that the tokenizer splits becomes a phrase."""
        distinct = list(dict.fromkeys(words))
        phrases = dict(zip(distinct, map(tuple, stems(distinct, are_separate=True)), strict=True))
        if any(len(phrase) > MOST_WORDS for phrase in phrases.values()):
            return self._weights([part for word in words for part in word.split("_")])
        counts = Counter(phrase for word in words if (phrase := phrases[word]))
        frequencies = self.document_frequencies(stem for phrase in counts for stem in phrase)
        chosen = rarest_words(counts, {phrase: min(frequencies[stem] for stem in phrase) for phrase in counts})
        first = {phrase: word for word, phrase in reversed(phrases.items())}
        return {first[phrase]: weight for phrase, weight in chosen.items()}

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        # Cached, because counting reads all index entries for a term, and each question needs the count twice.
        distinct = list(dict.fromkeys(terms))
        unknown = [term for term in distinct if term not in self._frequencies]
        self._frequencies |= self.catalog.document_frequencies(unknown)
        return {term: self._frequencies[term] for term in distinct}

    def _open_vectors(self) -> Vectors:
        directory = self.epoch.vectors_directory
        if not index_fingerprint.are_unchanged(self.catalog, directory):
            self.raise_damaged("the index files have changed since they were written")
        vectors = Vectors(directory, self._layout.collection, self._limit)
        try:
            # Writers add vectors before their chunks, and delete them after their chunks, so every chunk has a vector.
            count, expected = vectors.count(), self.catalog.counts().chunks
            if count < expected:
                self.raise_damaged(f"only {count} of {expected} vectors are left")
            self._check_unsaved(vectors)
        except BaseException:
            vectors.close()
            raise
        return vectors

    def _check_unsaved(self, vectors: Vectors) -> None:
        """Check the vectors that Chroma has not yet saved in an index. The index fingerprint covers saved vectors."""
        import numpy as np

        unsaved = vectors.unsaved()
        expected = self.catalog.vector_fingerprints(unsaved) if unsaved else {}
        if not unsaved or not expected:
            return
        length = 4 * (self.catalog.dimension or 0)
        known = [each for each in unsaved if each in expected]
        if any(not isinstance(unsaved[each], bytes) or len(unsaved[each]) != length for each in known):
            self.raise_damaged("some vectors have changed since they were written")
            return
        matrix = np.frombuffer(b"".join(unsaved[each] for each in known), dtype="<f4").reshape(len(known), -1)
        self.check_vectors(known, matrix)

    def check_vectors(self, ids: Sequence[str], vectors: FloatArray) -> None:
        """Raise `store_damaged` if one of the vectors has changed since it was written."""
        if changed := changed_vectors(ids, vectors, self.catalog.vector_fingerprints(ids)):
            self.raise_damaged(f"{len(changed):,} vectors have changed since they were written")

    def raise_damaged(self, why: str) -> None:
        """Raise `store_damaged`, unless an ingest has changed the vectors since this snapshot was taken."""
        with closing(Catalog(self.epoch.catalog_file)) as now:
            if now.generation == self.generation and index_fingerprint.recorded(now) == index_fingerprint.recorded(
                self.catalog
            ):
                raise damaged_vectors(self.epoch.vectors_directory, why)
