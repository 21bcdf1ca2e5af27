"""The interface that every backend implements; `registry.open_store` returns the store at an address."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from streamrag_cli.errors import StoreError
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.interface import Manifest, Reader, Writer, damaged
from streamrag_cli.store.time_limit import Cancellation
from streamrag_cli.store.watchers import WatcherState, WatchLease

_NAMED: Final = 5
_MAX_COLLECTIONS: Final = 20
"""With more collections, hints do not suggest any: opening each one to see whether it is empty takes too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStatus:
    """The status of one collection. `size_bytes` is its size on disk; `last_ingest` is ISO 8601 in UTC, or None."""

    collection: str
    documents: int
    chunks: int
    embedding: str
    dimension: int | None
    size_bytes: int
    last_ingest: str | None
    generation: int
    roots: tuple[str, ...]

    @classmethod
    def of(cls, collection: str, manifest: Manifest, *, size_bytes: int) -> "CollectionStatus":
        counts, dimension = manifest.counts(), manifest.meta("dimension")
        return cls(
            collection=collection,
            documents=counts.documents,
            chunks=counts.chunks,
            embedding=manifest.meta("embedding") or "",
            dimension=int(dimension) if dimension else None,
            size_bytes=size_bytes,
            last_ingest=manifest.meta("last_ingest"),
            generation=manifest.generation,
            roots=tuple(manifest.roots()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrityReport:
    """The result of an integrity check.

    Each of `problems` is a clause about the collection. `summary` describes the checks, and is shown if `problems` is
    empty. `interrupted` means that an ingest started and never ended, `changing` that an ingest changed the collection
    during the check.
    """

    chunks: int
    summary: str
    figures: Mapping[str, float]
    problems: tuple[str, ...] = ()
    interrupted: bool = False
    changing: bool = False
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpace:
    """The disk that contains the directory `place`."""

    place: str
    free_bytes: int
    is_writable: bool

    @property
    def free(self) -> str:
        return f"{self.free_bytes / 1e6:,.0f} MB free"


class Store(Protocol):
    """The collections at one address. Nothing is opened before a method needs it.

    `str` returns the address without its password, for messages and logs.
    """

    def __init__(self, address: Any) -> None: ...

    @staticmethod
    def address(raw: str) -> StoreAddress:
        """Parse an address as the user typed it. Raises ValueError."""

    @property
    def has_local_files(self) -> bool:
        """Whether its documents are files on this machine, so that commands can check whether they still exist."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords and keys in the address, which must not be shown."""

    def with_secret(self) -> str:
        """The whole address with its password, in a form that `store_address` can parse. Must not be shown."""

    def display_address(self, raw: str) -> str:
        """The address as it was typed, without its password."""

    def environment_overrides(self, environment: Mapping[str, str]) -> list[str]:
        """The names of the environment variables that affect connections to the store, sorted."""

    def identity(self) -> int | None:
        """A number that changes if the store at this address is replaced by another; None if there is no store."""

    def reader(self, collection: str) -> Reader:
        """A reader of the collection. It opens nothing before it is used."""

    def writer(self, collection: str, *, embedding: str, rebuild: bool = False) -> AbstractContextManager[Writer]:
        """Lock the collection for writing, and create it if it does not exist.

        With `rebuild`, everything is written to a new collection, which replaces the old one if the `with` block ends
        without an error. Raises StoreError: `store_busy`, `store_not_writable`, `store_damaged`, `another_embedding`,
        `store_unreachable`.
        """

    def manifest(self, collection: str) -> AbstractContextManager[Manifest | None]:
        """The contents of the collection, without its vectors; None if it does not exist."""

    def roots(self, collection: str) -> list[str]:
        """The absolute paths that were ingested."""

    def remove(self, collection: str) -> list[Path]:
        """Remove a collection and all its documents. Raises StoreError: `store_busy`, `store_not_writable`.

        Returns the files and directories in the collection's directory that the store did not create, which stay.
        """

    def has_remains(self, collection: str) -> bool:
        """Whether contents of a collection that no longer exists are left, because its removal was interrupted.

        `remove` then removes them.
        """

    def collections(self, *, non_empty: bool = False, cancellation: Cancellation | None = None) -> list[str]:
        """The names of the collections, sorted; with `non_empty` only of collections with documents.

        Raises StoreError `interrupted` after `cancellation`.

        A damaged collection counts as non-empty, so that a question to it reports the damage.
        """

    def status(self, collection: str) -> CollectionStatus:
        """The status of a collection, read without opening vectors.

        Raises StoreError `store_missing` or `store_damaged`.
        """

    def check_integrity(self, collection: str, *, full: bool = False) -> IntegrityReport:
        """Check the collection for damage: every chunk if `full`, otherwise a limited number. Changes nothing.

        Raises StoreError if the collection cannot be read at all.
        """

    def load_libraries(self) -> None:
        """Import what the first write needs, which takes up to a second."""

    def watchers(self, collection: str) -> list[WatcherState]:
        """The recorded watchers of the collection, sorted by id; empty if the collection does not exist."""

    def record_watcher(self, collection: str, watcher: WatcherState) -> None:
        """Add or replace the record of a watcher. Does nothing if the collection does not exist. Raises StoreError."""

    def forget_watcher(self, collection: str, watcher_id: str) -> None:
        """Remove the record of a watcher. Raises StoreError."""

    def watch_lease(self, collection: str, roots: Sequence[str]) -> WatchLease:
        """The lease on watching `roots`, which at most one process on all machines holds."""

    def disk_space(self) -> DiskSpace | None:
        """The disk of the store; None if it is on another machine. Raises StoreError `store_not_writable`."""

    def scratch_store(self, scratch: Path) -> AbstractContextManager[StoreAddress]:
        """An empty store for the `with` block. Its files, if any, are in `scratch`, which the caller deletes."""


def status_of(store: Store, *, only: str | None = None) -> tuple[CollectionStatus, ...]:
    """The status of all collections, or of one. Raises StoreError `store_missing` or `store_damaged`."""
    names = [name for name in store.collections() if only in {None, name}]
    if not names and only:
        raise missing_collection(store, only, existing=store.collections())
    if not names:
        raise StoreError(f"nothing has been ingested into {store}", code="store_missing", hint="streamrag ingest PATH")
    return tuple(map(store.status, names))


def overview_of(store: Store) -> dict[str, CollectionStatus | StoreError]:
    """The status of every collection by name, or why it cannot be read. Raises StoreError `store_missing`.

    Errors that concern the whole store, such as `store_unreachable`, are raised.
    """
    names = store.collections()
    if not names:
        raise StoreError(f"nothing has been ingested into {store}", code="store_missing", hint="streamrag ingest PATH")
    overview: dict[str, CollectionStatus | StoreError] = {}
    for name in names:
        try:
            overview[name] = store.status(name)
        except StoreError as error:
            if error.code not in {"store_damaged", "store_format", "store_missing"}:
                raise
            overview[name] = error
    return overview


def other_collections(store: Store, collections: Sequence[str]) -> list[str]:
    """The other collections with documents, for advice. Empty if the store is on another machine or has very many."""
    if not store.has_local_files:
        return []
    try:
        names = store.collections()
        if len(names) == 1 or len(names) > _MAX_COLLECTIONS:
            return []
        return [each for each in store.collections(non_empty=True) if each not in collections]
    except (StoreError, OSError):  # advice is not worth another failure
        return []


def missing_collection(store: object, collection: str, *, existing: Sequence[str] = ()) -> StoreError:
    """The error for a collection that does not exist; the message shows `str` of `store` and the `existing` ones."""
    named = f"; it has {', '.join(existing[:_NAMED])}" if existing else ""
    named += f" and {len(existing) - _NAMED} more" if len(existing) > _NAMED else ""
    message = f"no collection {collection!r} in {store}{named}"
    return StoreError(message, code="store_missing", hint="streamrag ingest PATH")


def damaged_collection(collection: str, why: str) -> StoreError:
    return damaged(f"the collection {collection!r} is damaged: {why}")
