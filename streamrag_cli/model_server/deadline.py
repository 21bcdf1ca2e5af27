"""An end to a reply that never ends.

The limits of HTTP libraries are for each read. A server that sends one byte of its headers a second meets every one
of them, for hours.
"""

import contextlib
import socket
import threading
from typing import Self


class Deadline:
    """Within the block, what is read from the watched sockets comes to an end when the time is up.

    The reader sees a connection that the other side has closed; `passed` says that it was not.
    """

    def __init__(self, limit_s: float) -> None:
        self.passed = False
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(limit_s, self.pass_now)
        self._timer.daemon = True

    def watch(self, connection: socket.socket) -> None:
        with self._lock:
            self._watched.append(connection)
            late = self.passed
        if late:
            _shut(connection)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def pass_now(self) -> None:
        """End all reading before the time is up. For any thread."""
        with self._lock:
            self.passed = True
            watched = list(self._watched)
        for connection in watched:
            _shut(connection)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not an SSLSocket's own method: that one takes the encryption off under the reader first.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
