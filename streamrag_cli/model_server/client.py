"""HTTP clients for model servers, and the exceptions they raise.

The clients do not use OpenAI's package, for three reasons: importing it takes 0.7 to 1.5 s, it sends OpenAI variables
from the environment to any configured server, and it retries without reporting it. Import this module late: its HTTP
library takes 0.1 to 0.2 s to import.
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
"""The total time limit for a reply that is not streamed, as a multiple of the idle timeout."""
_REPLY_BYTES: Final = 128_000_000
_ERROR_BYTES: Final = 1_000_000
"""How much of a reply with an error status is read."""
_CONNECT_TIMEOUT_S: Final = 10.0
_MAX_REDIRECTS: Final = 5
_MAX_IDLE_CONNECTIONS: Final = 100
_CONNECT_EVENTS: Final = ("connection.connect_tcp.complete", "connection.start_tls.complete")
_KEEPALIVE_S: Final = 60.0


class StatusError(Exception):
    """The server replied with an error status; `text` is the reply's body."""

    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.headers = headers
        self.text = text


class ErrorInStreamError(Exception):
    """The server sent an error object instead of a piece of the answer."""

    def __init__(self, error: object) -> None:
        super().__init__("the server sent an error object in the stream")
        self.error = error


class NotAReplyError(ValueError):
    """The reply is neither an answer nor an error object. `text` is the beginning of the reply."""

    def __init__(self, text: str) -> None:
        super().__init__("the reply is neither an answer nor an error object")
        self.text = text


class ReplyTooSlowError(TimeoutError):
    """The reply arrived too slowly to be complete within the total time limit."""


class RequestCancelledError(Exception):
    """The caller cancelled the request."""


class ReplyTooLongError(ValueError):
    """The reply is larger than any valid reply could be."""


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
"""Exceptions that may be raised by a request or while its reply is read; `Failure.of` converts them."""


class StreamingClient:
    """Client for streamed answers. It has no read timeout, and keeps idle connections open for a minute.

    `pace` limits how often the pieces of its answers are passed on.
    """

    def __init__(self, endpoint: ModelEndpoint, pace: Pace) -> None:
        """Create a client for the endpoint. Raises ConfigurationError `unusable_environment`."""
        self.pace = pace
        self._url = endpoint.url
        self._http = _new_client(
            httpx2.AsyncClient,
            endpoint,
            # The default is 100 connections; the 101st answer would wait until another one is complete.
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=_MAX_IDLE_CONNECTIONS, keepalive_expiry=_KEEPALIVE_S
            ),
        )

    async def post(
        self, path: str, payload: object, *, timeout_s: float, on_step: Callable[[str], None]
    ) -> httpx2.Response:
        """Send `payload` as JSON. The caller must read the response's body and close it.

        `timeout_s`, but at most 10 s, limits the time to connect. `on_step` is called with "connect" and "send" when
        these steps are complete. Raises StatusError for an error status, and the other exceptions in `FOREIGN_ERRORS`.
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
                    if len(body) > _ERROR_BYTES:
                        break
            finally:
                await response.aclose()
            raise StatusError(response.status_code, response.headers, body.decode("utf-8", "replace"))
        return response

    async def close(self) -> None:
        await self._http.aclose()


class WholeReplyClient:
    """Client for replies that are not streamed. Keeps its connection open between requests.

    The idle timeout of a request is `timeout_s`. A whole reply may take `WHOLE_REPLY_LIMITS` times as long.
    """

    def __init__(self, endpoint: ModelEndpoint, *, timeout_s: float) -> None:
        """Create a client for the endpoint. Raises ConfigurationError `unusable_environment`."""
        self._url = endpoint.url
        self._limit_s = WHOLE_REPLY_LIMITS * timeout_s
        self._connections: WeakSet[socket.socket] = WeakSet()
        self._http = _new_client(
            httpx2.Client,
            endpoint,
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S)),
        )

    def post(self, path: str, payload: object, cancellation: Cancellation) -> bytes:
        """Send `payload` as JSON and return the reply's body.

        Raises `FOREIGN_ERRORS`, and RequestCancelledError after `cancellation`, which closes the connection
        immediately. A connection that is still being established is closed within the connect timeout.
        """
        with Deadline(self._limit_s) as deadline, cancellation.on_cancel(deadline.expire):
            if cancellation.is_cancelled:
                raise RequestCancelledError
            for connection in list(self._connections):
                deadline.watch(connection)

            def trace(event: str, details: Mapping[str, Any]) -> None:
                if event in _CONNECT_EVENTS:
                    connection = details["return_value"].get_extra_info("socket")
                    self._connections.add(connection)
                    deadline.watch(connection)

            try:
                reply = self._read_reply(path, payload, trace)
            except BROKEN_CONNECTION:
                if deadline.expired:
                    raise _timeout_or_cancelled(cancellation) from None
                raise
            if deadline.expired:  # the deadline may have closed the connection, so the reply may be incomplete
                raise _timeout_or_cancelled(cancellation)
        return reply

    def _read_reply(self, path: str, payload: object, trace: Callable[[str, Mapping[str, Any]], None]) -> bytes:
        body = bytearray()
        content, extensions = json.dumps(payload).encode(), {"trace": trace}
        with self._http.stream("POST", self._url + path, content=content, extensions=extensions) as response:
            for piece in response.iter_raw():
                body += piece
                if len(body) > _ERROR_BYTES and not response.is_success:
                    break
                if len(body) > _REPLY_BYTES:
                    raise ReplyTooLongError
        if not response.is_success:
            raise StatusError(response.status_code, response.headers, body.decode("utf-8", "replace"))
        return bytes(body)

    def close(self) -> None:
        self._http.close()


def _timeout_or_cancelled(cancellation: Cancellation) -> Exception:
    return RequestCancelledError() if cancellation.is_cancelled else ReplyTooSlowError()


def _new_client(client: Callable[..., Http], endpoint: ModelEndpoint, **options: Any) -> Http:
    """A client that uses the certificates and proxies from the environment, but no proxy for this machine.

    Its requests raise RedirectedError for a redirect to another origin. Raises ConfigurationError
    `unusable_environment`.
    """
    try:
        return client(
            headers=_headers(endpoint),
            verify=ssl_context(endpoint.scheme),
            trust_env=not is_this_machine(endpoint.host),
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            event_hooks={"request": [_origin_guard(client, endpoint)]},
            **options,
        )
    except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
        raise errors.unusable_environment(error) from error


def _origin_guard(client: Callable[..., Http], endpoint: ModelEndpoint) -> Callable[[httpx2.Request], Any]:
    """A hook that checks each request's origin before it is sent, including redirected requests."""
    base_url = str(httpx2.URL(endpoint.url))

    def guard(request: httpx2.Request) -> None:
        reject_other_origin(base_url, str(request.url))

    async def async_guard(request: httpx2.Request) -> None:
        guard(request)

    return async_guard if client is httpx2.AsyncClient else guard


def _tracer(on_step: Callable[[str], None]) -> Callable[[str, object], Awaitable[None]]:
    steps = dict.fromkeys(_CONNECT_EVENTS, "connect")
    steps["http11.send_request_body.complete"] = "send"

    async def trace(event: str, _: object) -> None:
        if event in steps:
            on_step(steps[event])

    return trace


def _headers(endpoint: ModelEndpoint) -> dict[str, str]:
    key: dict[str, Any] = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    return {
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # replies are not decompressed: a kilobyte could become a gigabyte
        "Content-Type": "application/json",
        "User-Agent": "streamrag",
        **key,
    }


@cache
def ssl_context(scheme: str) -> ssl.SSLContext:
    """The TLS context for `scheme`. For plain HTTP it has no certificates, because loading them takes 20 to 50 ms."""
    return httpx2.create_ssl_context() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
