"""Network rules for requests to model servers: no redirect to another origin, and no proxy for this machine.

Both `client` and `fetch` follow these rules.
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
    """The server redirected to another origin. The request was not sent there. Both attributes are safe to show."""

    def __init__(self, from_origin: str, to_origin: str) -> None:
        super().__init__(f"{from_origin} redirects to {to_origin}")
        self.from_origin = from_origin
        self.to_origin = to_origin


def reject_other_origin(requested_url: str, url: str) -> None:
    """Raise RedirectedError unless both URLs have the same scheme, host and port."""
    from_origin, to_origin = _origin(requested_url), _origin(url)
    if from_origin is None or from_origin != to_origin:
        raise RedirectedError(_shown(from_origin), _shown(to_origin))


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """The scheme, host and port of `url`; None if it is not a valid URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None


def _shown(origin: tuple[str, str, int | None] | None) -> str:
    """The origin as shown in messages, without the rest of the URL, which may contain a password."""
    if origin is None:
        return "an invalid URL"
    scheme, host, port = origin
    shown_host = f"[{host}]" if ":" in host else host
    port_suffix = f":{port}" if port != _PORTS.get(scheme) else ""
    return sanitise_line(f"{scheme}://{shown_host[:_SHOWN_CHARS]}{port_suffix}")


def is_this_machine(host: str) -> bool:
    """Whether `host` is this machine, so that no proxy must be used for it.

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
            address = ipaddress.ip_address(
                socket.inet_aton(name)
            )  # a short form such as "127.1", which the resolver accepts
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
            probe.bind((str(inner), 0))  # succeeds only for one of this machine's addresses; sends nothing
    except OSError:
        return False
    return not inner.is_multicast


def _addresses_in_hosts_file(name: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The addresses for `name` in the hosts file. Does not use the resolver, which could send a DNS query."""
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    try:
        lines = _HOSTS_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return addresses
    for address, *names in filter(None, (line.partition("#")[0].lower().split() for line in lines)):
        if name in names:
            with suppress(ValueError):
                addresses.append(ipaddress.ip_address(address))
    return addresses
