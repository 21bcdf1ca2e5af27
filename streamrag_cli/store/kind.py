"""What every kind of store is to the rest of the program; `registry.open_store` gives the one at an address."""

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
class Examination:
    """Whether a collection is whole. Each of `problems` is a clause that goes with its name; where there is none,
    `sound` says what was looked at.

    `interrupted` says that an ingest was begun and never ended; `changing` that one kept on changing the collection.
    """

    chunks: int
    sound: str
    figures: Mapping[str, float]
    problems: tuple[str, ...] = ()
    interrupted: bool = False
    changing: bool = False
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What there is to write to at `place`, a directory."""

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
        """What a person wrote, which begins with a scheme of this kind or none. Raises ValueError."""

    @property
    def has_local_files(self) -> bool:
        """Whether the paths in it are of this machine, so that a file which is not there is gone."""

    @property
    def password(self) -> str:
        """What must not be shown of the address, "" where it has none."""

    def with_secret(self) -> str:
        """The whole address, of which `store_address` makes the same one. Not to be shown."""

    def as_given(self, raw: str) -> str:
        """The address as a person wrote it, as it may be shown."""

    def told_by(self, environment: Mapping[str, str]) -> list[str]:
        """The variables that say more of the store than its address does, sorted."""

    def identity(self) -> int | None:
        """Changes where another store takes the place of this one; None where there is none."""

    def reader(self, collection: str) -> Reader:
        """Nothing is touched before the first question."""

    def writer(self, collection: str, *, embedding: str, rebuild: bool = False) -> AbstractContextManager[Writer]:
        """Hold the collection for writing; it is made if it does not exist.

        With `rebuild` everything goes into a new one that replaces the old at a clean end. Raises StoreError:
        `store_busy`, `store_not_writable`, `store_damaged`, `another_embedding`, `store_unreachable`.
        """

    def manifest(self, collection: str) -> AbstractContextManager[Manifest | None]:
        """What the collection holds, without its vectors; None where it was never made."""

    def roots(self, collection: str) -> list[str]:
        """The absolute paths that earlier ingests were given."""

    def remove(self, collection: str) -> None:
        """Remove a collection with everything in it. Raises StoreError: `store_busy`, `store_not_writable`."""

    def collections(self, *, filled: bool = False) -> list[str]:
        """Their names, sorted; with `filled` of those with a document in them.

        A damaged one counts as filled, so that asking it says what is wrong.
        """

    def status(self, collection: str) -> CollectionStatus:
        """Told without opening vectors. Raises StoreError `store_missing` or `store_damaged`."""

    def examine(self, collection: str, *, full: bool = False) -> Examination:
        """Look for damage; with `full` in every chunk, else in a bounded number. Changes nothing.

        Raises StoreError where the collection cannot be read at all.
        """

    def room(self) -> Room | None:
        """The disk below it; None where that is not this machine's. Raises StoreError `store_not_writable`."""

    def throw_away(self, scratch: Path) -> AbstractContextManager[StoreAddress]:
        """An empty store of the same kind, in the directory `scratch` if it needs one, and gone at the end."""


def status_of(store: Store, *, only: str | None = None) -> tuple[CollectionStatus, ...]:
    """The collections of a store, or the one named. Raises StoreError `store_missing` or `store_damaged`."""
    names = [name for name in store.collections() if only in {None, name}]
    if not names and only:
        raise missing_collection(store, only)
    if not names:
        raise StoreError(f"nothing was ingested in {store}", code="store_missing", hint="streamrag ingest PATH")
    return tuple(map(store.status, names))


def missing_collection(store: object, collection: str) -> StoreError:
    """What to raise where it was asked for and nothing was ever ingested into it. `str` of `store` is shown."""
    return StoreError(f"no collection {collection!r} in {store}", code="store_missing", hint="streamrag ingest PATH")


def damaged_collection(collection: str, why: str) -> StoreError:
    return damaged(f"the collection {collection!r} is damaged: {why}")
