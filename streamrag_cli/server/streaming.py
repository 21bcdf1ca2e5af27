"""Events to one client as they happen, with an end whatever happens to the client, the model or the server.

The answer is pumped by a task of its own into a short queue. So a client that goes away is noticed while the model
is silent, and its model call is closed at once; and a client that reads slowly holds back its own answer alone.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Final, TypeAlias, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from streamrag_cli.disconnect import cancel_on_disconnect
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import AskEvent, Done, Error
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.replies import RefusedError

Result = TypeVar("Result")
Encoder: TypeAlias = Callable[[AskEvent], bytes]
"""Makes an event into bytes of the stream; none for an event that its reader does not get."""
End: TypeAlias = Callable[[Error], None]
"""Stops an answer, and ends it with this error unless it has ended."""

HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
}
_PING: Final = b": ping\n\n"
_SHUTDOWN: Final = Error(
    message="the server is shutting down",
    code="server_shutdown",
    hint="ask again in a moment",
    retryable=True,
    exit_code=ExitCode.MODEL_SERVER,
)


class OpenStreams:
    """The answers that are being written now: how many there may be, and how to end them all.

    Each is known by what ends it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[End] = set()
        self._shutting_down = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def room_for(self, end: End) -> Iterator[None]:
        """Count an answer as open within the block. Raises RefusedError where there is no room."""
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        self._open.add(end)
        try:
            yield
        finally:
            self._open.discard(end)

    async def whole(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """What `work` makes of an answer of which nothing is sent before its end.

        Raises RefusedError where there is no room, and when the server is told to stop.
        """
        told_to_stop = asyncio.Event()
        with self.room_for(lambda _: told_to_stop.set()):
            result = await cancel_on_disconnect(told_to_stop.wait(), work())
        if result is None:
            raise _shutting_down()
        return result

    def shut_down(self) -> None:
        """End every answer with an error, and let none begin."""
        self._shutting_down = True
        for end in self._open:
            end(_SHUTDOWN)

    def _refusal(self) -> RefusedError | None:
        if self._shutting_down:
            return _shutting_down()
        if len(self._open) < self._most:
            return None
        return RefusedError(
            503, f"{self._most} answers are open already", code="too_many_streams", hint="ask again", retry_after_s=2
        )


def _shutting_down() -> RefusedError:
    return RefusedError(503, _SHUTDOWN.message, code=_SHUTDOWN.code, hint=_SHUTDOWN.hint, retry_after_s=5)


class EventStreamResponse(Response):
    """An answer as server-sent events. `events` is closed however the response ends, also if it never begins.

    Raises RefusedError, before anything is sent, where there is no room for it.
    """

    def __init__(
        self,
        events: AsyncGenerator[AskEvent, None],
        encode: Encoder,
        *,
        streams: OpenStreams,
        limits: Limits,
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["Content-Length"]
        self._events = events
        self._encode = encode
        self._streams = streams
        self._limits = limits
        self._waiting: list[AskEvent] = []
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = False
        self._pumping: asyncio.Task[None] | None = None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._streams.room_for(self.end_with):
                await while_connected(receive, self._write(send))
        except RefusedError:
            await self._events.aclose()
            raise

    def end_with(self, last: Error) -> None:
        """Stop the answer and end the stream with `last`, unless it has ended."""
        if not self._ended:
            self._ended = True
            self._waiting.append(last)
            self._changed.set()
            if self._pumping is not None:
                self._pumping.cancel()

    async def _write(self, send: Send) -> None:
        self._pumping = asyncio.create_task(self._pump())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send(_body(_PING))  # proxies and browsers wait for a first byte
            while not (self._ended and not self._waiting):
                await send(_body(await self._next_bytes()))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._pumping.cancel()
            await asyncio.gather(self._pumping, return_exceptions=True)

    async def _next_bytes(self) -> bytes:
        """All that waits, as soon as something does; a ping after a long silence."""
        try:
            async with asyncio.timeout(self._limits.ping_s):
                await self._changed.wait()
        except TimeoutError:
            return _PING
        self._changed.clear()
        events, self._waiting = self._waiting, []
        self._room.set()
        return b"".join(map(self._encode, events))

    async def _pump(self) -> None:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    await self._room.wait()
                    if self._ended:
                        break
                    self._waiting.append(event)
                    self._ended = isinstance(event, Done | Error)
                    self._changed.set()
                    if len(self._waiting) >= self._limits.waiting_events:
                        self._room.clear()
        finally:
            self._ended = True
            self._changed.set()


def _body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result | None:
    """Run `work`, and cancel it when the client goes away; then there is no result."""
    return await cancel_on_disconnect(_gone(receive), work)


async def _gone(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
