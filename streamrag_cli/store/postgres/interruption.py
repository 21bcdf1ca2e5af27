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
"""How long the statement is given to end after it was cancelled, before its connection is closed."""


class Interruption:
    """A callback for a time limit that interrupts the connection of another thread.

    It cancels the statement on the server and closes the socket, so that the other thread fails immediately even if the
    server does not respond. The connection cannot be used afterwards.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._conn: Connection | None = None
        self._is_due = False

    def watch(self, conn: Connection) -> None:
        """Interrupt `conn` when this object is called, or immediately if it has already been called."""
        with self._lock:
            self._conn = conn
            if self._is_due:
                _interrupt(conn)

    def release(self) -> bool:
        """Stop watching the connection. Must be called before it is closed. Return False if it was interrupted."""
        with self._lock:
            self._conn = None
            return not self._is_due

    def __call__(self) -> None:
        with self._lock:
            self._is_due = True
            if self._conn is not None:
                _interrupt(self._conn)


def _interrupt(conn: Connection) -> None:
    """Interrupt `conn` in other threads and return immediately, because the server may not respond."""
    try:
        connection = socket.socket(fileno=os.dup(conn.fileno()))
    except (psycopg.Error, OSError):
        return  # the connection is closed

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
