"""Uvicorn's HTTP protocol, with limits on slow requests and on clients that do not read.

It also ends open streams when the server shuts down.

Each time limit is a timer that aborts the connection, because a graceful close would wait for the client again. If the
URL or the headers are too long, the reply is sent in a way that lets the client read it while it is still sending.
"""

import asyncio
import socket
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from streamrag_cli.server.peers import Peers
from streamrag_cli.server.replies import RefusedError
from streamrag_cli.server.request_log import entry_of, write_line
from streamrag_cli.server.security import PEER_UID
from streamrag_cli.server.serving import Serving

_DISCARDED_BYTES: Final = 1 << 20
_FRAMING_BYTES: Final = 1 << 16
"""How many bytes a chunked request may have in addition to its body. Parsing a million tiny chunks takes seconds."""
_TOO_LONG: Final = RefusedError(
    414, "the URL is too long", code="too_long", hint="send the question in the body of a POST request"
)
_TOO_MANY_PARAMETERS: Final = RefusedError(
    414, "the URL has too many parameters", code="too_long", hint="send each parameter once"
)
_HEADERS_TOO_LARGE: Final = RefusedError(431, "the headers are too large", code="headers_too_large")


class LimitedProtocol(HttpToolsProtocol):
    """The protocol of one connection. Uvicorn creates it."""

    def __init__(self, *, app_state: dict[str, Any], **options: Any) -> None:
        super().__init__(app_state=app_state, **options)
        self._serving: Serving = app_state["serving"]
        self._limits = self._serving.limits
        self._request_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._field_bytes = 0
        self._framing_bytes = 0
        self._reading_head = True
        self._reading = False
        self._refused: RefusedError | None = None
        self._discarded_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # asyncio sets this option only for sockets that it creates. Without it, a reply may be delayed by 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A small buffer: a client that does not read is detected sooner and uses less memory.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.send_buffer_bytes)
        # With a higher mark, the last bytes of a reply could wait without a time limit, even on a closed transport.
        transport.set_write_buffer_limits(high=0)
        if self._serving.peers is not None:
            self.app_state = {**self.app_state, PEER_UID: self._peer_uid(self._serving.peers)}
        self._expect_request(self._limits.headers_s)

    def _peer_uid(self, peers: Peers) -> int | None:
        """The client's user ID, or None if it is unknown. It must be looked up before the client disconnects."""
        peer, ours = map(self.transport.get_extra_info, ("peername", "sockname"))
        return peers.uid_of(peer[:2], ours[:2]) if peer and ours else None

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_request_timer()
        self._end_send_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused is not None:
            self._discard(len(data))
            return
        if self._reading_head:
            self._head_bytes += len(data)
        elif self._reading:
            self._framing_bytes += len(data)
        super().data_received(data)
        self._limit_idle_time()
        # httptools has not yet reported a header line whose end has not arrived.
        if self._reading_head and self._head_bytes - self._url_bytes() > self._limits.headers_bytes:
            self._refused = self._refused or _HEADERS_TOO_LARGE
        if self._reading and self._framing_bytes > _FRAMING_BYTES:
            self.transport.abort()
            return
        if self._refused is not None and not self.transport.is_closing():
            self._answer(self._refused)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading = self._reading_head = True
        self._field_bytes = self._framing_bytes = 0
        self._expect_request(self._limits.headers_s)

    def on_url(self, url: bytes) -> None:
        if self._url_bytes() + len(url) > self._limits.url_bytes:
            self._refused = self._refused or _TOO_LONG
        else:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._field_bytes += len(name) + len(value)
        if self._field_bytes > self._limits.headers_bytes:
            self._refused = self._refused or _HEADERS_TOO_LARGE
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._reading_head = False
        self._head_bytes = 0
        if self._refused is not None:
            return
        self.url, _, query = self.url.partition(b"?")  # httptools does not parse a URL above 64 kB
        if query.count(b"&") >= self._limits.query_parameters:
            self._refused = _TOO_MANY_PARAMETERS  # parsing and validating 10,000 parameters takes 0.3 s
            return
        self._expect_request(self._limits.body_s)
        super().on_headers_complete()
        self.scope["query_string"] = query.partition(b"#")[0]

    def on_body(self, body: bytes) -> None:
        self._framing_bytes -= len(body)
        if self._refused is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refused is None:
            self._reading = False
            self._end_request_timer()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._limit_idle_time()

    def shutdown(self) -> None:
        """End all open streams, then close this connection. Uvicorn calls this for each connection at shutdown."""
        self._serving.streams.shut_down()
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._end_send_timer()
        self._send_timer = self.loop.call_later(self._limits.send_stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._end_send_timer()
        super().resume_writing()

    def _url_bytes(self) -> int:
        return len(getattr(self, "url", b""))  # uvicorn sets it when a request begins

    def _answer(self, refused: RefusedError) -> None:
        """Refuse a request that has not been read completely.

        Closing a connection that has unread bytes resets it, and the reply is lost. Some more bytes are therefore read
        and discarded first.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # the refusal would end up inside another reply
            return
        reply = refused.reply()
        headers = [*reply.raw_headers, (b"connection", b"close")]
        lines = b"".join(b"%b: %b\r\n" % each for each in headers)
        self.transport.write(STATUS_LINE[refused.status] + lines + b"\r\n" + bytes(reply.body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._serving.metrics.count_refused(refused.code)
        scope = {**self.scope, "path": self.url[:200].partition(b"?")[0].decode("latin-1")}
        scope.setdefault("method", self.parser.get_method().decode("ascii"))
        entry_of(scope).outcome = refused.code
        write_line(scope, refused.status, 0.0)

    def _discard(self, count: int) -> None:
        self._discarded_bytes += count
        if self._discarded_bytes > _DISCARDED_BYTES:
            self.transport.abort()

    def _expect_request(self, within_s: float) -> None:
        self._end_request_timer()
        self._request_timer = self.loop.call_later(within_s, self.transport.abort)

    def _limit_idle_time(self) -> None:
        """Limit the time until the next request begins.

        Uvicorn's own limit is cancelled by any byte that arrives, such as an empty line or the rest of a body after an
        early reply.
        """
        is_idle = not self._reading and self.cycle is not None and self.cycle.response_complete
        if is_idle and self._request_timer is None and not self.transport.is_closing():
            self._expect_request(self._limits.idle_s)

    def _end_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _end_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None
