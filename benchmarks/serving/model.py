"""The model server: a minimal implementation of the protocol, so that its own cost does not matter.

    python -m benchmarks.serving.model

This prints its port and serves until its stdin closes.
"""

import asyncio
import sys

from benchmarks.serving.marks import Mark

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n'
)


class Connection(asyncio.Protocol):
    """Answers one request after the other, with one write per token."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._answering: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(length or 0):
            self._received = b""
            self._answering = asyncio.create_task(self._answer(Mark.found_in(body)))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, _: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()

    async def _answer(self, mark: Mark) -> None:
        clock = asyncio.get_running_loop().time
        started = clock()
        self._transport.write(_HEAD)
        for index in range(mark.tokens):
            self._write(_CHUNK % (b'{"content":"%b"}' % mark.token(index).encode(), b"null"))
            wait_s = started + (index + 1) * mark.pace_ms / 1000 - clock() if mark.pace_ms else 0
            await asyncio.sleep(max(0.0, wait_s))
            await self._writable.wait()
        self._write(_CHUNK % (b"{}", b'"stop"') + b"data: [DONE]\n\n")
        self._transport.write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
