"""Finds the local user at the other end of a TCP connection.

Linux has a table of all sockets and their owners. If a connection is within this machine, its other end is in the same
table, with the two addresses swapped. Otherwise the other end belongs to another machine or network namespace.

After a process has closed its socket, the kernel reports 0 as the owner, which is also root's ID. It then reports 0 as
the inode as well, so sockets without an inode are ignored.
"""

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int]

_TABLES: Final = {4: ("/proc/net/tcp", "/proc/net/tcp6"), 6: ("/proc/net/tcp6",)}
_CHUNK_BYTES: Final = 1 << 20
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST: Final = 1
_ANY_STATE: Final = 0xFFFFFFFF
_LISTEN: Final = 10
_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_QUERY: Final = struct.Struct("=BBBxI")  # inet_diag_req_v2: family, protocol, extensions, states; an id follows
_ID: Final = struct.Struct("!HH16s16s12s")  # inet_diag_sockid: ports and addresses, interface and cookie
_MESSAGE: Final = struct.Struct("=BB2x")  # inet_diag_msg: family, state; an id follows, then the rest
_REST: Final = struct.Struct("=5I")  # expires, queues, uid, inode
_NO_COOKIE: Final = b"\0" * 4 + b"\xff" * 8


def is_supported() -> bool:
    """Whether this system can report who owns a connection."""
    return Path(_TABLES[4][0]).exists()


class Peers:
    """Looks up the owners of connections. Not thread-safe. Opens nothing before the first lookup.

    With `ask_kernel`, it asks the kernel for a single socket, if the kernel supports this. Otherwise it reads
    `/proc/net`.
    """

    def __init__(self, *, ask_kernel: bool = True) -> None:
        self._netlink: socket.socket | None = None
        self._to_open = ask_kernel

    def uid_of(self, peer: Address, ours: Address) -> int | None:
        """The ID of the user who owns the socket at `peer`, which is connected to ours at `ours`.

        None if the system does not list that socket. Takes 50 us, or 10 ms and more if `/proc/net` has to be read.
        """
        self._open()
        ends = _plain(peer), _plain(ours)
        for _ in range(2):  # the other end may not be listed yet
            uid = _from_tables(*ends) if self._netlink is None else self._ask_kernel(self._netlink, *ends)
            if uid is not None:
                return uid
        return None

    def close(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    def _open(self) -> None:
        if self._to_open:
            self._to_open = False
            self._netlink = _open_netlink()
            if self._netlink is not None and not self._answers():
                self.close()

    def _answers(self) -> bool:
        """Whether the kernel finds a test connection. Without its TCP diagnostics module, it finds no connection."""
        try:
            with (
                socket.create_server(("127.0.0.1", 0)) as server,
                socket.create_connection(server.getsockname()) as ours,
            ):
                return self.uid_of(ours.getsockname(), ours.getpeername()) is not None
        except OSError:
            return False

    def _ask_kernel(self, netlink: socket.socket, peer: Address, ours: Address) -> int | None:
        family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
        body = _QUERY.pack(family, socket.IPPROTO_TCP, 0, _ANY_STATE) + _ID.pack(
            peer[1], ours[1], _packed(peer[0]), _packed(ours[0]), _NO_COOKIE
        )
        header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST, 0, 0)
        try:
            netlink.send(header + body)
            reply = netlink.recv(4096)
        except OSError:
            self.close()  # a late reply would be mistaken for the reply to the next query
            return None
        if _HEADER.unpack_from(reply)[1] != _SOCK_DIAG_BY_FAMILY:
            return None
        _, state = _MESSAGE.unpack_from(reply, _HEADER.size)
        ports = _ID.unpack_from(reply, _HEADER.size + _MESSAGE.size)[:2]
        *_, uid, inode = _REST.unpack_from(reply, _HEADER.size + _MESSAGE.size + _ID.size)
        return uid if inode and state != _LISTEN and ports == (peer[1], ours[1]) else None


def _open_netlink() -> socket.socket | None:
    if sys.platform != "linux":
        return None
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    except OSError:
        return None
    opened.settimeout(0.1)  # the kernel replies during `send`
    return opened


def _from_tables(peer: Address, ours: Address) -> int | None:
    """Look up the owner in `/proc/net`. Each line is a socket: local address, remote address, ..., uid, ..., inode."""
    for path in _TABLES[6 if ":" in peer[0] else 4]:
        addresses = b" %b %b " % (_in_table(peer, path), _in_table(ours, path))
        for line in _lines_with(path, addresses):
            columns = line.split()
            if columns[9] != b"0":
                return int(columns[7])
    return None


def _lines_with(path: str, text: bytes) -> Iterator[bytes]:
    """The lines of a large file that contain `text`. Yields no line if the file cannot be read."""
    try:
        with Path(path).open("rb", buffering=0) as table:
            rest = b""
            while chunk := table.read(_CHUNK_BYTES):
                whole, _, rest = (rest + chunk).rpartition(b"\n")
                at = whole.find(text)
                while at >= 0:
                    end = whole.find(b"\n", at)
                    yield whole[whole.rfind(b"\n", 0, at) + 1 : end if end >= 0 else len(whole)]
                    at = whole.find(text, at + len(text))
    except OSError:
        return


def _in_table(address: Address, path: str) -> bytes:
    """An address in the format of `/proc/net`: 32-bit words in the machine's byte order, and the port."""
    packed = ipaddress.ip_address(address[0]).packed
    if path.endswith("6") and len(packed) == 4:
        packed = b"\0" * 10 + b"\xff\xff" + packed
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return b"%b:%04X" % (b"".join(b"%08X" % word for word in words), address[1])


def _plain(address: Address) -> Address:
    """The address without its scope ID. An IPv4-mapped IPv6 address is converted to IPv4."""
    parsed = ipaddress.ip_address(address[0].partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed), address[1]


def _packed(host: str) -> bytes:
    return ipaddress.ip_address(host).packed.ljust(16, b"\0")
