"""A collection, open for reading."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from streamrag_cli.errors import StoreError, StreamragError
from streamrag_cli.store import index_files
from streamrag_cli.store.catalog import Catalog, Counts, StoredChunk, damaged_catalog
from streamrag_cli.store.index_files import damaged
from streamrag_cli.store.layout import Layout
from streamrag_cli.store.lock import using
from streamrag_cli.store.vectors import Vectors
from streamrag_cli.store.words import match_expression
from streamrag_cli.system_errors import refusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class CollectionReader:
    """Finds chunks; never sees half a document and notices what another process ingests.

    Wrap what belongs to one question in `reading()`: it reopens the files where they have changed and keeps
    other threads from doing so meanwhile. Raises StoreError: `store_missing`, `store_empty`, `store_damaged`.
    """

    def __init__(self, store: Path, collection: str) -> None:
        self._layout = Layout(store, collection)
        self._lock = RLock()
        self._epoch = ""
        self._opened_at = -1
        self._in_use = ExitStack()
        self._catalog: Catalog | None = None
        self._vectors: Vectors | None = None
        self._counted: tuple[tuple[str, int], Counts] | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._lock:
            self._open_catalog()
            with self.catalog.snapshot():
                self._drop_outdated_vectors()
                yield

    @property
    def is_ready(self) -> bool:
        """Whether Chroma is open; it may have to be opened again all the same."""
        return self._vectors is not None

    def get_ready(self) -> None:
        """Open Chroma, 0.6 s in a fresh process, which the first search would do otherwise."""
        with self.reading():
            self._open_vectors()

    def close(self) -> None:
        with self._lock:
            for each in (self._vectors, self._catalog):
                if each is not None:
                    each.close()
            self._vectors = self._catalog = None
            self._in_use.close()

    @property
    def catalog(self) -> Catalog:
        with self._lock:
            if self._catalog is None:
                self._open_catalog()
            assert self._catalog is not None  # noqa: S101 - the line above opens it or raises
            return self._catalog

    @property
    def embedding(self) -> str:
        """The name of the embedding that made the vectors."""
        return self.catalog.meta("embedding") or ""

    def counts(self) -> Counts:
        # Counting reads an index from end to end, and every change of it raises the generation.
        catalog = self.catalog
        state = self._epoch, catalog.generation
        if self._counted is None or self._counted[0] != state:
            self._counted = state, catalog.counts()
        return self._counted[1]

    def chunks(self, chunk_ids: Iterable[str]) -> dict[str, StoredChunk]:
        return self.catalog.chunks(chunk_ids)

    def found_chunks(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """The chunks, in this order, that a search has found in the same `reading()`."""
        found = self.chunks(chunk_ids)
        if len(found) < len(set(chunk_ids)):
            file = self._layout.catalog(self._epoch)
            raise damaged_catalog(file, f"{len(chunk_ids) - len(found)} chunks that its index names are not in it")
        return [found[chunk_id] for chunk_id in chunk_ids]

    def known(self, chunk_ids: Iterable[str]) -> set[str]:
        return self.catalog.known(chunk_ids)

    def search_text(self, words: Sequence[str], limit: int) -> list[tuple[str, float]]:
        return self.catalog.search_text(match_expression(words), limit) if words else []

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        return self.catalog.document_frequencies(terms)

    def nearest(self, vector: "NDArray[np.float32]", limit: int) -> list[tuple[str, float]]:
        return self._open_vectors().nearest(vector, limit)

    def search_both(
        self, words: Sequence[str], vector: "NDArray[np.float32]", limit: int
    ) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
        """`search_text` and `nearest` at the same time: neither holds the GIL."""
        vectors = self._open_vectors()
        with ThreadPoolExecutor(1, thread_name_prefix="nearest") as beside:
            nearest = beside.submit(vectors.nearest, vector, limit)
            return self.search_text(words, limit), nearest.result()

    def cosines(self, vector: "NDArray[np.float32]", ids: Sequence[str]) -> dict[str, float]:
        """The exact cosine of each id to `vector`; ids that are not in the collection are left out."""
        found = self._open_vectors().cosines(vector, ids)
        lost = self.known(set(ids).difference(found)) if len(found) < len(ids) else ()
        if lost:
            self._complain(f"{len(lost)} of {len(ids)} vectors cannot be read")
        return found

    def vectors(self, ids: Sequence[str]) -> "NDArray[np.float32]":
        """The stored vectors, one row for each id, in their order. All of them must be in the collection."""
        import numpy as np

        found = self._open_vectors().get(ids)
        if lost := [each for each in ids if each not in found]:
            self._complain(f"{len(lost)} of {len(ids)} vectors cannot be read")
            raise StoreError(
                f"the store is busy: an ingest is changing {self._layout.directory}",
                code="store_busy",
                hint="wait for it to end, and try again",
                retryable=True,
            )
        return np.array([found[each] for each in ids], dtype=np.float32)

    def _open_catalog(self) -> None:
        epoch = self._current_epoch()
        while self._catalog is None or epoch != self._epoch or self._catalog.is_outdated():
            self.close()
            try:
                self._open_epoch(epoch)
            except StreamragError:
                # A rebuild may have ended, and removed the epoch, since it was looked up.
                if self._current_epoch() == epoch:
                    raise
            epoch = self._current_epoch()

    def _open_epoch(self, epoch: str) -> None:
        directory = self._layout.epoch_directory(epoch)
        with ExitStack() as stack:
            try:
                stack.enter_context(using(directory))
            except OSError as error:
                refused = refusal(self._layout.store, error)
                raise refused or damaged(directory, error.strerror or str(error)) from error
            self._catalog = Catalog(self._layout.catalog(epoch))
            self._epoch = epoch
            self._in_use = stack.pop_all()

    def _current_epoch(self) -> str:
        current = self._layout.current()
        if current is None:
            raise self._layout.missing()
        return current.epoch

    def _drop_outdated_vectors(self) -> None:
        # Chroma shows an open client the new count and searches the old index.
        if self._vectors is not None and self.catalog.generation != self._opened_at:
            self._vectors.close()
            self._vectors = None

    def _open_vectors(self) -> Vectors:
        """Open Chroma; it is slow to open and not every caller needs it."""
        with self._lock:
            catalog = self.catalog
            if self._vectors is None:
                self._opened_at = catalog.generation
                directory = self._layout.vectors(self._epoch)
                if not index_files.are_as_noted(catalog, directory):
                    self._complain("its index files are not those that were written")
                vectors = Vectors(directory, self._layout.collection)
                try:
                    # A writer adds vectors before their chunks and deletes them after, so there are never too few.
                    found, expected = vectors.count(), catalog.counts().chunks
                    if found < expected:
                        self._complain(f"it holds {found} of {expected} vectors")
                except BaseException:
                    vectors.close()
                    raise
                self._vectors = vectors
            return self._vectors

    def _complain(self, why: str) -> None:
        """Raise `store_damaged`, unless an ingest has changed the vectors since this question's snapshot was taken."""
        with closing(Catalog(self._layout.catalog(self._epoch))) as now:
            if now.generation == self.catalog.generation and index_files.noted(now) == index_files.noted(self.catalog):
                raise damaged(self._layout.vectors(self._epoch), why)
