"""A collection, open for reading."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Lock, local
from typing import Final

from streamrag_cli.errors import StreamragError
from streamrag_cli.store.backend import missing_collection
from streamrag_cli.store.interface import Counts, FloatArray, ScoredIds, StoredChunk, busy
from streamrag_cli.store.local import index_fingerprint
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.database import damaged_catalog
from streamrag_cli.store.local.epoch import OpenEpoch
from streamrag_cli.store.local.index_fingerprint import damaged_vectors
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.vectors import Vectors
from streamrag_cli.store.stemming import MOST_WORDS, match_expression, rarest_words, stems
from streamrag_cli.store.time_limit import TimeLimit

_WORTH_A_THREAD: Final = 5_000
"""Chunks from which on it takes longer to search for a vector than to start a thread."""


class CollectionReader:
    """Finds chunks; never sees half a document and notices what another process ingests.

    Wrap what belongs to one question in `snapshot()`: it reopens the files if they have changed. Any number of threads
    may read at once, each its own snapshot. Raises StoreError: `store_missing`, `store_empty`, `store_damaged`.
    """

    def __init__(self, store: Path, collection: str) -> None:
        self._layout = Layout(store, collection)
        self._lock = Lock()  # held to look up the epoch and to open one, never during a search
        self._epoch: OpenEpoch | None = None
        self._catalog: tuple[OpenEpoch, Catalog] | None = None
        self._mine = local()
        self._counted: tuple[tuple[str, int], Counts] | None = None

    @contextmanager
    def snapshot(self, limit: TimeLimit | None = None) -> Iterator[None]:
        with self._session(limit):
            yield

    @property
    def is_prepared(self) -> bool:
        """Whether Chroma is open; it may have to be opened again all the same."""
        return self._epoch is not None and self._epoch.has_open_vectors

    def prepare(self, limit: TimeLimit | None = None) -> None:
        """Open Chroma, 0.6 s in a fresh process, which the first search would do otherwise."""
        with self._session(limit) as session:
            session.vectors()

    def close(self) -> None:
        """Let go of the files; a reading in another thread keeps them until its end."""
        with self._lock:
            epoch, self._epoch = self._epoch, None
            catalog, self._catalog = self._catalog, None
        if catalog is not None:
            catalog[1].close()
        if epoch is not None:
            epoch.retire()

    @property
    def catalog(self) -> Catalog:
        """This thread's snapshot, or outside `snapshot()` a connection without one."""
        mine: _Session | None = getattr(self._mine, "session", None)
        if mine is not None:
            return mine.catalog
        epoch = self._entered()
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
        # Counting reads an index from end to end, and every change of it raises the generation.
        with self._session() as session:
            state = session.epoch.name, session.generation
            counted = self._counted
            if counted is None or counted[0] != state:
                self._counted = counted = state, session.catalog.counts()
            return counted[1]

    def chunks(self, chunk_ids: Iterable[str]) -> dict[str, StoredChunk]:
        with self._session() as session:
            return session.catalog.chunks(chunk_ids)

    def require_chunks(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        with self._session() as session:
            found = session.catalog.chunks(chunk_ids)
            if len(found) < len(set(chunk_ids)):
                why = f"{len(chunk_ids) - len(found)} chunks listed in its index are missing"
                raise damaged_catalog(session.epoch.catalog_file, why)
        return [found[chunk_id] for chunk_id in chunk_ids]

    def existing(self, chunk_ids: Iterable[str]) -> set[str]:
        with self._session() as session:
            return session.catalog.existing(chunk_ids)

    def search_text(self, words: Sequence[str], limit: int) -> ScoredIds:
        with self._session() as session:
            return session.search_text(words, limit)

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        with self._session() as session:
            return session.document_frequencies(terms)

    def nearest(self, vector: FloatArray, limit: int) -> ScoredIds:
        with self._session() as session:
            return session.vectors().nearest(vector, limit)

    def search_both(self, words: Sequence[str], vector: FloatArray, limit: int) -> tuple[ScoredIds, ScoredIds]:
        """`search_text` and `nearest`, in a large collection at the same time: neither holds the GIL."""
        with self._session() as session:
            if self.counts().chunks < _WORTH_A_THREAD:
                return session.search_text(words, limit), session.vectors().nearest(vector, limit)
            with ThreadPoolExecutor(1, thread_name_prefix="nearest") as pool:
                nearest = pool.submit(session.vectors().nearest, vector, limit)
                return session.search_text(words, limit), nearest.result()

    def cosines(self, vector: FloatArray, ids: Sequence[str]) -> dict[str, float]:
        with self._session() as session:
            found = session.vectors().cosines(vector, ids)
            lost = session.catalog.existing(set(ids).difference(found)) if len(found) < len(ids) else ()
            if lost:
                session.raise_damaged(f"{len(lost)} of {len(ids)} vectors cannot be read")
        return found

    def token_states(self, ids: Collection[str]) -> dict[str, bytes]:
        with self._session() as session:
            return session.catalog.token_states(ids)

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        import numpy as np

        with self._session() as session:
            found = session.vectors().get(ids)
            if lost := [each for each in ids if each not in found]:
                session.raise_damaged(f"{len(lost)} of {len(ids)} vectors cannot be read")
                raise busy(f"an ingest is changing {self._layout.directory}", hint="wait until it ends, then try again")
        return np.array([found[each] for each in ids], dtype=np.float32)

    @contextmanager
    def _session(self, limit: TimeLimit | None = None) -> "Iterator[_Session]":
        """This thread's reading, or one of its own if it has none."""
        mine: _Session | None = getattr(self._mine, "session", None)
        if mine is not None:
            yield mine
            return
        epoch = self._entered()
        try:
            with epoch.snapshot(limit) as catalog, ExitStack() as stack:
                self._mine.session = _Session(self._layout, epoch, catalog, stack, limit)
                try:
                    yield self._mine.session
                finally:
                    self._mine.session = None
        finally:
            epoch.leave()

    def _entered(self) -> OpenEpoch:
        """The epoch that counts now, open and in use until `leave`."""
        with self._lock:
            name = self._current_epoch()
            while self._epoch is None or self._epoch.name != name or not self._epoch.enter():
                outdated, self._epoch = self._epoch, None
                if outdated is not None:
                    outdated.retire()
                try:
                    self._epoch = OpenEpoch(self._layout, name)
                except StreamragError:
                    # A rebuild may have ended, and removed the epoch, since it was looked up.
                    if self._current_epoch() == name:
                        raise
                    name = self._current_epoch()
            return self._epoch

    def _current_epoch(self) -> str:
        current = self._layout.active_epoch()
        if current is None:
            raise missing_collection(self._layout.store, self._layout.collection)
        return current.epoch


class _Session:
    """One thread's reading: a snapshot, and Chroma once it is asked for."""

    def __init__(
        self, layout: Layout, epoch: OpenEpoch, catalog: Catalog, stack: ExitStack, limit: TimeLimit | None
    ) -> None:
        self.epoch = epoch
        self.catalog = catalog
        self.generation = catalog.generation  # also the snapshot's first read, which fixes what it sees
        self._layout = layout
        self._stack = stack
        self._limit = limit
        self._vectors: Vectors | None = None
        self._frequencies: dict[str, int] = {}

    def vectors(self) -> Vectors:
        """Chroma; it is slow to open and not every reading needs it."""
        if self._vectors is None:
            shared = self.epoch.vectors(self.generation, self._opened_vectors, self._limit)
            self._vectors = self._stack.enter_context(shared)
        if self._limit is not None:
            self._limit.check()
        return self._vectors

    def search_text(self, words: Sequence[str], limit: int) -> ScoredIds:
        weights = self._weights(words)
        by_weight = {weight: [word for word in weights if weights[word] == weight] for weight in weights.values()}
        matches = {match_expression(of_weight): weight for weight, of_weight in by_weight.items()}
        return self.catalog.search_text(matches, limit)

    def _weights(self, words: Sequence[str]) -> dict[str, int]:
        """The words to look for, as they were given. A word that the index splits is looked for as a phrase."""
        given = list(dict.fromkeys(words))
        phrases = dict(zip(given, map(tuple, stems(given, are_separate=True)), strict=True))
        if any(len(phrase) > MOST_WORDS for phrase in phrases.values()):
            return self._weights([part for word in words for part in word.split("_")])
        asked = Counter(phrase for word in words if (phrase := phrases[word]))
        frequencies = self.document_frequencies(stem for phrase in asked for stem in phrase)
        chosen = rarest_words(asked, {phrase: min(frequencies[stem] for stem in phrase) for phrase in asked})
        first = {phrase: word for word, phrase in reversed(phrases.items())}
        return {first[phrase]: weight for phrase, weight in chosen.items()}

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        # Counting reads all that the index has of a term, and a question needs it twice.
        wanted = list(dict.fromkeys(terms))
        unknown = [term for term in wanted if term not in self._frequencies]
        self._frequencies |= self.catalog.document_frequencies(unknown)
        return {term: self._frequencies[term] for term in wanted}

    def _opened_vectors(self) -> Vectors:
        directory = self.epoch.vectors_directory
        if not index_fingerprint.are_unchanged(self.catalog, directory):
            self.raise_damaged("its index files have changed since they were written")
        vectors = Vectors(directory, self._layout.collection, self._limit)
        try:
            # A writer adds vectors before their chunks and deletes them after, so there are never too few.
            found, expected = vectors.count(), self.catalog.counts().chunks
            if found < expected:
                self.raise_damaged(f"it has only {found} of {expected} vectors")
        except BaseException:
            vectors.close()
            raise
        return vectors

    def raise_damaged(self, why: str) -> None:
        """Raise `store_damaged`, unless an ingest has changed the vectors since this snapshot was taken."""
        with closing(Catalog(self.epoch.catalog_file)) as now:
            if now.generation == self.generation and index_fingerprint.recorded(now) == index_fingerprint.recorded(
                self.catalog
            ):
                raise damaged_vectors(self.epoch.vectors_directory, why)
