"""Interrupts a connection whose time limit has expired."""

import os
import socket
from contextlib import suppress
from threading import Lock, Thread
from typing import Final

import psycopg

from streamrag_cli.store.postgres.establish import Connection

_CANCEL_TIMEOUT_S: Final = 2.0
_CANCEL_GRACE_S: Final = 0.2
"""The time between cancelling a statement and closing its connection."""


class Interruption:
    """Interrupts the connection that a thread is using, from any thread: the callback of a time limit.

    It cancels the statement on the server and closes the socket, so that the thread fails immediately even if the
    server does not respond. The connection cannot be used afterwards.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._conn: Connection | None = None
        self._is_due = False

    def watch(self, conn: Connection) -> None:
        """Interrupt `conn` when this is called, or now if it has been called."""
        with self._lock:
            self._conn = conn
            if self._is_due:
                _interrupt(conn)

    def release(self) -> bool:
        """Stop watching, which must precede `close`. Return False if the connection was interrupted."""
        with self._lock:
            self._conn = None
            return not self._is_due

    def __call__(self) -> None:
        with self._lock:
            self._is_due = True
            if self._conn is not None:
                _interrupt(self._conn)


def _interrupt(conn: Connection) -> None:
    """Return immediately: cancelling needs other threads, because the server may not respond."""
    try:
        connection = socket.socket(fileno=os.dup(conn.fileno()))
    except (psycopg.Error, OSError):
        return  # it is closed

    def cancel() -> None:
        with suppress(psycopg.Error, OSError):
            conn.cancel_safe(timeout=_CANCEL_TIMEOUT_S)

    def end() -> None:
        cancelling = Thread(target=cancel, name="cancel", daemon=True)
        cancelling.start()
        cancelling.join(_CANCEL_GRACE_S)
        with suppress(OSError), connection:
            connection.shutdown(socket.SHUT_RDWR)

    Thread(target=end, name="interrupt", daemon=True).start()
