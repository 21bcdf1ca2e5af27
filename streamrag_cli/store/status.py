"""What is in a store, told without opening Chroma."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from streamrag_cli.errors import StoreError
from streamrag_cli.store.catalog import Catalog
from streamrag_cli.store.layout import Layout, collections


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStatus:
    """One collection. `size_bytes` counts its files; `last_ingest` is ISO 8601 in UTC, or None."""

    collection: str
    documents: int
    chunks: int
    embedding: str
    dimension: int | None
    size_bytes: int
    last_ingest: str | None
    generation: int
    roots: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    store: Path
    collections: tuple[CollectionStatus, ...]


def status_of(store: Path, *, only: str | None = None) -> StoreStatus:
    """The collections of a store, or the one named. Raises StoreError `store_missing` or `store_damaged`."""
    names = [name for name in collections(store) if only in {None, name}]
    if not names:
        what = f"no collection {only!r}" if only else "nothing was ingested"
        raise StoreError(f"{what} in {store}", code="store_missing", hint="streamrag ingest PATH")
    return StoreStatus(store=store, collections=tuple(_collection(Layout(store, name)) for name in names))


def _collection(layout: Layout) -> CollectionStatus:
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
            size_bytes=sum(file.stat().st_size for file in layout.directory.rglob("*") if file.is_file()),
            last_ingest=catalog.meta("last_ingest"),
            generation=catalog.generation,
            roots=tuple(catalog.roots()),
        )
