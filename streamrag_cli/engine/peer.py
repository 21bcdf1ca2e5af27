"""Who is at the other end of a Unix socket, as the kernel says."""

import socket
import struct
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")
KNOWN: Final = hasattr(socket, "SO_PEERCRED")
"""Whether this system tells; without it there is no engine."""


def peer(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of the other end."""
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(said)
    return pid, uid
