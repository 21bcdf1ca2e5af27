"""Who may ask: checked for every request before anything else sees it.

In this order: the name the server is called by (against DNS rebinding), the page that asks (against other sites
using a visitor's browser), the key, the rate. A request that fails is answered at once and costs nothing.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.replies import RefusedError
from streamrag_cli.settings import ServerSettings

_PORTS: Final = {"http": 80, "https": 443}
_PAGE: Final = "/"
_OPEN: Final = "/healthz"
_ASKING: Final = ("/rag/", "/v1/chat/", "/search")
_URL_CHARS: Final = 100_000


def check_reachable(settings: ServerSettings) -> None:
    """Raises ConfigurationError `server_key_missing` for a server that others could reach and nobody guards."""
    if settings.server_key is None and not _is_loopback(settings.host):
        raise ConfigurationError(
            f"{settings.host} can be reached from other machines, so the server needs a key",
            code="server_key_missing",
            hint='export STREAMRAG_SERVER_KEY="$(openssl rand -hex 32)"',
        )


class Guard:
    """Middleware that lets through what may ask. `refused` is told the code of each refusal."""

    def __init__(
        self, app: ASGIApp, *, settings: ServerSettings, limits: Limits, refused: Callable[[str], None]
    ) -> None:
        self._app = app
        self._settings = settings
        self._limits = limits
        self._refused = refused
        self._rate: RateLimitItem = parse(settings.rate_limit)
        self._rates = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check(scope, headers)
        except RefusedError as refused:
            self._refused(refused.code)
            await refused.reply(scope["path"])(scope, receive, send)
            return
        await self._app(scope, _limited(receive, self._limits.body_bytes), send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        _check_host(headers, self._settings)
        _check_origin(scope, headers, self._settings.cors_origin)
        presented = _presented_key(headers)
        if self._settings.server_key is not None and scope["path"] != _OPEN:
            _check_key(presented, self._settings.server_key)
        if len(scope["query_string"]) + len(scope["path"]) > _URL_CHARS:
            raise RefusedError(414, "the address is too long", code="too_long", hint="send the question by POST")
        _check_length(headers, self._limits.body_bytes)
        if scope["path"].startswith(_ASKING) and scope["method"] != "OPTIONS":
            # A key that nobody checks is only a name that a client may change at will.
            self._check_rate(scope, presented if self._settings.server_key is not None else None)

    def _check_rate(self, scope: Scope, presented: str | None) -> None:
        client = scope["client"][0] if scope["client"] else ""
        who = hashlib.sha256(presented.encode()).hexdigest() if presented else client
        if not self._rates.hit(self._rate, who):
            raise RefusedError(
                429,
                f"more than {self._settings.rate_limit.replace('/', ' questions a ')}",
                code="rate_limited",
                hint="wait as long as Retry-After says",
                retry_after_s=self._seconds_until_free(who),
            )

    def _seconds_until_free(self, who: str) -> int:
        reset_s, _ = self._rates.get_window_stats(self._rate, who)
        return max(1, round(reset_s - time.time() + 0.5))


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _check_host(headers: Headers, settings: ServerSettings) -> None:
    name, _ = _host_and_port(headers.get("host", ""))
    if name in settings.allow_host or name == settings.host or (name and _is_own_address(name, settings.host)):
        return
    raise RefusedError(
        421,
        "this server does not answer to that name",
        code="unknown_host",
        hint="streamrag serve --allow-host NAME",
    )


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
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").lower(), parts.port
    except ValueError:
        return "", None


def _check_origin(scope: Scope, headers: Headers, allowed: Sequence[str]) -> None:
    """Let no page of another site ask through its visitor's browser, which sends what it has of credentials."""
    origin = headers.get("origin")
    if origin is not None:
        if origin.lower() in allowed or _is_same(origin, headers.get("host", "")):
            return
        raise RefusedError(403, "pages of that origin may not ask", code="foreign_origin", hint=_ALLOW_ORIGIN)
    site = headers.get("sec-fetch-site", "none")
    follows_a_link = scope["path"] == _PAGE and headers.get("sec-fetch-mode") == "navigate"
    if site not in {"none", "same-origin"} and not follows_a_link:
        raise RefusedError(403, "other sites may not ask", code="foreign_origin", hint=_ALLOW_ORIGIN)


_ALLOW_ORIGIN: Final = "streamrag serve --cors-origin ORIGIN"


def _is_same(origin: str, host: str) -> bool:
    """Whether an origin is the server itself, as its client calls it; who ends TLS in front of us is not known."""
    try:
        parts = urlsplit(origin)
        origin_port = parts.port
    except ValueError:
        return False
    name, port = _host_and_port(host)
    default = _PORTS.get(parts.scheme)
    return bool(name) and parts.hostname == name and (origin_port or default) == (port or default)


def _presented_key(headers: Headers) -> str | None:
    """The key of `Authorization: Bearer KEY`, or the password of `Basic`, which a browser asks its user for."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return None
        case _:
            return None


def _check_key(presented: str | None, key: str) -> None:
    if presented is None:
        raise RefusedError(
            401, "a key is needed", code="key_missing", hint='curl -H "Authorization: Bearer $STREAMRAG_SERVER_KEY" URL'
        )
    # Digests have one length, so nothing about the key's own can be told from the time that this takes.
    digests = [hashlib.sha256(each.encode("utf-8", "surrogateescape")).digest() for each in (presented, key)]
    if not hmac.compare_digest(*digests):
        raise RefusedError(401, "that is not the key", code="key_refused", hint="see STREAMRAG_SERVER_KEY")


def _check_length(headers: Headers, most: int) -> None:
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length[:20]) > most:
        raise _too_large(most)


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"a request has at most {most} bytes", code="too_large", hint="send less text")


def _limited(receive: Receive, most: int) -> Receive:
    """`receive`, which fails once the body is longer than `most`: it may come without saying its length."""
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise HTTPException(413, _too_large(most).message)  # FastAPI passes on no other
        return message

    return counting
