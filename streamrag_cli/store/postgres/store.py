"""The store in a PostgreSQL schema. Only methods that connect import psycopg."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamrag_cli.errors import ConfigurationError, StoreError
from streamrag_cli.store.postgres.address import PostgresUrl

if TYPE_CHECKING:
    from streamrag_cli.store.backend import CollectionStatus, IntegrityReport
    from streamrag_cli.store.interface import Manifest, Reader, Writer
    from streamrag_cli.store.time_limit import Cancellation
    from streamrag_cli.store.watchers import WatcherState, WatchLease


class PostgresStore:
    """A `Store` in PostgreSQL. Methods that connect require `pip install 'streamrag[postgres]'`."""

    has_local_files: Final = False

    def __init__(self, address: PostgresUrl) -> None:
        self._address = address

    @staticmethod
    def address(raw: str) -> PostgresUrl:
        return PostgresUrl(raw)

    def __str__(self) -> str:
        return str(self._address)

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._address.secrets

    def with_secret(self) -> str:
        return self._address.with_secret()

    def display_address(self, raw: str) -> str:
        return str(PostgresUrl(raw.strip()))

    def environment_overrides(self, environment: Mapping[str, str]) -> list[str]:
        """The names of libpq's variables that are set, such as PGPASSWORD."""
        return sorted(name for name in environment if name.startswith("PG"))

    def identity(self) -> int:
        """Always the same number, because readers themselves detect whether their tables have been replaced."""
        return 0

    def reader(self, collection: str) -> "Reader":
        _require_psycopg()
        from streamrag_cli.store.postgres.reader import PostgresReader  # imports psycopg and numpy, about 0.2 s

        return PostgresReader(self._address, collection)

    def writer(self, collection: str, *, embedding: str, rebuild: bool = False) -> "AbstractContextManager[Writer]":
        _require_psycopg()
        from streamrag_cli.store.postgres.writer import open_for_writing

        return open_for_writing(self._address, collection, embedding=embedding, rebuild=rebuild)

    @contextmanager
    def manifest(self, collection: str) -> "Iterator[Manifest | None]":
        with closing(self.reader(collection)) as reader:
            yield reader.catalog if _exists(reader) else None

    def roots(self, collection: str) -> list[str]:
        with self.manifest(collection) as manifest:
            return manifest.roots() if manifest else []

    def has_remains(self, collection: str) -> bool:
        _require_psycopg()
        from streamrag_cli.store.postgres.writer import has_remains

        return has_remains(self._address, collection)

    def remove(self, collection: str) -> list[Path]:
        _require_psycopg()
        from streamrag_cli.store.postgres.writer import remove_collection

        remove_collection(self._address, collection)
        return []

    def collections(self, *, non_empty: bool = False, cancellation: "Cancellation | None" = None) -> list[str]:
        _require_psycopg()
        from streamrag_cli.store.postgres.status import collections

        return collections(self._address, non_empty=non_empty, cancellation=cancellation)

    def status(self, collection: str) -> "CollectionStatus":
        _require_psycopg()
        from streamrag_cli.store.postgres.status import status_of

        return status_of(self._address, collection)

    def check_integrity(self, collection: str, *, full: bool = False) -> "IntegrityReport":  # noqa: ARG002 - every check is full
        _require_psycopg()
        from streamrag_cli.store.postgres.status import check_integrity

        return check_integrity(self._address, collection)

    def load_libraries(self) -> None:
        _require_psycopg()
        import streamrag_cli.store.postgres.writer  # noqa: F401

    def watchers(self, collection: str) -> "list[WatcherState]":
        _require_psycopg()
        from streamrag_cli.store.postgres.watchers import watchers_of

        return watchers_of(self._address, collection)

    def record_watcher(self, collection: str, watcher: "WatcherState") -> None:
        _require_psycopg()
        from streamrag_cli.store.postgres.watchers import record_watcher

        record_watcher(self._address, collection, watcher)

    def forget_watcher(self, collection: str, watcher_id: str) -> None:
        _require_psycopg()
        from streamrag_cli.store.postgres.watchers import forget_watcher

        forget_watcher(self._address, collection, watcher_id)

    def watch_lease(self, collection: str, roots: "Sequence[str]") -> "WatchLease":
        _require_psycopg()
        from streamrag_cli.store.postgres.watchers import PostgresWatchLease

        return PostgresWatchLease(self._address, collection, roots)

    def disk_space(self) -> None:
        """Always None, because the disk is on the database server."""

    @contextmanager
    def scratch_store(self, scratch: Path) -> Iterator[PostgresUrl]:  # noqa: ARG002
        _require_psycopg()
        from secrets import token_hex

        from streamrag_cli.store.postgres.status import drop_schema

        address = self._address.in_schema(f"streamrag_scratch_{token_hex(6)}")
        try:
            yield address
        finally:
            drop_schema(address)


def _exists(reader: "Reader") -> bool:
    try:
        with reader.snapshot():
            return True
    except StoreError as error:
        if error.code not in {
            "store_missing",
            "store_extension_missing",
        }:  # the extension is created by the first writer
            raise
        return False


def _require_psycopg() -> None:
    if find_spec("psycopg") is None:
        raise ConfigurationError(
            "a store in PostgreSQL requires packages that are not installed",
            code="postgres_not_installed",
            hint="pip install 'streamrag[postgres]'",
        )
