"""Decides which IP addresses may be connected to.

A public page can link or redirect to an address in the user's network, or to a host name that resolves to one.
Therefore, only public addresses are allowed, unless the host in the user's own URL is such an address or `localhost`.
"""

import ipaddress
import socket
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA: Final = frozenset({"168.63.129.16"})
"""Cloud metadata services at public addresses."""
_EMBEDDING_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_SITE_LOCAL: Final = ipaddress.IPv6Network("fec0::/10")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is a public unicast address. If it embeds an IPv4 address, that must be public as well.

    >>> [is_public(each) for each in ("93.184.216.34", "10.0.0.1", "100.64.0.1", "::ffff:127.0.0.1", "2606:4700::1111")]
    [True, False, False, False, True]
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(map(_is_public, _with_embedded(parsed)))


def _with_embedded(address: _Address) -> list[_Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    embedded = [address.sixtofour, *(address.teredo or ())]
    if address in _EMBEDDING_NAT64 or address in _COMPATIBLE:
        embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        return [each for each in embedded if each]
    return [address, *(each for each in embedded if each)]


def _is_public(address: _Address) -> bool:
    is_special = address.is_multicast or address.is_reserved or address.is_link_local or address.is_loopback
    is_site_local = address.version == 6 and address in _SITE_LOCAL
    return address.is_global and not is_special and not is_site_local and str(address) not in _METADATA


def names_itself(host: str, address: str) -> bool:
    """Whether `host`, from the user's URL, is this IP address, or is `localhost` and this is a loopback address."""
    try:
        if host == "localhost" or host.endswith(".localhost"):
            return ipaddress.ip_address(address.partition("%")[0]).is_loopback
        return ipaddress.ip_address(host) == ipaddress.ip_address(address)
    except ValueError:
        return False


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host, in the order in which to try them. Raises OSError."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))
