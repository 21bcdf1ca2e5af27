"""Connections to PostgreSQL, set up for this store.

Nothing is prepared: a plan made without the values at hand may leave the vector index aside.
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
    # A server that has gone without a word is given up after a minute at most, not after two hours.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
    "tcp_user_timeout": 60_000,
}
"""What libpq is told where the address does not say otherwise; times in seconds, the last in milliseconds."""
_MOST_IDLE: Final = 8
_CANCEL_WITHIN_S: Final = 2.0


def connect(address: PostgresUrl, *, create: bool = False) -> Connection:
    """An open connection that commits by itself, in which unqualified names are those of the place's schema.

    With `create`, pgvector is installed into the database if it is not and the user may.

    Raises StoreError `store_unreachable`, `store_login_refused`, `store_missing`, `store_extension_missing`.
    """
    given: dict[str, Any] = {**_DEFAULTS, **conninfo_to_dict(address.url)}
    try:
        conn = psycopg.connect(make_conninfo("", **given), autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise connection_error(error, address) from error
    try:
        with translate_errors(address):
            if not _set_up(conn, address):
                _have_pgvector(conn, address, create=create)
                _set_up(conn, address)
    except BaseException:
        conn.close()
        raise
    return conn


def _set_up(conn: Connection, address: PostgresUrl) -> bool:
    """False where the database has no pgvector."""
    found = conn.execute(
        "SELECT set_config('search_path', quote_ident(%s) || ', ' || quote_ident(nspname), false), typ.oid"
        " FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
        " JOIN pg_type AS typ ON typ.typnamespace = extnamespace AND typ.typname = 'vector' WHERE extname = 'vector'",
        (address.schema,),
    ).fetchone()
    if found is None:
        return False
    conn.adapters.types.add(TypeInfo("vector", found[1], 0))
    conn.adapters.register_dumper(np.ndarray, type("_Dumper", (_VectorDumper,), {"oid": found[1]}))
    conn.adapters.register_loader(found[1], _VectorLoader)
    return True


def _have_pgvector(conn: Connection, address: PostgresUrl, *, create: bool) -> None:
    if not create:
        raise extension_missing(address)
    try:
        conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.Error as error:
        raise extension_error(error, address) from error


class _VectorDumper(Dumper):
    """pgvector's binary form: the dimension, two spare bytes, floats in network order."""

    format = Format.BINARY

    def dump(self, obj: FloatArray) -> Buffer:
        return struct.pack(">HH", len(obj), 0) + obj.astype(">f4").tobytes()


class _VectorLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> FloatArray:
        return np.frombuffer(bytes(data), dtype=">f4", offset=4).astype(np.float32)


def interrupt(conn: Connection) -> None:
    """Have whoever waits for this connection fail at once, and the server stop what it does for it.

    The connection is of no more use. Returns at once: a server that is asked to stop may not answer.
    """

    def end() -> None:
        with suppress(psycopg.Error, OSError):
            conn.cancel_safe(timeout=_CANCEL_WITHIN_S)
        with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(conn.fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    Thread(target=end, name="interrupt", daemon=True).start()


class Connections:
    """Lends connections to threads, and keeps some open for the next. Safe to share."""

    def __init__(self, address: PostgresUrl) -> None:
        self._address = address
        self._lock = Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextmanager
    def acquire(self, begin: str) -> Iterator[Connection]:
        """A connection on which `begin` was run, for one thread; whatever transaction is open at the end is undone."""
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
                idle.close()  # the server has gone, and may be back
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
                if not conn.closed and not self._closed and len(self._idle) < _MOST_IDLE:
                    self._idle.append(conn)
                    return
        conn.close()
