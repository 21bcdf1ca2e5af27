"""HTTP on one connection, with the limits that uvicorn has none of: slow requests, and readers that do not read.

Each limit is a timer on the connection and ends in cutting it off: a client that keeps one open for nothing is not
owed an answer, and closing politely would wait for it again.
"""

import asyncio
import socket
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streamrag_cli.server.limits import Limits


class LimitedProtocol(HttpToolsProtocol):
    """One connection. `limits` is set by a subclass, since uvicorn makes the instances."""

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._request_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._reading_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # Whoever does not read is noticed, and costs memory, only up to here.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.limits.send_buffer_bytes)
        self._expect_request(self.limits.headers_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_request_timer()
        self._end_send_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._reading_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._reading_headers and self._header_bytes > self.limits.headers_bytes:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading_headers = True
        self._expect_request(self.limits.headers_s)

    def on_headers_complete(self) -> None:
        self._reading_headers = False
        self._header_bytes = 0
        self._expect_request(self.limits.body_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end_request_timer()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._end_send_timer()
        self._send_timer = self.loop.call_later(self.limits.send_stall_s, self.transport.abort)

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


def protocol_with(limits: Limits) -> type[LimitedProtocol]:
    """The protocol as uvicorn wants it: a class that it can make instances of."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})
