"""The store in a local directory. Its methods import libraries only when needed, so that parsing an address is fast."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamrag_cli.errors import StoreError
from streamrag_cli.missing_files import is_missing

if TYPE_CHECKING:
    from streamrag_cli.store.backend import CollectionStatus, DiskSpace, IntegrityReport
    from streamrag_cli.store.interface import Reader, Writer
    from streamrag_cli.store.local.catalog import Catalog
    from streamrag_cli.store.time_limit import Cancellation
    from streamrag_cli.store.watchers import WatcherState, WatchLease

_MIN_FREE_BYTES: Final = 20_000_000


class LocalStore:
    """A `Store` in a directory."""

    secrets: Final = ()
    has_local_files: Final = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @staticmethod
    def address(raw: str) -> Path:
        return Path(raw).expanduser()

    def __str__(self) -> str:
        return str(self._directory)

    def with_secret(self) -> str:
        return str(self._directory)

    def display_address(self, raw: str) -> str:
        return raw

    def environment_overrides(self, environment: Mapping[str, str]) -> list[str]:  # noqa: ARG002
        return []

    def identity(self) -> int | None:
        try:
            return self._directory.stat().st_ino
        except OSError:
            return None

    def reader(self, collection: str) -> "Reader":
        from streamrag_cli.store.local.reader import CollectionReader

        return CollectionReader(self._directory, collection)

    def writer(self, collection: str, *, embedding: str, rebuild: bool = False) -> "AbstractContextManager[Writer]":
        from streamrag_cli.store.local.writer import open_for_writing

        return open_for_writing(self._directory, collection, embedding=embedding, rebuild=rebuild)

    @contextmanager
    def manifest(self, collection: str) -> "Iterator[Catalog | None]":
        from streamrag_cli.store.local.catalog import Catalog
        from streamrag_cli.store.local.layout import Layout

        layout = Layout(self._directory, collection)
        active = layout.active_epoch()
        if active is None:
            yield None
            return
        with closing(Catalog(layout.catalog(active.epoch))) as catalog:
            yield catalog

    def roots(self, collection: str) -> list[str]:
        """The absolute paths that were ingested. They are readable even if the catalog is damaged."""
        from streamrag_cli.store.local.layout import Layout

        active = Layout(self._directory, collection).active_epoch()
        return list(active.roots) if active else []

    def remove(self, collection: str) -> list[Path]:
        from streamrag_cli.store.local.writer import remove_collection

        return remove_collection(self._directory, collection)

    def has_remains(self, collection: str) -> bool:
        from streamrag_cli.store.local.layout import Layout

        return Layout(self._directory, collection).has_remains()

    def collections(
        self,
        *,
        non_empty: bool = False,
        cancellation: "Cancellation | None" = None,  # noqa: ARG002 - it takes milliseconds
    ) -> list[str]:
        from streamrag_cli.store.local.layout import collections

        return [name for name in collections(self._directory) if not non_empty or not self._is_empty(name)]

    def _is_empty(self, collection: str) -> bool:
        try:
            with self.manifest(collection) as manifest:
                return manifest is None or not manifest.counts().documents
        except StoreError:
            return False

    def status(self, collection: str) -> "CollectionStatus":
        from streamrag_cli.store.backend import CollectionStatus
        from streamrag_cli.store.local.layout import Layout
        from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, TimeLimit

        directory = Layout(self._directory, collection).directory
        with self.manifest(collection) as manifest:
            if manifest is None:
                raise StoreError(f"{directory} no longer exists", code="store_missing", hint="streamrag ingest PATH")
            with manifest.snapshot(TimeLimit(RETRIEVAL_LIMIT_S)):
                return CollectionStatus.of(collection, manifest, size_bytes=_size_bytes(directory))

    def check_integrity(self, collection: str, *, full: bool = False) -> "IntegrityReport":
        from streamrag_cli.store.local.integrity import check_in_subprocess  # imports numpy, about 100 ms

        return check_in_subprocess(self._directory, collection, full=full)

    def load_libraries(self) -> None:
        from streamrag_cli.store.local.vectors import load_chroma

        load_chroma()

    def watchers(self, collection: str) -> "list[WatcherState]":
        with self.manifest(collection) as catalog:
            return catalog.watchers() if catalog else []

    def record_watcher(self, collection: str, watcher: "WatcherState") -> None:
        with self._writable_catalog(collection) as catalog:
            if catalog:
                catalog.record_watcher(watcher)

    def forget_watcher(self, collection: str, watcher_id: str) -> None:
        with self._writable_catalog(collection) as catalog:
            if catalog:
                catalog.forget_watcher(watcher_id)

    @contextmanager
    def _writable_catalog(self, collection: str) -> "Iterator[Catalog | None]":
        """The active catalog, opened without the writer lock, for records that ingests do not change."""
        from streamrag_cli.store.local.catalog import Catalog
        from streamrag_cli.store.local.layout import Layout

        layout = Layout(self._directory, collection)
        active = layout.active_epoch()
        if active is None:
            yield None
            return
        with closing(Catalog(layout.catalog(active.epoch), write=True)) as catalog:
            yield catalog

    def watch_lease(self, collection: str, roots: "Sequence[str]") -> "WatchLease":
        from streamrag_cli.store.local.watch_lease import LocalWatchLease

        return LocalWatchLease(self._directory, collection, roots)

    def disk_space(self) -> "DiskSpace":
        import shutil

        from streamrag_cli.store.backend import DiskSpace
        from streamrag_cli.store.local.lock import not_writable

        existing = next(each for each in (self._directory, *self._directory.parents) if not is_missing(each))
        space = DiskSpace(
            place=str(existing),
            free_bytes=shutil.disk_usage(existing).free,
            is_writable=os.access(existing, os.W_OK | os.X_OK),
        )
        if not space.is_writable and not self.collections():
            raise not_writable(existing, "you do not have permission to write to the directory")
        if space.is_writable and space.free_bytes < _MIN_FREE_BYTES:
            raise not_writable(existing, f"the disk is almost full ({space.free})")
        return space

    @contextmanager
    def scratch_store(self, scratch: Path) -> Iterator[Path]:
        yield scratch / "store"


def _size_bytes(directory: Path) -> int:
    """The total size in bytes of all files below `directory`. Files that disappear during the count are ignored."""
    size_bytes = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                size_bytes += Path(parent, name).stat().st_size
    return size_bytes
