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
_LEAST_SIMILARITY: Final = 0.75
_MAX_COLLECTIONS: Final = 20
"""If a store has more collections, hints do not suggest any, because checking which ones are empty takes too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStatus:
    """The status of one collection.

    `size_bytes` is its size on disk. `last_ingest` is ISO 8601 in UTC, or None if no ingest has finished.
    """

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

    - `summary` describes the checks, and is shown if there are no `problems`.
    - Each of `problems` is a clause about the collection.
    - `interrupted` means that an earlier ingest did not finish.
    - `changing` means that an ingest changed the collection during the check.
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
    """The free space on the disk that contains the directory `place`, and whether the directory is writable."""

    place: str
    free_bytes: int
    is_writable: bool

    @property
    def free(self) -> str:
        """The free space in MB or, if there is much, in GB.

        >>> [DiskSpace(place="/", free_bytes=each, is_writable=True).free for each in (812_000_000, 78_129_000_000)]
        ['812 MB free', '78 GB free']
        """
        is_much = self.free_bytes >= 10e9
        return f"{self.free_bytes / 1e9:,.0f} GB free" if is_much else f"{self.free_bytes / 1e6:,.0f} MB free"


class Store(Protocol):
    """The collections at one address. Files and connections are opened only when a method needs them.

    `str` returns the address without its password, for messages and logs.
    """

    def __init__(self, address: Any) -> None: ...

    @staticmethod
    def address(raw: str) -> StoreAddress:
        """Parse an address as the user typed it. Raises ValueError."""

    @property
    def has_local_files(self) -> bool:
        """Whether the documents are files on this machine, so that commands can check whether they still exist."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords and keys in the address, which must not be shown."""

    def with_secret(self) -> str:
        """The whole address, including its password, in a form that `store_address` can parse. It must not be shown."""

    def display_address(self, raw: str) -> str:
        """The address `raw`, which a user typed, without its password."""

    def environment_overrides(self, environment: Mapping[str, str]) -> list[str]:
        """The names of the environment variables that affect connections to the store, sorted."""

    def identity(self) -> int | None:
        """A number that changes if the store at this address is replaced by another store; None if no store exists."""

    def reader(self, collection: str) -> Reader:
        """Return a reader for the collection. It opens files and connections only when it is used."""

    def writer(self, collection: str, *, embedding: str, rebuild: bool = False) -> AbstractContextManager[Writer]:
        """Lock the collection for writing during the `with` block, and create it if it does not exist.

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

        Returns the entries of the collection's directory that are kept, because the store did not create them.
        """

    def has_remains(self, collection: str) -> bool:
        """Whether an interrupted removal of this collection left files or tables behind. `remove` deletes them."""

    def collections(self, *, non_empty: bool = False, cancellation: Cancellation | None = None) -> list[str]:
        """The names of the collections, sorted. With `non_empty`, only collections that have documents.

        A damaged collection counts as non-empty, so that a question about it reports the damage. Raises StoreError
        `interrupted` after `cancellation`.
        """

    def status(self, collection: str) -> CollectionStatus:
        """The status of a collection. The vectors are not opened.

        Raises StoreError `store_missing` or `store_damaged`.
        """

    def check_integrity(self, collection: str, *, full: bool = False) -> IntegrityReport:
        """Check the collection for damage: every chunk if `full`, otherwise a limited number. Changes nothing.

        Raises StoreError if the collection cannot be read at all.
        """

    def load_libraries(self) -> None:
        """Import the libraries that the first write needs. This takes up to a second."""

    def watchers(self, collection: str) -> list[WatcherState]:
        """The recorded watchers of the collection, sorted by id; empty if the collection does not exist."""

    def record_watcher(self, collection: str, watcher: WatcherState) -> None:
        """Add or replace a watcher's record. Does nothing if the collection does not exist. Raises StoreError."""

    def forget_watcher(self, collection: str, watcher_id: str) -> None:
        """Remove a watcher's record. Raises StoreError."""

    def watch_lease(self, collection: str, roots: Sequence[str]) -> WatchLease:
        """Return the lease for watching `roots`. Only one process on all machines can acquire it at a time."""

    def disk_space(self) -> DiskSpace | None:
        """The disk that contains the store; None if the store is on another machine. Raises StoreError."""

    def scratch_store(self, scratch: Path) -> AbstractContextManager[StoreAddress]:
        """Create an empty store for the `with` block. Its files, if any, are in `scratch`, which the caller deletes."""


def status_of(store: Store, *, only: str | None = None) -> tuple[CollectionStatus, ...]:
    """The status of all collections, or of one. Raises StoreError `store_missing` or `store_damaged`."""
    names = [name for name in store.collections() if only in {None, name}]
    if not names and only:
        raise missing_collection(store, only, existing=store.collections())
    if not names:
        raise StoreError(f"nothing has been ingested into {store}", code="store_missing", hint="streamrag ingest PATH")
    return tuple(map(store.status, names))


def overview_of(store: Store) -> dict[str, CollectionStatus | StoreError]:
    """The status of every collection, by name, or the error if its status cannot be read.

    Raises StoreError `store_missing`, and errors that concern the whole store, such as `store_unreachable`.
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
    """The collections with documents that are not in `collections`, to be suggested in a hint.

    Empty if the store is on another machine or has more than `_MAX_COLLECTIONS`.
    """
    if not store.has_local_files:
        return []
    try:
        names = store.collections()
        if len(names) == 1 or len(names) > _MAX_COLLECTIONS:
            return []
        return [each for each in store.collections(non_empty=True) if each not in collections]
    except (StoreError, OSError):  # the hint is optional, so its failure is not reported
        return []


def missing_collection(store: object, collection: str, *, existing: Sequence[str] = ()) -> StoreError:
    """The error for a collection that does not exist. Its message lists the first of the `existing` collections.

    If one of them has a similar name, the hint is a question about it.
    """
    named = f"; it has {', '.join(existing[:_NAMED])}" if existing else ""
    named += f" and {len(existing) - _NAMED} more" if len(existing) > _NAMED else ""
    message = f"there is no collection {collection!r} in {store}{named}"
    similar = similar_collection(collection, existing)
    hint = f'streamrag ask -c {similar} "QUESTION"' if similar else "streamrag ingest PATH"
    return StoreError(message, code="store_missing", hint=hint)


def similar_collection(name: str, existing: Sequence[str]) -> str:
    """Return the existing collection whose name is the most similar to `name`; "" if none is.

    >>> similar_collection("cookin", ["cooking", "garden"]), similar_collection("bike", ["cooking", "garden"])
    ('cooking', '')
    """
    from difflib import get_close_matches  # not needed otherwise

    return next(iter(get_close_matches(name, existing, n=1, cutoff=_LEAST_SIMILARITY)), "")


def damaged_collection(collection: str, why: str) -> StoreError:
    return damaged(f"the collection {collection!r} is damaged: {why}")
