"""Streams the events of an answer to one client, and ends the stream if the client, the model or the server stops.

A separate task moves the events into a short queue. The server therefore notices a disconnect even while the model
sends nothing, and closes the request to the model immediately. A slow client delays only its own answer.
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
"""A function that encodes an event for the stream. It returns no bytes for an event that is not sent to the client."""
End: TypeAlias = Callable[[Error], None]
"""A function that stops an answer and ends it with the given error, unless the answer has already ended."""

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
    """The answers in progress, each represented by the function that ends it.

    Limits their number, and ends all of them at shutdown.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[End] = set()
        self._shutting_down = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def reserve(self, end: End) -> Iterator[None]:
        """Count an answer in progress during the `with` block.

        Raises RefusedError `too_many_streams` or `server_shutdown`.
        """
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        self._open.add(end)
        try:
            yield
        finally:
            self._open.discard(end)

    async def run_whole(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run `work`, which returns a complete answer, and count it as an answer in progress.

        Raises RefusedError: `too_many_streams` before `work` begins, `server_shutdown` at any time.
        """
        is_stopping = asyncio.Event()
        with self.reserve(lambda _: is_stopping.set()):
            result = await cancel_on_disconnect(is_stopping.wait(), work())
        if result is None:
            raise _shutting_down()
        return result

    def shut_down(self) -> None:
        """End every answer in progress with an error, and refuse new ones."""
        self._shutting_down = True
        for end in self._open:
            end(_SHUTDOWN)

    def _refusal(self) -> RefusedError | None:
        if self._shutting_down:
            return _shutting_down()
        if len(self._open) < self._most:
            return None
        return RefusedError(
            503,
            f"{self._most} answers are already in progress",
            code="too_many_streams",
            hint="try again in a few seconds",
            retry_after_s=2,
        )


def _shutting_down() -> RefusedError:
    return RefusedError(503, _SHUTDOWN.message, code=_SHUTDOWN.code, hint=_SHUTDOWN.hint, retry_after_s=5)


class EventStreamResponse(Response):
    """A response that sends the events of an answer as server-sent events.

    Always closes `events`, even if the response never begins. Raises RefusedError before anything is sent if too many
    answers are in progress.
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
        self._queue: list[AskEvent] = []
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._ended = False
        self._pump_task: asyncio.Task[None] | None = None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._streams.reserve(self.finish_with):
                await while_connected(receive, self._write(send))
        except RefusedError:
            await self._events.aclose()
            raise

    def finish_with(self, last: Error) -> None:
        """Stop the answer and end the stream with `last`, unless the stream has already ended."""
        if not self._ended:
            self._ended = True
            self._queue.append(last)
            self._changed.set()
            if self._pump_task is not None:
                self._pump_task.cancel()

    async def _write(self, send: Send) -> None:
        self._pump_task = asyncio.create_task(self._pump())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send(_body(_PING))  # proxies and browsers wait for the first byte
            while not (self._ended and not self._queue):
                await send(_body(await self._next_bytes()))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._pump_task.cancel()
            await asyncio.gather(self._pump_task, return_exceptions=True)

    async def _next_bytes(self) -> bytes:
        """Wait for an event and return all queued events, encoded; or a ping if no event arrives within `ping_s`."""
        try:
            async with asyncio.timeout(self._limits.ping_s):
                await self._changed.wait()
        except TimeoutError:
            return _PING
        self._changed.clear()
        events, self._queue = self._queue, []
        self._has_room.set()
        return b"".join(map(self._encode, events))

    async def _pump(self) -> None:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    await self._has_room.wait()
                    if self._ended:
                        break
                    self._queue.append(event)
                    self._ended = isinstance(event, Done | Error)
                    self._changed.set()
                    if len(self._queue) >= self._limits.waiting_events:
                        self._has_room.clear()
        finally:
            self._ended = True
            self._changed.set()


def _body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


def client_left() -> Response:
    """The response to a client that has disconnected. Only its status is used, for the log."""
    return Response(status_code=204)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result | None:
    """Run `work` and return its result; cancel it and return None if the client disconnects."""
    return await cancel_on_disconnect(_disconnected(receive), work)


async def _disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
