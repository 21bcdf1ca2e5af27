"""HTTP on one connection, with what uvicorn has none of: limits on slow requests and on readers that do not read.

It is also where open streams hear that the server has been told to stop.

Each limit is a timer on the connection and ends in cutting it off: a client that keeps one open for nothing is not
owed an answer, and closing politely would wait for it again.
"""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streamrag_cli.server.serving import Serving


class LimitedProtocol(HttpToolsProtocol):
    """One connection; uvicorn makes it."""

    def __init__(self, *, app_state: dict[str, Any], **options: Any) -> None:
        super().__init__(app_state=app_state, **options)
        self._serving: Serving = app_state["serving"]
        self._limits = self._serving.limits
        self._request_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._reading_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # Whoever does not read is noticed, and costs memory, only up to here.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.send_buffer_bytes)
        self._expect_request(self._limits.headers_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_request_timer()
        self._end_send_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._reading_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._reading_headers and self._header_bytes > self._limits.headers_bytes:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading_headers = True
        self._expect_request(self._limits.headers_s)

    def on_headers_complete(self) -> None:
        self._reading_headers = False
        self._header_bytes = 0
        self._expect_request(self._limits.body_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end_request_timer()
        super().on_message_complete()

    def shutdown(self) -> None:
        """The server has been told to stop; each connection hears of it."""
        self._serving.streams.shut_down()
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._end_send_timer()
        self._send_timer = self.loop.call_later(self._limits.send_stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._end_send_timer()
        super().resume_writing()

    def _expect_request(self, within_s: float) -> None:
        self._end_request_timer()
        self._request_timer = self.loop.call_later(within_s, self.transport.abort)

    def _end_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _end_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None
