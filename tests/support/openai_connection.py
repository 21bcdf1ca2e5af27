"""One connection to the test model server: reads requests, runs the steps of a reply, records how it ends."""

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tests.support.openai_replies import (
    MODEL,
    Cut,
    Delay,
    Hold,
    IfUsageWanted,
    Reply,
    Stall,
    Step,
    encoded,
    usage_counts,
    whole_body,
)

_TLS_HELLO = 0x16


@dataclass(slots=True, kw_only=True, eq=False)
class LoggedRequest:
    """A request as it arrived. Header names are lower case; times are `time.monotonic()` seconds.

    `closed_by_client` is set when the client closes the request's connection.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    arrived_at_s: float
    closed_at_s: float | None = None
    closed_by_client: threading.Event = field(default_factory=threading.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection(asyncio.Protocol):
    """A connection that answers its requests one after the other. `log` records a request and returns its reply."""

    def __init__(self, log: Callable[[LoggedRequest], Reply], connections: set["Connection"]) -> None:
        self._log = log
        self._connections = connections
        self._received = bytearray()
        self._requests: list[LoggedRequest] = []
        self._answering: asyncio.Task[None] | None = None
        self._ended_here = False
        self._flushed = asyncio.Event()
        self._flushed.set()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=0)
        self._connections.add(self)

    def pause_writing(self) -> None:
        self._flushed.clear()

    def resume_writing(self) -> None:
        self._flushed.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received[0] == _TLS_HELLO:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            self._transport.close()
            return
        request = _parsed(self._received)
        if request is not None:
            self._received.clear()
            self._requests.append(request)
            self._answering = asyncio.get_running_loop().create_task(self._answer(self._log(request), request))

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self.lost.set()
        if self._answering is not None:
            self._answering.cancel()
        for request in [] if self._ended_here else self._requests:
            request.closed_at_s = time.monotonic()
            request.closed_by_client.set()

    def abort(self) -> None:
        self._ended_here = True
        self._transport.abort()

    async def _answer(self, reply: Reply, request: LoggedRequest) -> None:
        body = json.loads(request.body) if request.method == "POST" else {}
        streams = bool(body.get("stream"))
        includes_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        if reply.whole_text is not None and not streams:
            reply = _without_stream(reply.whole_text)
        for step in reply.before_headers:
            await self._run_step(step, reply, framed=False, includes_usage=includes_usage)
        self._transport.write(_head(reply))
        for step in reply.steps:
            await self._run_step(step, reply, framed=reply.framing == "chunked", includes_usage=includes_usage)
        if reply.framing == "chunked":
            self._transport.write(b"0\r\n\r\n")
        else:
            self._ended_here = True
            self._transport.close()

    async def _run_step(self, step: Step, reply: Reply, *, framed: bool, includes_usage: bool) -> None:
        match step:
            case bytes():
                await self._write(step, reply, framed=framed)
            case IfUsageWanted(data):
                await self._write(data if includes_usage else b"", reply, framed=framed)
            case Hold(release):
                while not release.is_set():  # noqa: ASYNC110  (set by another thread)
                    await asyncio.sleep(0.002)
            case Delay(delay_s):
                await asyncio.sleep(delay_s)
            case Stall(ping_every_s=None):
                await asyncio.Event().wait()
            case Stall(ping_every_s=ping_every_s):
                while True:
                    await asyncio.sleep(ping_every_s or 0)
                    await self._write(b": ping\n\n", reply, framed=framed)
            case Cut(reset=reset):
                await self._cut(reset=reset)

    async def _write(self, data: bytes, reply: Reply, *, framed: bool) -> None:
        size = reply.bytes_per_write or max(len(data), 1)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if framed else piece)
            await asyncio.sleep(0)
            await self._flushed.wait()

    async def _cut(self, *, reset: bool) -> None:
        self._ended_here = True
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()
        await asyncio.Event().wait()  # nothing follows; `connection_lost` cancels this


def _parsed(received: bytearray) -> LoggedRequest | None:
    """The request in `received`, or None if it is incomplete. A client sends its next request only after the answer."""
    head, end, body = bytes(received).partition(b"\r\n\r\n")
    if not end:
        return None
    request_line, *header_lines = head.decode("latin-1").split("\r\n")
    method, path, _ = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in header_lines)}
    if len(body) < int(headers.get("content-length", "0")):
        return None
    return LoggedRequest(method=method, path=path, headers=headers, body=body, arrived_at_s=time.monotonic())


def _head(reply: Reply) -> bytes:
    framing = ("Transfer-Encoding", "chunked") if reply.framing == "chunked" else ("Connection", "close")
    headers = (("Content-Type", reply.content_type), framing, *reply.headers)
    lines = [
        f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _without_stream(text: str) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
    return whole_body(encoded(body | {"usage": usage_counts(7, 1)}), content_type="application/json")
