"""A time limit for a whole reply.

HTTP libraries limit only the time of each read. A server that sends one byte per second never exceeds such a limit.
"""

import contextlib
import socket
import threading
from typing import Self


class Deadline:
    """Context manager that shuts down the watched sockets when the time is up.

    A reader of such a socket cannot distinguish this from a server that closes the connection, unless it checks
    `expired`.
    """

    def __init__(self, limit_s: float) -> None:
        self.expired = False
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(limit_s, self.expire)
        self._timer.daemon = True

    def watch(self, connection: socket.socket) -> None:
        with self._lock:
            self._watched.append(connection)
            already_expired = self.expired
        if already_expired:
            _shut(connection)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def expire(self) -> None:
        """Shut down the sockets now. Thread-safe."""
        with self._lock:
            self.expired = True
            watched = list(self._watched)
        for connection in watched:
            _shut(connection)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not SSLSocket.shutdown: it first removes the TLS layer, which the reading thread still uses.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
