"""The records of watchers in PostgreSQL, and their leases, which are session-level advisory locks, one per root.

The table is created for the first record, so that readers in earlier versions still accept the schema.
"""

import contextlib
from collections.abc import Sequence
from contextlib import closing

from psycopg import Error, errors

from streamrag_cli.errors import StoreError
from streamrag_cli.store.postgres import schema
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.advisory_locks import AdvisoryLocks
from streamrag_cli.store.postgres.connection import connect, connected
from streamrag_cli.store.postgres.errors import translate_errors
from streamrag_cli.store.postgres.establish import Connection
from streamrag_cli.store.postgres.ownership import require_trusted
from streamrag_cli.store.watchers import WatcherState, watcher_from_text, watcher_to_text


def watchers_of(address: PostgresUrl, collection: str) -> list[WatcherState]:
    with connected(address) as conn:
        require_trusted(conn, address, writing=False)
        query = f"SELECT state FROM {conn.table('watchers')} WHERE collection = %s ORDER BY id"
        try:
            rows = conn.execute(query, (collection,)).fetchall()
        except (errors.UndefinedTable, errors.InsufficientPrivilege):
            return []
    return [state for (text,) in rows if (state := watcher_from_text(text))]


def record_watcher(address: PostgresUrl, collection: str, watcher: WatcherState) -> None:
    with closing(connect(address)) as conn, translate_errors(address, writing=True):
        require_trusted(conn, address, writing=True)
        if not _is_existing(conn, "collections"):
            return
        if not _is_existing(conn, "watchers"):
            with conn.transaction():
                schema.create_tables(
                    conn,
                    f"CREATE TABLE IF NOT EXISTS {conn.table('watchers')}"
                    " (collection text, id text, state text NOT NULL, PRIMARY KEY (collection, id))",
                )
        conn.execute(
            f"INSERT INTO {conn.table('watchers')} SELECT name, %s, %s FROM {conn.table('collections')}"
            " WHERE name = %s ON CONFLICT (collection, id) DO UPDATE SET state = excluded.state",
            (watcher.id, watcher_to_text(watcher), collection),
        )


def forget_watcher(address: PostgresUrl, collection: str, watcher_id: str) -> None:
    with closing(connect(address)) as conn, translate_errors(address, writing=True):
        forget_watchers(conn, collection, watcher_id)


def forget_watchers(conn: Connection, collection: str, watcher_id: str | None = None) -> None:
    """Remove the records of one of the collection's watchers, or of all of them."""
    if _is_existing(conn, "watchers"):
        conn.execute(
            f"DELETE FROM {conn.table('watchers')} WHERE collection = %s AND id = coalesce(%s::text, id)",
            (collection, watcher_id),
        )


class PostgresWatchLease:
    """A `WatchLease` that uses its own connection."""

    def __init__(self, address: PostgresUrl, collection: str, roots: Sequence[str]) -> None:
        self._address = address
        self._collection = collection
        self._roots = sorted(set(roots))
        self._conn: Connection | None = None
        self._is_held = False

    def acquire(self) -> bool:
        try:
            if self._conn is None:
                self._conn = connect(self._address, create=True)
            with translate_errors(self._address):
                if self._is_held:
                    self._conn.execute("SELECT 1")
                else:
                    self._is_held = self._try_all(self._conn)
        except StoreError:
            self.close()
            raise
        return self._is_held

    def _try_all(self, conn: Connection) -> bool:
        locks = AdvisoryLocks(conn, self._address, self._collection)
        if all(locks.try_watching(root) for root in self._roots):
            return True
        conn.execute("SELECT pg_advisory_unlock_all()")
        return False

    def close(self) -> None:
        self._is_held = False
        if self._conn is not None:
            with contextlib.suppress(Error, OSError):
                self._conn.execute(
                    "SELECT pg_advisory_unlock_all()"
                )  # immediately, not only when the server notices that the connection was closed
            with contextlib.suppress(Error, OSError):
                self._conn.close()
            self._conn = None


def _is_existing(conn: Connection, table: str) -> bool:
    return conn.execute("SELECT to_regclass(%s)", (conn.table(table),)).fetchone() != (None,)
