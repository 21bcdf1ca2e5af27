"""One open epoch of a collection, shared by any number of threads.

An epoch is one version of a collection's files; a rebuild creates a new one. Each snapshot has its own SQLite
connection. All threads share one Chroma handle, and their searches run concurrently. If the generation has changed, a
new handle is opened, because an open handle continues to search the old index. Threads that use the old handle keep it
until they finish.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.index_fingerprint import damaged_vectors
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.lock import shared
from streamrag_cli.store.local.vectors import Vectors
from streamrag_cli.store.time_limit import TimeLimit
from streamrag_cli.system_errors import refusal

_MAX_IDLE: Final = 4  # the maximum number of idle connections, each of which may cache 2 MB of pages


class _SharedVectors:
    """A Chroma handle and its number of users. `opened_at` is the collection's generation at the time of opening."""

    def __init__(self, vectors: Vectors, opened_at: int) -> None:
        self.vectors = vectors
        self.opened_at = opened_at
        self.users = 0


class OpenEpoch:
    """An open epoch. Its files are not removed while it is open.

    After `retire`, it is closed when its last user leaves. Raises StoreError `store_damaged`.
    """

    def __init__(self, layout: Layout, name: str) -> None:
        self.name = name
        self._layout = layout
        self._lock = Lock()  # protects the fields; not held during searches
        self._opening_vectors = Lock()
        self._users = 0
        self._is_retired = False
        self._shared_vectors: _SharedVectors | None = None
        with ExitStack() as stack:
            directory = layout.epoch_directory(name)
            try:
                stack.enter_context(shared(directory))
            except OSError as error:
                refused = refusal(layout.store, error)
                raise refused or damaged_vectors(directory, error.strerror or str(error)) from error
            # Open one connection immediately, so that damage to the catalog is reported when the collection is opened.
            self._idle = [self.new_catalog()]
            self._files_in_use = stack.pop_all()

    @property
    def catalog_file(self) -> Path:
        return self._layout.catalog(self.name)

    @property
    def vectors_directory(self) -> Path:
        return self._layout.vectors(self.name)

    @property
    def has_open_vectors(self) -> bool:
        return self._shared_vectors is not None

    def new_catalog(self) -> Catalog:
        return Catalog(self.catalog_file)

    def enter(self) -> bool:
        """Register a user, who must call `leave` later. Return False if the epoch is retired."""
        with self._lock:
            self._users += not self._is_retired
            return not self._is_retired

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
        self._close_if_done()

    def retire(self) -> None:
        with self._lock:
            self._is_retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        with self._lock:
            if not self._is_retired or self._users:
                return
            idle, self._idle = self._idle, []
            shared, self._shared_vectors = self._shared_vectors, None
        for catalog in idle:
            catalog.close()
        if shared is not None:
            shared.vectors.close()
        self._files_in_use.close()

    @contextmanager
    def snapshot(self, limit: TimeLimit | None) -> Iterator[Catalog]:
        """Open a snapshot of the catalog on a separate connection. Raises StoreError `retrieval_timeout`."""
        catalog = self._idle_catalog() or self.new_catalog()
        has_succeeded = False
        try:
            with catalog.snapshot(limit):
                yield catalog
            has_succeeded = True
        finally:
            with self._lock:
                if is_reused := has_succeeded and len(self._idle) < _MAX_IDLE:
                    self._idle.append(catalog)
            if not is_reused:
                catalog.close()

    def _idle_catalog(self) -> Catalog | None:
        """Take an idle connection from the pool; None if it is empty. Close outdated copies of a read-only store."""
        while True:
            with self._lock:
                catalog = self._idle.pop() if self._idle else None
            if catalog is None or not catalog.is_outdated():
                return catalog
            catalog.close()

    @contextmanager
    def vectors(self, generation: int, open_them: Callable[[], Vectors], limit: TimeLimit | None) -> Iterator[Vectors]:
        """The shared Chroma handle. Calls `open_them` if there is no handle, or only one older than `generation`."""
        # Only one thread opens Chroma, because all waiting threads need the same handle.
        with limit.acquired(self._opening_vectors) if limit else self._opening_vectors:
            shared = self._shared_vectors
            if shared is None or shared.opened_at < generation:
                shared = _SharedVectors(open_them(), generation)
                self._replace_vectors(shared)
            with self._lock:
                shared.users += 1
        try:
            yield shared.vectors
        finally:
            with self._lock:
                shared.users -= 1
            self._close_if_outdated(shared)

    def _replace_vectors(self, new: _SharedVectors) -> None:
        with self._lock:
            before, self._shared_vectors = self._shared_vectors, new
        if before is not None:
            self._close_if_outdated(before)

    def _close_if_outdated(self, shared: _SharedVectors) -> None:
        with self._lock:
            is_done = shared is not self._shared_vectors and not shared.users
            shared.users -= is_done  # negative, so that no other thread closes it
        if is_done:
            shared.vectors.close()
