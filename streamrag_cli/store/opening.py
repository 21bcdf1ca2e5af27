"""Opens a collection wherever it is: the one place that knows which kinds of store there are.

Each function takes the place and the collection's name. PostgreSQL's side is imported where it is asked for, and needs
`pip install 'streamrag[postgres]'`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from streamrag_cli.errors import ConfigurationError, StoreError
from streamrag_cli.store.address import PostgresUrl, StorePlace
from streamrag_cli.store.interface import Manifest, Reader, Writer
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.layout import collections as directory_collections

if TYPE_CHECKING:
    from types import ModuleType


def open_reader(place: StorePlace, collection: str) -> Reader:
    """Nothing is touched before the first question."""
    if isinstance(place, PostgresUrl):
        _need_psycopg()
        from streamrag_cli.store.postgres.reader import PostgresReader  # psycopg and numpy, about 0.2 s

        return PostgresReader(place, collection)
    from streamrag_cli.store.local.reader import CollectionReader

    return CollectionReader(place, collection)


def open_for_writing(
    place: StorePlace, collection: str, *, embedding: str, rebuild: bool = False
) -> AbstractContextManager[Writer]:
    """Hold the collection for writing; it is made if it does not exist.

    With `rebuild` everything goes into a new one that replaces the old at a clean end. Raises StoreError: `store_busy`,
    `store_not_writable`, `store_damaged`, `another_embedding`, `store_unreachable`.
    """
    if isinstance(place, PostgresUrl):
        _need_psycopg()
        from streamrag_cli.store.postgres import writer as postgres  # psycopg and numpy, about 0.2 s

        return postgres.open_for_writing(place, collection, embedding=embedding, rebuild=rebuild)
    from streamrag_cli.store.local.writer import open_for_writing as open_directory

    return open_directory(place, collection, embedding=embedding, rebuild=rebuild)


@contextmanager
def open_manifest(place: StorePlace, collection: str) -> Iterator[Manifest | None]:
    """What the collection holds, without its vectors; None where it was never made."""
    if isinstance(place, PostgresUrl):
        with closing(open_reader(place, collection)) as reader:
            yield reader.catalog if _exists(reader) else None
        return
    layout = Layout(place, collection)
    current = layout.current()
    if current is None:
        yield None
        return
    with closing(Catalog(layout.catalog(current.epoch))) as catalog:
        yield catalog


def _exists(reader: Reader) -> bool:
    try:
        with reader.reading():
            return True
    except StoreError as error:
        if error.code != "store_missing":
            raise
        return False


def recorded_roots(place: StorePlace, collection: str) -> list[str]:
    """The absolute paths that earlier ingests were given; those of a directory can be told even if it is damaged."""
    if isinstance(place, PostgresUrl):
        with open_manifest(place, collection) as manifest:
            return manifest.roots() if manifest else []
    current = Layout(place, collection).current()
    return list(current.roots) if current else []


def missing(place: StorePlace, collection: str) -> StoreError:
    """What to raise where the collection was asked for and nothing was ever ingested into it."""
    if isinstance(place, PostgresUrl):
        return StoreError(
            f"no collection {collection!r} in {place}", code="store_missing", hint="streamrag ingest PATH"
        )
    return Layout(place, collection).missing()


def remove_collection(place: StorePlace, collection: str) -> None:
    """Remove a collection with everything in it. Raises StoreError: `store_busy`, `store_not_writable`."""
    if isinstance(place, PostgresUrl):
        _need_psycopg()
        from streamrag_cli.store.postgres import writer as postgres  # psycopg and numpy, about 0.2 s

        postgres.remove_collection(place, collection)
        return
    from streamrag_cli.store.local.writer import remove_collection as remove_from_directory

    remove_from_directory(place, collection)


def collections(place: StorePlace) -> list[str]:
    """The names of the collections in a store, sorted."""
    if isinstance(place, PostgresUrl):
        return _postgres_status().collections(place)  # type: ignore[no-any-return]
    return directory_collections(place)


def filled_collections(place: StorePlace) -> list[str]:
    """Those with a document in them, sorted; a damaged one is listed, so that asking it says what is wrong."""
    if isinstance(place, PostgresUrl):
        return _postgres_status().filled_collections(place)  # type: ignore[no-any-return]
    return [name for name in directory_collections(place) if not _is_empty(place, name)]


def _is_empty(place: StorePlace, collection: str) -> bool:
    try:
        with open_manifest(place, collection) as manifest:
            return manifest is None or not manifest.counts().documents
    except StoreError:
        return False


@contextmanager
def throw_away_store(like: StorePlace, scratch: Path) -> Iterator[StorePlace]:
    """An empty store of the same kind: a directory in `scratch`, or a schema of its own that is dropped at the end."""
    if not isinstance(like, PostgresUrl):
        yield scratch / "store"
        return
    place = like.in_schema(f"streamrag_scratch_{token_hex(6)}")
    try:
        yield place
    finally:
        _postgres_status().drop_schema(place)


def _postgres_status() -> "ModuleType":
    _need_psycopg()
    from streamrag_cli.store.postgres import status  # psycopg and numpy, about 0.2 s

    return status


def _need_psycopg() -> None:
    if find_spec("psycopg") is None:
        raise ConfigurationError(
            "a store in PostgreSQL needs packages that are not installed",
            code="postgres_not_installed",
            hint="pip install 'streamrag[postgres]'",
        )
