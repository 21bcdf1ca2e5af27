"""Access control: middleware that checks every request before it reaches a route.

The checks run in this order: `Host`, origin, key or user, size, rate. The first check that fails refuses the request.
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
"""The key in `scope["state"]` for the user ID of the connecting process; its value is None if the ID is unknown."""
_PAGE: Final = "/"
_PASSAGE: Final = "/passage"
_UNPROTECTED: Final = "/healthz"
_QUESTION_PREFIXES: Final = ("/rag/", "/v1/chat/", "/search")
_MAKE_KEY: Final = 'export STREAMRAG_SERVER_KEY="$(openssl rand -hex 32)"'


def is_question_path(path: str) -> bool:
    """Whether a request for `path` asks a question."""
    return path.startswith(_QUESTION_PREFIXES)


def returns_documents(path: str) -> bool:
    """Whether the reply to a request for `path` contains text from documents."""
    return is_question_path(path) or path.rstrip("/") == _PASSAGE


def check_access(settings: ServerSettings) -> None:
    """Check the settings that control access.

    Raises ConfigurationError: `server_key_missing` if other machines can reach the server and it has no key,
    `bad_setting` if an allowed user does not exist.
    """
    if settings.server_key is None and not is_loopback(settings.host):
        raise ConfigurationError(
            f"{settings.host} can be reached from other machines, so the server needs a key",
            code="server_key_missing",
            hint=_MAKE_KEY,
        )
    _allowed_uids(settings)


def checks_users(settings: ServerSettings) -> bool:
    """Whether access depends on the client's user, because there is no key and the system reports the user."""
    return settings.server_key is None and peers.is_supported()


class Guard:
    """Middleware that refuses requests that fail a check. `on_refused` is called with the code of each refusal."""

    def __init__(
        self, app: ASGIApp, *, settings: ServerSettings, limits: Limits, on_refused: Callable[[str], None]
    ) -> None:
        self._app = app
        self._settings = settings
        self._limits = limits
        self._on_refused = on_refused
        self._keys = KeyRing(split_keys(settings.server_key)) if settings.server_key is not None else None
        self._uids = _allowed_uids(settings) if checks_users(settings) else None
        self._rates = Rates(settings.rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope, Headers(scope=scope))
        except RefusedError as refused:
            self._on_refused(refused.code)
            entry_of(scope).outcome = refused.code
            await refused.reply(scope["path"])(scope, receive, send)
            return
        await self._app(scope, _limited(receive, self._limits.body_bytes), send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        check_host(headers, self._settings)
        is_question = is_question_path(scope["path"]) and scope["method"] != "OPTIONS"
        is_private = returns_documents(scope["path"]) and scope["method"] != "OPTIONS"
        check_origin(headers, self._settings.cors_origin, is_private=is_private, is_page=scope["path"] == _PAGE)
        client = client_group(scope["client"][0] if scope["client"] else "")
        if scope["path"] != _UNPROTECTED:
            if self._keys is not None:
                # If the server has no key, a key in the request must not count: the client could change it at will.
                client = entry_of(scope).key = self._keys.name_of(presented_key(headers), client)
            elif self._uids is not None and scope["state"].get(PEER_UID) not in self._uids:
                raise _other_user()
        _check_length(headers, self._limits.body_bytes)
        if is_question and (wait_s := self._rates.hit(client)) is not None:
            raise RefusedError(
                429,
                f"the limit of {self._settings.rate_limit.replace('/', ' questions per ')} is exceeded",
                code="rate_limited",
                hint="wait the number of seconds in the Retry-After header",
                retry_after_s=wait_s,
            )


def _allowed_uids(settings: ServerSettings) -> frozenset[int]:
    """The users that a server without a key answers: its own user, root, and the allowed users."""
    return frozenset({os.geteuid(), 0, *map(_uid_of, settings.allow_user)})


def _uid_of(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        if user.isascii() and user.isdigit():
            return int(user)
    raise ConfigurationError(
        f"allow_user: this machine has no user {user!r}", code="bad_setting", hint="list the users: getent passwd"
    )


def _other_user() -> RefusedError:
    return RefusedError(
        401,
        "without a key, this server answers only the user who started it",
        code="other_user",
        hint=f"set a key before you start the server: {_MAKE_KEY},"
        " or allow another local user: streamrag serve --allow-user NAME",
    )


def _check_length(headers: Headers, most: int) -> None:
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length[:20]) > most:
        raise _too_large(most)


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"the request is larger than {most} bytes", code="too_large", hint="send less text")


def _limited(receive: Receive, most: int) -> Receive:
    """Wrap `receive` so that it fails if a body without Content-Length is longer than `most` bytes."""
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise HTTPException(413, _too_large(most).message)  # FastAPI does not pass on any other exception
        return message

    return counting
