"""Who may ask: checked for every request before anything else sees it.

In this order: the name the server is called by, the page that asks, the key or the user, the size, the rate. A request
that fails is answered at once and costs nothing.
"""

import os
import pwd
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.server import peers
from streamrag_cli.server.keys import KeyRing, presented_key
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.origins import check_host, check_origin, is_loopback
from streamrag_cli.server.rates import Rates, client_group
from streamrag_cli.server.replies import RefusedError
from streamrag_cli.server.request_log import entry_of
from streamrag_cli.server_keys import split_keys
from streamrag_cli.settings import ServerSettings

PEER_UID: Final = "peer_uid"
"""Where `scope["state"]` holds the user id of the other end, or None if it is not known."""
_PAGE: Final = "/"
_OPEN: Final = "/healthz"
_ASKING: Final = ("/rag/", "/v1/chat/", "/search")
_MAKE_KEY: Final = 'export STREAMRAG_SERVER_KEY="$(openssl rand -hex 32)"'


def costs(path: str) -> bool:
    """Whether a request for this path asks a question."""
    return path.startswith(_ASKING)


def check_reachable(settings: ServerSettings) -> None:
    """Raises ConfigurationError: `server_key_missing` for a server that others could reach and nobody guards,
    `bad_setting` for an allowed user that does not exist.
    """
    if settings.server_key is None and not is_loopback(settings.host):
        raise ConfigurationError(
            f"{settings.host} can be reached from other machines, so the server needs a key",
            code="server_key_missing",
            hint=_MAKE_KEY,
        )
    _allowed_uids(settings)


def asks_for_users(settings: ServerSettings) -> bool:
    """Whether the user at the other end decides who may ask: without a key, on a system that knows."""
    return settings.server_key is None and peers.known()


class Guard:
    """Middleware that lets through what may ask. `refused` is told the code of each refusal."""

    def __init__(
        self, app: ASGIApp, *, settings: ServerSettings, limits: Limits, refused: Callable[[str], None]
    ) -> None:
        self._app = app
        self._settings = settings
        self._limits = limits
        self._refused = refused
        self._keys = KeyRing(split_keys(settings.server_key)) if settings.server_key is not None else None
        self._uids = _allowed_uids(settings) if asks_for_users(settings) else None
        self._rates = Rates(settings.rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope, Headers(scope=scope))
        except RefusedError as refused:
            self._refused(refused.code)
            entry_of(scope).outcome = refused.code
            await refused.reply(scope["path"])(scope, receive, send)
            return
        await self._app(scope, _limited(receive, self._limits.body_bytes), send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        check_host(headers, self._settings)
        asks = costs(scope["path"]) and scope["method"] != "OPTIONS"
        check_origin(headers, self._settings.cors_origin, costs=asks, is_page=scope["path"] == _PAGE)
        client = client_group(scope["client"][0] if scope["client"] else "")
        if scope["path"] != _OPEN:
            if self._keys is not None:
                # A key that nobody checks is only a name that a client may change at will.
                client = entry_of(scope).key = self._keys.name_of(presented_key(headers), client)
            elif self._uids is not None and scope["state"].get(PEER_UID) not in self._uids:
                raise _other_user()
        _check_length(headers, self._limits.body_bytes)
        if asks and (wait_s := self._rates.hit(client)) is not None:
            raise RefusedError(
                429,
                f"more than {self._settings.rate_limit.replace('/', ' questions a ')}",
                code="rate_limited",
                hint="wait as long as Retry-After says",
                retry_after_s=wait_s,
            )


def _allowed_uids(settings: ServerSettings) -> frozenset[int]:
    """The users that a server without a key answers: its own, root, and those that were named."""
    return frozenset({os.geteuid(), 0, *map(_uid_of, settings.allow_user)})


def _uid_of(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        if user.isascii() and user.isdigit():
            return int(user)
    raise ConfigurationError(
        f"allow_user: this machine has no user {user!r}", code="bad_setting", hint="getent passwd   (lists them)"
    )


def _other_user() -> RefusedError:
    return RefusedError(
        401,
        "without a key this server answers only the user who started it",
        code="other_user",
        hint=f"start it with a key: {_MAKE_KEY}, or for a proxy's user: streamrag serve --allow-user NAME",
    )


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
