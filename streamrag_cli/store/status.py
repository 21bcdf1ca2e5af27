"""What is in a store, told without opening vectors."""

import os
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from streamrag_cli.errors import StoreError
from streamrag_cli.store.address import PostgresUrl, StorePlace
from streamrag_cli.store.interface import CollectionStatus
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.opening import collections, missing


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    store: StorePlace
    collections: tuple[CollectionStatus, ...]


def status_of(store: StorePlace, *, only: str | None = None) -> StoreStatus:
    """The collections of a store, or the one named. Raises StoreError `store_missing` or `store_damaged`."""
    names = [name for name in collections(store) if only in {None, name}]
    if not names and only:
        raise missing(store, only)
    if not names:
        raise StoreError(f"nothing was ingested in {store}", code="store_missing", hint="streamrag ingest PATH")
    return StoreStatus(store=store, collections=tuple(_collection(store, name) for name in names))


def _collection(store: StorePlace, name: str) -> CollectionStatus:
    if isinstance(store, PostgresUrl):
        from streamrag_cli.store.postgres import status  # psycopg and numpy, about 0.2 s

        return status.status_of(store, name)
    return _in_directory(store, name)


def _in_directory(store: Path, name: str) -> CollectionStatus:
    layout = Layout(store, name)
    current = layout.current()
    if current is None:
        raise StoreError(f"{layout.directory} vanished", code="store_missing", hint="streamrag ingest PATH")
    with closing(Catalog(layout.catalog(current.epoch))) as catalog:
        counts = catalog.counts()
        dimension = catalog.meta("dimension")
        return CollectionStatus(
            collection=layout.collection,
            documents=counts.documents,
            chunks=counts.chunks,
            embedding=catalog.meta("embedding") or "",
            dimension=int(dimension) if dimension else None,
            size_bytes=_size_bytes(layout.directory),
            last_ingest=catalog.meta("last_ingest"),
            generation=catalog.generation,
            roots=tuple(catalog.roots()),
        )


def _size_bytes(directory: Path) -> int:
    """Of all files at or below `directory`, without those that another process removes meanwhile."""
    size_bytes = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                size_bytes += Path(parent, name).stat().st_size
    return size_bytes
