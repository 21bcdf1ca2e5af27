"""Where a request may go: to the origin that was named and to no other, and to this machine past every proxy.

Both ways to send one, `client` and `fetch`, ask here.
"""

import ipaddress
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from streamrag_cli.text import sanitise_line

_PORTS: Final = {"http": 80, "https": 443}
_SHOWN_CHARS: Final = 100
_HOSTS_FILE: Final = Path("/etc/hosts")


class RedirectedError(Exception):
    """The server sent a request on to another origin, to which it was not sent. Both are safe to show."""

    def __init__(self, asked: str, target: str) -> None:
        super().__init__(f"{asked} redirects to {target}")
        self.asked = asked
        self.target = target


def reject_other_origin(asked_url: str, url: str) -> None:
    """Raise RedirectedError unless both addresses have the same scheme, host and port."""
    asked, target = _origin(asked_url), _origin(url)
    if asked is None or asked != target:
        raise RedirectedError(_shown(asked), _shown(target))


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port; None if `url` is no address."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None


def _shown(origin: tuple[str, str, int | None] | None) -> str:
    """An origin as a message names it: nothing else of the address, which may hold a password, is repeated."""
    if origin is None:
        return "an address that is none"
    scheme, host, port = origin
    named = f"[{host}]" if ":" in host else host
    behind = f":{port}" if port != _PORTS.get(scheme) else ""
    return sanitise_line(f"{scheme}://{named[:_SHOWN_CHARS]}{behind}")


def is_this_machine(host: str) -> bool:
    """Whether a host is a loopback address, or a name for one, so that no proxy has any business with it.

    >>> [is_this_machine(host) for host in ("localhost", "ollama.localhost.", "127.1", "::1", "127.0.0.1.example.org")]
    [True, True, True, True, False]
    """
    name = host.strip("[]").removesuffix(".").lower()
    if name in {"localhost", "localhost.localdomain", socket.gethostname().lower()} or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(name))  # "127.1", as the resolver understands it
        except OSError:
            return any(_is_own(each) for each in _addresses_in_hosts_file(name))
    return _is_own(address)


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    inner = getattr(address, "ipv4_mapped", None) or address
    if inner.is_loopback or inner.is_unspecified:  # connecting to 0.0.0.0 reaches this machine
        return True
    family = socket.AF_INET if inner.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(inner), 0))  # the kernel binds to an address of this machine alone; nothing is sent
    except OSError:
        return False
    return not inner.is_multicast


def _addresses_in_hosts_file(name: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """What the hosts file says of a name. The resolver itself is not asked: it could ask the network."""
    found: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    try:
        lines = _HOSTS_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for address, *names in filter(None, (line.partition("#")[0].lower().split() for line in lines)):
        if name in names:
            with suppress(ValueError):
                found.append(ipaddress.ip_address(address))
    return found
