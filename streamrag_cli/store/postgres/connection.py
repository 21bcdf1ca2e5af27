"""Connections to PostgreSQL, configured for this backend.

Statements are not prepared, because a plan made without the values may not use the vector index.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from typing import Any, Final, TypeAlias

import numpy as np
import psycopg
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Format, TransactionStatus
from psycopg.types import TypeInfo

from streamrag_cli.store.interface import FloatArray
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.errors import connection_error, extension_error, extension_missing, translate_errors

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "streamrag",
    "connect_timeout": 10,
    # Detect a dead server after at most one minute instead of two hours.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
    "tcp_user_timeout": 60_000,
}
"""Defaults for libpq, which the address can override. Times are in seconds, but `tcp_user_timeout` in milliseconds."""
_MAX_IDLE: Final = 8
_CANCEL_TIMEOUT_S: Final = 2.0


def connect(address: PostgresUrl, *, create: bool = False) -> Connection:
    """Open a connection in autocommit mode, with the address's schema as its search path.

    With `create`, also creates the extension pgvector if it is missing and the user has the privilege.

    Raises StoreError `store_unreachable`, `store_login_refused`, `store_missing`, `store_extension_missing`.
    """
    parameters: dict[str, Any] = {**_DEFAULTS, **conninfo_to_dict(address.url)}
    try:
        conn = psycopg.connect(make_conninfo("", **parameters), autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise connection_error(error, address) from error
    try:
        with translate_errors(address):
            if not _configure(conn, address):
                _install_pgvector(conn, address, create=create)
                _configure(conn, address)
    except BaseException:
        conn.close()
        raise
    return conn


def _configure(conn: Connection, address: PostgresUrl) -> bool:
    """Set the search path and register the vector type. Return False if pgvector is not installed."""
    row = conn.execute(
        "SELECT set_config('search_path', quote_ident(%s) || ', ' || quote_ident(nspname), false), typ.oid"
        " FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
        " JOIN pg_type AS typ ON typ.typnamespace = extnamespace AND typ.typname = 'vector' WHERE extname = 'vector'",
        (address.schema,),
    ).fetchone()
    if row is None:
        return False
    conn.adapters.types.add(TypeInfo("vector", row[1], 0))
    conn.adapters.register_dumper(np.ndarray, type("_Dumper", (_VectorDumper,), {"oid": row[1]}))
    conn.adapters.register_loader(row[1], _VectorLoader)
    return True


def _install_pgvector(conn: Connection, address: PostgresUrl, *, create: bool) -> None:
    if not create:
        raise extension_missing(address)
    try:
        conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.Error as error:
        raise extension_error(error, address) from error


class _VectorDumper(Dumper):
    """Encodes a vector in pgvector's binary format: the dimension, two spare bytes, floats in network byte order."""

    format = Format.BINARY

    def dump(self, obj: FloatArray) -> Buffer:
        return struct.pack(">HH", len(obj), 0) + obj.astype(">f4").tobytes()


class _VectorLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> FloatArray:
        return np.frombuffer(bytes(data), dtype=">f4", offset=4).astype(np.float32)


def interrupt(conn: Connection) -> None:
    """Cancel the statement on the server and close the socket, so that a thread that waits for it fails immediately.

    The connection cannot be used afterwards. Cancelling needs a new thread, because the server may not respond.
    """

    def end() -> None:
        with suppress(psycopg.Error, OSError):
            conn.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
        with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(conn.fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    Thread(target=end, name="interrupt", daemon=True).start()


class Connections:
    """A pool of connections. Safe to share between threads."""

    def __init__(self, address: PostgresUrl) -> None:
        self._address = address
        self._lock = Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextmanager
    def acquire(self, begin: str) -> Iterator[Connection]:
        """Yield a connection on which `begin` was run. A transaction that is still open at the end is rolled back."""
        conn = self._open_with(begin)
        try:
            with translate_errors(self._address):
                yield conn
        finally:
            self._release(conn)

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for conn in idle:
            conn.close()

    def _open_with(self, begin: str) -> Connection:
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        if idle is not None:
            try:
                idle.execute(begin)
            except psycopg.OperationalError:
                idle.close()  # the server may have restarted
            else:
                return idle
        conn = connect(self._address)
        with translate_errors(self._address):
            conn.execute(begin)
        return conn

    def _release(self, conn: Connection) -> None:
        with suppress(psycopg.Error):
            if conn.info.transaction_status != TransactionStatus.IDLE:
                conn.execute("ROLLBACK")
            with self._lock:
                if not conn.closed and not self._closed and len(self._idle) < _MAX_IDLE:
                    self._idle.append(conn)
                    return
        conn.close()
