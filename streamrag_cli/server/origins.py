"""Checks `Host` (the names by which clients may address the server) and `Origin` (the pages that may use it)."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from streamrag_cli.server.replies import RefusedError
from streamrag_cli.settings import ServerSettings

_PORTS: Final = {"http": 80, "https": 443}
_ALLOW_ORIGIN: Final = "streamrag serve --cors-origin ORIGIN"
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]@/?#\\:\s]+)(?::([0-9]{1,5}))?", flags=re.IGNORECASE)
_PAGE_RESOURCE_TYPES: Final = ("image/", "video/", "audio/", "font/", "text/css")


def is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def check_host(headers: Headers, settings: ServerSettings) -> None:
    """Protect against DNS rebinding: a browser always sends the host name from the URL that it requests.

    Raises RefusedError: `bad_request`, `unknown_host`.
    """
    hosts = headers.getlist("host")
    if len(hosts) > 1:  # a proxy and this server could use different ones
        raise RefusedError(
            400,
            "the request has more than one Host header",
            code="bad_request",
            hint="send one Host header with this server's name",
        )
    name, _ = _host_and_port(hosts[0] if hosts else "")
    if name in settings.allow_host or name == settings.host or (name and _is_own_address(name, settings.host)):
        return
    raise RefusedError(
        421,
        "this host name is not allowed",
        code="unknown_host",
        hint="streamrag serve --allow-host NAME",
    )


def check_origin(headers: Headers, allowed: Sequence[str], *, is_private: bool, is_page: bool) -> None:
    """Refuse requests from other sites' pages, because the client's browser sends its credentials with them.

    `is_private` is true if the reply contains text from documents. `is_page` is true for the web page, to which other
    sites may link. Raises RefusedError `foreign_origin`.
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    if origin is not None:
        if origin.lower() not in allowed and not _is_same(origin, host):
            raise RefusedError(
                403, "pages from this origin may not use this server", code="foreign_origin", hint=_ALLOW_ORIGIN
            )
        return
    site = headers.get("sec-fetch-site")
    follows_a_link = is_page and headers.get("sec-fetch-mode") == "navigate"
    if site is not None:
        foreign = site not in {"none", "same-origin"} and not follows_a_link
    else:  # browsers send no Sec-Fetch headers over plain HTTP to a host name
        foreign = is_private and (
            _has_foreign_referer(headers, host, allowed) or _is_for_display(headers) or _hides_its_page(headers)
        )
    if foreign:
        raise RefusedError(
            403, "pages from other sites may not use this server", code="foreign_origin", hint=_ALLOW_ORIGIN
        )


def _is_own_address(name: str, bound_to: str) -> bool:
    """Whether `name` is one of this server's addresses. In a DNS rebinding attack, it is another site's name."""
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    everywhere = bound_to != "localhost" and ipaddress.ip_address(bound_to).is_unspecified
    return address.is_loopback or everywhere


def _host_and_port(host: str) -> tuple[str, int | None]:
    """The name and port in a `Host` header. The name is "" if the header is malformed or contains a user."""
    match = _HOST.fullmatch(host.strip())
    if match is None:
        return "", None
    return match[1].strip("[]").lower(), int(match[2]) if match[2] else None


def _is_same(origin: str, host: str) -> bool:
    """Whether `origin` has the name and port in `host`. Its scheme may be HTTPS, because a proxy may terminate TLS."""
    try:
        parts = urlsplit(origin)
        origin_port = parts.port
    except ValueError:
        return False
    name, port = _host_and_port(host)
    default = _PORTS.get(parts.scheme)
    if not name or default is None or "@" in parts.netloc:
        return False
    return parts.hostname == name and (origin_port or default) == (port or default)


def _has_foreign_referer(headers: Headers, host: str, allowed: Sequence[str]) -> bool:
    referer = headers.get("referer", "")
    if not referer:
        return False
    scheme, _, rest = referer.partition("://")
    origin = f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}".lower()
    return origin not in allowed and not _is_same(origin, host)


def _hides_its_page(headers: Headers) -> bool:
    """Whether a browser sent the request without the address of the page that caused it, as any page can request.

    Every browser's User-Agent begins with `Mozilla/`. A browser adds a `Basic` login on its own, but never a `Bearer`.
    """
    is_browser = headers.get("user-agent", "").startswith("Mozilla/")
    has_bearer = headers.get("authorization", "").lower().startswith("bearer ")
    return is_browser and not has_bearer and not headers.get("referer")


def _is_for_display(headers: Headers) -> bool:
    """Whether the Accept header asks for a page or a part of a page, as a browser does. Programs ask for data."""
    accept = headers.get("accept", "").lower()
    return "text/html" in accept or accept.strip().startswith(_PAGE_RESOURCE_TYPES)
