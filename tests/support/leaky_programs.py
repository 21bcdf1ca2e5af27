"""Programs that use the network or leave files, to check that `network_namespace` detects them."""

import sys
from pathlib import Path
from typing import Any

from tests.support.network_namespace import Place

_LATER = """
import os, socket, time
if os.fork() == 0:
    os.setsid()
    time.sleep(0.2)
    socket.socket().connect_ex(("203.0.113.7", 443))
"""
_DATAGRAM = """
import socket
try:
    socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.1", 8125))
except OSError:
    pass
"""
PROGRAMS = {
    "innocent": "open('own/file', 'w'); import socket; socket.getaddrinfo('localhost', 80)",
    "name": "import socket\ntry: socket.getaddrinfo('collector.example.net', 443)\nexcept OSError: pass",
    "tcp": "import socket; socket.socket().connect_ex(('192.0.2.1', 443))",
    "tcp6": "import socket; socket.socket(socket.AF_INET6).connect_ex(('2001:db8::1', 443))",
    "udp": _DATAGRAM,
    "later": _LATER,
    "file": "import pathlib; pathlib.Path('cache').mkdir(); pathlib.Path('cache/device').write_text('id')",
    "temporary": "import tempfile; tempfile.NamedTemporaryFile().write(b'x')",
}


def main(directory: Path, looked_up: list[str]) -> dict[str, Any]:
    (directory / "own").mkdir()
    place = Place(directory, {"PATH": "/usr/bin:/bin"}, [directory / "own"], looked_up)
    for name, program in PROGRAMS.items():
        place.run(name, sys.executable, "-I", "-B", "-c", program)
    return place.seen()
