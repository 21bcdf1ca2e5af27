"""The interface that every kind of store implements; `registry.open_store` returns the store at an address."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from streamrag_cli.errors import StoreError
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.interface import Manifest, Reader, Writer, damaged


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStatus:
    """One collection. `size_bytes` is what it takes on disk; `last_ingest` is ISO 8601 in UTC, or None."""

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
    """Whether a collection is intact. Each of `problems` is a clause about it; `summary` says what was checked if there
    are none.

    `interrupted` says that an ingest was begun and never ended; `changing` that one kept on changing the collection.
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
    """The disk that the directory `place` is on."""

    place: str
    free_bytes: int
    is_writable: bool

    @property
    def free(self) -> str:
        return f"{self.free_bytes / 1e6:,.0f} MB free"


class Store(Protocol):
    """Collections at one address. Nothing is opened before a method asks for it.

    `str` is the address as it may be shown, without a password.
    """

    def __init__(self, address: Any) -> None: ...

    @staticmethod
    def address(raw: str) -> StoreAddress:
        """Parse an address of this kind, as a person writes it. Raises ValueError."""

    @property
    def has_local_files(self) -> bool:
        """Whether the paths in it are paths of this machine, so that a missing file means a deleted document."""

    @property
    def password(self) -> str:
        """The password in the address, which must not be shown; "" if there is none."""

    def with_secret(self) -> str:
        """The whole address, which `store_address` parses back. Must not be shown."""

    def display_address(self, raw: str) -> str:
        """The address as it was typed, fit to be shown."""

    def environment_overrides(self, environment: Mapping[str, str]) -> list[str]:
        """The environment variables that change where or as whom the address connects, sorted."""

    def identity(self) -> int | None:
        """Changes if another store replaces this one at the same address; None if there is no store."""

    def reader(self, collection: str) -> Reader:
        """A reader, which opens nothing before the first question."""

    def writer(self, collection: str, *, embedding: str, rebuild: bool = False) -> AbstractContextManager[Writer]:
        """Hold the collection for writing; it is made if it does not exist.

        With `rebuild` everything goes into a new one that replaces the old at a clean end. Raises StoreError:
        `store_busy`, `store_not_writable`, `store_damaged`, `another_embedding`, `store_unreachable`.
        """

    def manifest(self, collection: str) -> AbstractContextManager[Manifest | None]:
        """What the collection holds, without its vectors; None if it does not exist."""

    def roots(self, collection: str) -> list[str]:
        """The absolute paths that earlier ingests were given."""

    def remove(self, collection: str) -> None:
        """Remove a collection with everything in it. Raises StoreError: `store_busy`, `store_not_writable`."""

    def collections(self, *, non_empty: bool = False) -> list[str]:
        """Their names, sorted; with `non_empty` of those with a document in them.

        A damaged one counts as non-empty, so that asking it says what is wrong.
        """

    def status(self, collection: str) -> CollectionStatus:
        """Read without opening vectors. Raises StoreError `store_missing` or `store_damaged`."""

    def check_integrity(self, collection: str, *, full: bool = False) -> IntegrityReport:
        """Look for damage: with `full` in every chunk, otherwise in a bounded number. Changes nothing.

        Raises StoreError if the collection cannot be read at all.
        """

    def disk_space(self) -> DiskSpace | None:
        """The disk it is on; None if that is another machine's. Raises StoreError `store_not_writable`."""

    def scratch_store(self, scratch: Path) -> AbstractContextManager[StoreAddress]:
        """An empty store of the same kind, in the directory `scratch` if it needs one, removed at the end."""


def status_of(store: Store, *, only: str | None = None) -> tuple[CollectionStatus, ...]:
    """The collections of a store, or the one named. Raises StoreError `store_missing` or `store_damaged`."""
    names = [name for name in store.collections() if only in {None, name}]
    if not names and only:
        raise missing_collection(store, only)
    if not names:
        raise StoreError(f"nothing has been ingested into {store}", code="store_missing", hint="streamrag ingest PATH")
    return tuple(map(store.status, names))


def missing_collection(store: object, collection: str) -> StoreError:
    """What to raise if nothing was ever ingested into the collection; the message shows `str` of `store`."""
    return StoreError(f"no collection {collection!r} in {store}", code="store_missing", hint="streamrag ingest PATH")


def damaged_collection(collection: str, why: str) -> StoreError:
    return damaged(f"the collection {collection!r} is damaged: {why}")
