"""Under which name a server may be called, and for which pages a browser may ask it."""

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
_LOADED_BY_A_PAGE: Final = ("image/", "video/", "audio/", "font/", "text/css")


def is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def check_host(headers: Headers, settings: ServerSettings) -> None:
    """Against DNS rebinding: a page cannot have a browser send a name that is not its own."""
    hosts = headers.getlist("host")
    if len(hosts) > 1:  # a proxy may go by another one than we do
        raise RefusedError(
            400,
            "there is more than one Host header",
            code="bad_request",
            hint="send one Host header, this server's name",
        )
    name, _ = _host_and_port(hosts[0] if hosts else "")
    if name in settings.allow_host or name == settings.host or (name and _is_own_address(name, settings.host)):
        return
    raise RefusedError(
        421,
        "this server does not answer to that name",
        code="unknown_host",
        hint="streamrag serve --allow-host NAME",
    )


def check_origin(headers: Headers, allowed: Sequence[str], *, costs: bool, is_page: bool) -> None:
    """Let no page of another site ask through its visitor's browser, which sends what it has of credentials.

    `costs` is whether the request makes the server work, `is_page` whether it is for the page that links lead to.
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    if origin is not None:
        if origin.lower() not in allowed and not _is_same(origin, host):
            raise RefusedError(403, "pages of that origin may not ask", code="foreign_origin", hint=_ALLOW_ORIGIN)
        return
    site = headers.get("sec-fetch-site")
    follows_a_link = is_page and headers.get("sec-fetch-mode") == "navigate"
    if site is not None:
        foreign = site not in {"none", "same-origin"} and not follows_a_link
    else:  # over plain HTTP to a name a browser sends no Sec-Fetch headers
        foreign = costs and (_has_foreign_referer(headers, host, allowed) or _is_for_showing(headers))
    if foreign:
        raise RefusedError(403, "other sites may not ask", code="foreign_origin", hint=_ALLOW_ORIGIN)


def _is_own_address(name: str, bound_to: str) -> bool:
    """Whether `name` can only mean this server: a page on another name cannot have the browser send it."""
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    everywhere = bound_to != "localhost" and ipaddress.ip_address(bound_to).is_unspecified
    return address.is_loopback or everywhere


def _host_and_port(host: str) -> tuple[str, int | None]:
    """The two parts of a `Host` header; an empty name if it is anything else, such as one with a user."""
    found = _HOST.fullmatch(host.strip())
    if found is None:
        return "", None
    return found[1].strip("[]").lower(), int(found[2]) if found[2] else None


def _is_same(origin: str, host: str) -> bool:
    """Whether an origin is the server itself, as its client calls it; who ends TLS in front of us is not known."""
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


def _is_for_showing(headers: Headers) -> bool:
    """Whether a browser asks in order to show the reply as a page, or as a part of one; programs ask for data."""
    accept = headers.get("accept", "").lower()
    return "text/html" in accept or accept.strip().startswith(_LOADED_BY_A_PAGE)
