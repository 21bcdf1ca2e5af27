"""Opens and pools connections to PostgreSQL.

Statements are not prepared, because a plan that is made without the values may not use the vector index.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from threading import Lock
from typing import Any, Final, TypeVar

import numpy as np
import psycopg
from psycopg import sql
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format, TransactionStatus
from psycopg.types import TypeInfo

from streamrag_cli.errors import StoreError
from streamrag_cli.store.interface import FloatArray
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.errors import connection_error, extension_error, extension_missing, translate_errors
from streamrag_cli.store.postgres.establish import Connection, establish
from streamrag_cli.store.postgres.interruption import Interruption
from streamrag_cli.store.postgres.privileges import SAFE_SEARCH_PATH
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit

Started = TypeVar("Started")

_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "streamrag",
    "connect_timeout": 10,
    # Detect a dead server after at most one minute instead of two hours.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
    "tcp_user_timeout": 60_000,
}
"""Default parameters for libpq, which the address can override. Times are in seconds, except `tcp_user_timeout`, which
is in milliseconds."""
_MAX_IDLE: Final = 8
_IS_WORKING: Final = (
    "SELECT pg_postmaster_start_time() <> %s OR EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s"
    " AND (state LIKE 'idle%%' OR wait_event_type = 'Client') IS NOT TRUE)"
)
"""Whether the server is working for a session. Another start time shows that this is another server."""
WRITER_LOCK_LIMIT_S: Final = 30.0
"""How long a writer waits for a lock on a table or row. Other writers hold these locks for about a second."""


def connect(address: PostgresUrl, *, create: bool = False) -> Connection:
    """Open a connection for writing, in autocommit mode. Its search path contains only PostgreSQL's own schema.

    A statement that waits longer than `WRITER_LOCK_LIMIT_S` for a lock raises StoreError `store_busy`. With `create`,
    the extension pgvector is created if it is missing and the user has the privilege.

    Raises StoreError `store_unreachable`, `store_login_refused`, `store_missing`, `store_extension_missing`.
    """
    limit, interruption = OpeningLimit(address), Interruption()
    with limit.on_expiry(interruption):
        conn = _open(address, limit, interruption, create=create)
        try:
            with translate_errors(address):
                conn.execute(f"SET lock_timeout = {int(WRITER_LOCK_LIMIT_S * 1000)}")
        except BaseException:
            interruption.release()
            conn.close()
            raise
        if not interruption.release():
            conn.close()
            raise limit.error()
        return conn


@contextmanager
def connected(address: PostgresUrl, cancellation: Cancellation | None = None) -> Iterator[Connection]:
    """Open a connection for a few quick statements, which must finish within the time limit of `OpeningLimit`."""
    limit, interruption = OpeningLimit(address, cancellation), Interruption()
    with limit.on_expiry(interruption):
        conn = _open(address, limit, interruption)
        try:
            with translate_errors(address):
                yield conn
        finally:
            interruption.release()
            conn.close()


def _open(address: PostgresUrl, limit: TimeLimit, interruption: Interruption, *, create: bool = False) -> Connection:
    parameters: dict[str, Any] = {**_DEFAULTS, **address.parameters}
    try:
        conn = establish(parameters, limit)
    except psycopg.Error as error:
        raise connection_error(error, address) from error
    interruption.watch(conn)
    try:
        with translate_errors(address):
            if not _configure(conn, address):
                _install_pgvector(conn, address, create=create)
                _configure(conn, address)
    except BaseException:
        interruption.release()
        conn.close()
        raise
    return conn


def _configure(conn: Connection, address: PostgresUrl) -> bool:
    """Set the search path and register the vector type. Return False if pgvector is not installed."""
    conn.execute(SAFE_SEARCH_PATH)
    row = conn.execute(
        "SELECT nspname, typ.oid, pg_postmaster_start_time(), pg_backend_pid()"
        " FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
        " JOIN pg_type AS typ ON typ.typnamespace = extnamespace AND typ.typname = 'vector' WHERE extname = 'vector'"
    ).fetchone()
    if row is None:
        return False
    conn.store, conn.extension = (sql.Identifier(each).as_string(None) for each in (address.schema, row[0]))
    conn.adapters.types.add(TypeInfo("vector", row[1], 0))
    conn.adapters.register_dumper(np.ndarray, type("_Dumper", (_VectorDumper,), {"oid": row[1]}))
    conn.adapters.register_loader(row[1], _VectorLoader)
    conn.is_alive = partial(_is_alive, address, row[2:])
    return True


def _is_alive(address: PostgresUrl, session: Sequence[object]) -> bool:
    """Ask the server, over another connection, whether it is working on a statement from `session`.

    If the server has ended the session, is waiting for the client, or cannot be reached, a reply will never arrive.
    """
    try:
        with connected(address) as conn:
            return conn.execute(_IS_WORKING, session).fetchone() == (True,)
    except StoreError as error:
        return error.code != "store_unreachable"


def _install_pgvector(conn: Connection, address: PostgresUrl, *, create: bool) -> None:
    if not create:
        raise extension_missing(address)
    try:
        conn.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    except psycopg.Error as error:
        raise extension_error(error, address) from error


class _VectorDumper(Dumper):
    """Encodes a vector in pgvector's binary format: the dimension, two unused bytes, floats in network byte order."""

    format = Format.BINARY

    def dump(self, obj: FloatArray) -> Buffer:
        return struct.pack(">HH", len(obj), 0) + obj.astype(">f4").tobytes()


class _VectorLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> FloatArray:
        return np.frombuffer(bytes(data), dtype=">f4", offset=4).astype(np.float32)


class OpeningLimit(TimeLimit):
    """The time limit for opening a connection or snapshot, if the work itself has no time limit."""

    def __init__(self, address: PostgresUrl, cancellation: Cancellation | None = None) -> None:
        super().__init__(RETRIEVAL_LIMIT_S, cancellation)
        self._address = address

    def error(self) -> StoreError:
        if self.is_cancelled:
            return super().error()
        return StoreError(
            f"{self._address} did not respond within {RETRIEVAL_LIMIT_S:g} s",
            code="store_unreachable",
            hint="check that the server is running and that no other session has locked the tables",
            retryable=True,
        )


class Connections:
    """A pool of connections to one store. Safe to share between threads."""

    def __init__(self, address: PostgresUrl) -> None:
        self._address = address
        self._lock = Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextmanager
    def acquire(self, start: Callable[[Connection], Started], limit: TimeLimit | None) -> Iterator[Started]:
        """Take a connection from the pool, call `start` with it, and yield the result.

        If a transaction is still open at the end of the `with` block, it is rolled back. The connection is interrupted
        when `limit` expires. If `limit` is None, connecting and `start` have the time limit of `OpeningLimit`.
        """
        interruption, opening = Interruption(), limit or OpeningLimit(self._address)
        with ExitStack() as limited:
            limited.enter_context(opening.on_expiry(interruption))
            with translate_errors(self._address):
                conn, started = self._started(start, opening, interruption)
                try:
                    if limit is None:
                        limited.close()
                    yield started
                finally:
                    self._release(conn, interruption)

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for conn in idle:
            conn.close()

    def _started(
        self, start: Callable[[Connection], Started], limit: TimeLimit, interruption: Interruption
    ) -> tuple[Connection, Started]:
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        if idle is not None:
            interruption.watch(idle)
            try:
                return idle, self._run(start, idle, interruption)
            except psycopg.OperationalError:
                if not idle.closed:
                    raise
                limit.check()  # the server may have restarted
        conn = _open(self._address, limit, interruption)
        return conn, self._run(start, conn, interruption)

    def _run(self, start: Callable[[Connection], Started], conn: Connection, interruption: Interruption) -> Started:
        try:
            return start(conn)
        except BaseException:
            self._release(conn, interruption)
            raise

    def _release(self, conn: Connection, interruption: Interruption) -> None:
        with suppress(psycopg.Error):
            if conn.info.transaction_status != TransactionStatus.IDLE:
                conn.execute("ROLLBACK")
        if interruption.release():
            with self._lock:
                if not conn.closed and not self._closed and len(self._idle) < _MAX_IDLE:
                    self._idle.append(conn)
                    return
        conn.close()
