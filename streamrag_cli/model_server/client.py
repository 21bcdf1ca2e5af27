"""Requests to a model's server, and everything that one may raise.

Straight over HTTP, not through OpenAI's package: that one costs 0.7 to 1.5 s to import before a question can be sent,
sends what the environment holds for OpenAI to whatever server it is pointed at, and retries in silence. Import this
module late: the HTTP library costs 0.1 to 0.2 s.
"""

import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, Final, TypeVar
from weakref import WeakSet

import anyio
import httpx2

from streamrag_cli.model_server import errors
from streamrag_cli.model_server.deadline import Deadline
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.model_server.network_policy import RedirectedError, is_this_machine, reject_other_origin
from streamrag_cli.model_server.pace import Pace
from streamrag_cli.store.time_limit import Cancellation

Http = TypeVar("Http", httpx2.AsyncClient, httpx2.Client)
WHOLE_REPLY_LIMITS: Final = 4
"""How many time limits for silence a reply that is read whole may take altogether."""
_REPLY_BYTES: Final = 128_000_000
_CONNECT_TIMEOUT_S: Final = 10.0
_MOST_REDIRECTS: Final = 5
_KEPT_CONNECTIONS: Final = 100
_CONNECTED: Final = ("connection.connect_tcp.complete", "connection.start_tls.complete")
_KEPT_S: Final = 60.0


class StatusError(Exception):
    """The server answered with a status of failure; `text` is the reply's."""

    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.headers = headers
        self.text = text


class ErrorInStreamError(Exception):
    """The server sent an error where a piece of the answer should have been."""

    def __init__(self, error: object) -> None:
        super().__init__("an error in the stream")
        self.error = error


class NotAReplyError(ValueError):
    """What the server sent is neither an answer nor an error in JSON; `text` is how it begins."""

    def __init__(self, text: str) -> None:
        super().__init__("not a reply")
        self.text = text


class ReplyTooSlowError(TimeoutError):
    """The server was never silent for long, and did not come to an end."""


class RequestCancelledError(Exception):
    """Nobody waits for the reply any more."""


class ReplyTooLongError(ValueError):
    """The reply is longer than anything that was asked for."""


BROKEN_CONNECTION: Final = (httpx2.RequestError, httpx2.InvalidURL, ssl.SSLError, anyio.EndOfStream)
FOREIGN_ERRORS: Final = (
    StatusError,
    ErrorInStreamError,
    RedirectedError,
    *BROKEN_CONNECTION,
    TimeoutError,
    ValueError,
    RecursionError,
)
"""What a request of these clients, and reading its reply, may raise; see `Failure.of`."""


class StreamingClient:
    """For answers that are streamed. It has no limit on silence, and keeps connections until it is closed.

    `pace` is the one that the answers are read at.
    """

    def __init__(self, endpoint: ModelEndpoint, pace: Pace) -> None:
        """Raises ConfigurationError `unusable_environment`."""
        self.pace = pace
        self._url = endpoint.url
        self._http = _made(
            httpx2.AsyncClient,
            endpoint,
            # Left alone it opens a hundred, and the next answer waits until one of those is whole.
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=_KEPT_CONNECTIONS, keepalive_expiry=_KEPT_S
            ),
        )

    async def post(
        self, path: str, payload: object, *, timeout_s: float, on_step: Callable[[str], None]
    ) -> httpx2.Response:
        """Send `payload` as JSON; the reply's body is still to be read, and the reply to be closed.

        `timeout_s` limits the time to connect; `on_step` is called with "connect" and "send". Raises `FOREIGN_ERRORS`,
        StatusError for any status but success.
        """
        request = self._http.build_request(
            "POST",
            self._url + path,
            content=json.dumps(payload).encode(),
            timeout=httpx2.Timeout(None, connect=min(timeout_s, _CONNECT_TIMEOUT_S)),
            extensions={"trace": _tracer(on_step)},
        )
        response = await self._http.send(request, stream=True)
        if not response.is_success:
            try:
                body = bytearray()
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > _REPLY_BYTES:
                        raise ReplyTooLongError
            finally:
                await response.aclose()
            raise StatusError(response.status_code, response.headers, body.decode("utf-8", "replace"))
        return response

    async def close(self) -> None:
        await self._http.aclose()


class WholeReplyClient:
    """For replies that are read whole: each may be silent for `timeout_s`, and last `WHOLE_REPLY_LIMITS` times that.

    Keeps its connection from one request to the next, until it is closed.
    """

    def __init__(self, endpoint: ModelEndpoint, *, timeout_s: float) -> None:
        """Raises ConfigurationError `unusable_environment`."""
        self._url = endpoint.url
        self._limit_s = WHOLE_REPLY_LIMITS * timeout_s
        self._connections: WeakSet[socket.socket] = WeakSet()
        self._http = _made(
            httpx2.Client,
            endpoint,
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S)),
        )

    def post(self, path: str, payload: object, cancellation: Cancellation) -> bytes:
        """Send `payload` as JSON and return the reply's body.

        Raises `FOREIGN_ERRORS`, and RequestCancelledError: its connection is closed as soon as `cancellation` says so,
        or, if it is still being made, within the time to connect.
        """
        with Deadline(self._limit_s) as deadline, cancellation.on_cancel(deadline.pass_now):
            if cancellation.is_cancelled:
                raise RequestCancelledError
            for connection in list(self._connections):
                deadline.watch(connection)

            def note(event: str, told: Mapping[str, Any]) -> None:
                if event in _CONNECTED:
                    connection = told["return_value"].get_extra_info("socket")
                    self._connections.add(connection)
                    deadline.watch(connection)

            try:
                reply = self._reply(path, payload, note)
            except BROKEN_CONNECTION:
                if deadline.passed:
                    raise _given_up(cancellation) from None
                raise
            if deadline.passed:  # the end that was read may be the deadline's
                raise _given_up(cancellation)
        return reply

    def _reply(self, path: str, payload: object, note: Callable[[str, Mapping[str, Any]], None]) -> bytes:
        body = bytearray()
        content, extensions = json.dumps(payload).encode(), {"trace": note}
        with self._http.stream("POST", self._url + path, content=content, extensions=extensions) as response:
            for piece in response.iter_raw():
                body += piece
                if len(body) > _REPLY_BYTES:
                    raise ReplyTooLongError
        if not response.is_success:
            raise StatusError(response.status_code, response.headers, body.decode("utf-8", "replace"))
        return bytes(body)

    def close(self) -> None:
        self._http.close()


def _given_up(cancellation: Cancellation) -> Exception:
    return RequestCancelledError() if cancellation.is_cancelled else ReplyTooSlowError()


def _made(client: Callable[..., Http], endpoint: ModelEndpoint, **options: Any) -> Http:
    """A client that trusts the certificates and goes through the proxies which the environment names.

    It goes through none to this machine, and follows no redirect to another origin: RedirectedError.
    """
    try:
        return client(
            headers=_headers(endpoint),
            verify=ssl_context(endpoint.scheme),
            trust_env=not is_this_machine(endpoint.host),
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
            event_hooks={"request": [_origin_guard(client, endpoint)]},
            **options,
        )
    except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
        raise errors.unusable_environment(error) from error


def _origin_guard(client: Callable[..., Http], endpoint: ModelEndpoint) -> Callable[[httpx2.Request], Any]:
    """Called before each request is sent, those that a redirect makes as well."""
    named = str(httpx2.URL(endpoint.url))

    def guard(request: httpx2.Request) -> None:
        reject_other_origin(named, str(request.url))

    async def async_guard(request: httpx2.Request) -> None:
        guard(request)

    return async_guard if client is httpx2.AsyncClient else guard


def _tracer(on_step: Callable[[str], None]) -> Callable[[str, object], Awaitable[None]]:
    steps = dict.fromkeys(_CONNECTED, "connect")
    steps["http11.send_request_body.complete"] = "send"

    async def trace(event: str, _: object) -> None:
        if event in steps:
            on_step(steps[event])

    return trace


def _headers(endpoint: ModelEndpoint) -> dict[str, str]:
    key: dict[str, Any] = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    return {
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # and nothing is decompressed: a kilobyte could become a gigabyte
        "Content-Type": "application/json",
        "User-Agent": "streamrag",
        **key,
    }


@cache
def ssl_context(scheme: str) -> ssl.SSLContext:
    """Whom to trust. Reading the certificates takes 20 to 50 ms; plain HTTP needs none, and then nobody is trusted."""
    return httpx2.create_ssl_context() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
