"""The model's stream, chunk by chunk, tidied before LangChain reads it.

Servers that speak the OpenAI protocol speak it with an accent: a null delta that carries the finish reason,
content as a list of parts, usage of another shape, a user's role. LangChain drops the first, warns on stderr
about the others or trips over them; so chunks are asked for as plain JSON and rebuilt here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from streamrag_cli.model_server.event_stream import EventStreamDecoder
from streamrag_cli.model_server.read_ahead import ReadAhead

if TYPE_CHECKING:
    from httpx2 import Response

    from streamrag_cli.model_server.client import ErrorInStreamError, StreamingClient

_END: Final = b"[DONE]"
_AFTER_END_S: Final = 0.1
_MOST_TOKENS: Final = 1_000_000_000


class NotAnAnswerError(ValueError):
    """What the server streams is JSON, but no piece of an answer."""


class ChatCompletions:
    """Stands where LangChain expects the OpenAI client's `chat.completions`; good for one answer.

    The request is on its way as soon as this is made, while LangChain may still be being imported; it is what
    LangChain would send. Iterating gives one chunk for all that arrived together. `refusal` is what the model said
    instead of an answer, as far as it has arrived.
    """

    def __init__(
        self,
        client: "StreamingClient",
        payload: Mapping[str, object],
        *,
        timeout_s: float,
        passed: Callable[[str], None],
    ) -> None:
        self._passed = passed
        self._on_its_way = asyncio.Event()
        request = client.post("/chat/completions", payload, timeout_s=timeout_s, passed=self._note)
        self.sent = asyncio.create_task(request)
        self.sent.add_done_callback(lambda _: self._on_its_way.set())
        self._response: Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._reads: ReadAhead | None = None
        self._decoder = EventStreamDecoder()
        self._failure: Exception | None = None
        self._ended = False
        self.refusal = ""

    def _note(self, step: str) -> None:
        self._passed(step)
        if step == "send":
            self._on_its_way.set()

    async def on_its_way(self, *, within_s: float) -> None:
        """Wait until the request has left this machine, or failed to; but no longer than `within_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._on_its_way.wait()

    async def create(self, **_: Any) -> Self:
        """Wait for the reply to begin. What LangChain gets back is this object, as a context of chunks."""
        self._response = await self.sent
        self._pieces = self._response.aiter_bytes()
        self._reads = ReadAhead(self._pieces)
        return self

    async def stop(self) -> None:
        """Close the stream and let the chunks end here.

        The generators under LangChain and under the client close nothing beneath them when they are closed early:
        the loop would have to, some time later. So they are made to run out instead, each in its turn.
        """
        self._ended = True
        self.sent.cancel()
        if self._reads is not None:
            await self._reads.stop()
        for reply in await asyncio.gather(self.sent, return_exceptions=True):
            if not isinstance(reply, BaseException):
                await reply.aclose()
        if self._pieces is not None:
            with suppress(Exception):  # whatever a closed stream says, it has ended
                async for _ in self._pieces:
                    pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while not self._ended and self._failure is None and self._reads is not None:
            piece = await self._reads.take()
            events = self._decoder.finish() if piece is None else self._decoder.feed(piece)
            self._ended = piece is None
            pieces = self._understood(events)
            if self._ended and piece is not None:
                await self._drain()
            if pieces:
                self.refusal += "".join(each.refusal for each in pieces)
                return _as_chunk(pieces)
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    def _understood(self, events: list[bytes]) -> list["Piece"]:
        """The pieces up to the first event that is none. That one is a failure, but not before they are taken."""
        pieces = []
        for data in events:
            if data.startswith(_END):
                self._ended = True
                break
            try:
                chunk = json.loads(data)
                _refuse_error(chunk)
                pieces.append(tidy(chunk))
            except (_error_in_stream(), ValueError, RecursionError) as error:
                self._failure = error
                break
        return pieces

    async def _drain(self) -> None:
        """Read what is left after the end, so that the connection can serve the next answer."""
        with suppress(Exception):  # whatever becomes of the connection, the answer is whole
            async with asyncio.timeout(_AFTER_END_S):
                while self._reads is not None and await self._reads.take() is not None:
                    pass


def _refuse_error(chunk: object) -> None:
    if isinstance(chunk, dict) and chunk.get("error"):
        raise _error_in_stream()(chunk["error"])


def _error_in_stream() -> "type[ErrorInStreamError]":
    from streamrag_cli.model_server.client import ErrorInStreamError  # whoever made the client has imported it

    return ErrorInStreamError


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One chunk as the server meant it. What it does not say is "" or None."""

    text: str = ""
    refusal: str = ""
    model: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, int] | None = None


def _as_chunk(pieces: list[Piece]) -> dict[str, Any]:
    """Pieces that arrived together as one chunk, in the protocol's own words."""
    return {
        "model": next((piece.model for piece in pieces if piece.model), ""),
        "choices": [
            {
                "delta": {"role": "assistant", "content": "".join(piece.text for piece in pieces)},
                "finish_reason": next((piece.finish_reason for piece in pieces if piece.finish_reason), None),
            }
        ],
        "usage": next((piece.usage for piece in reversed(pieces) if piece.usage), None),
    }


def tidy(chunk: object) -> Piece:
    """What `chunk` says that matters, each of the one right type.

    Raises NotAnAnswerError where it is no chunk of an answer at all.
    """
    if not isinstance(chunk, dict):
        raise NotAnAnswerError("a chunk is not a JSON object")
    usage = _usage(chunk.get("usage"))
    choices = chunk.get("choices") or []
    if not isinstance(choices, list):
        raise NotAnAnswerError("the choices of a chunk are not a list")
    if not choices:
        return Piece(usage=usage)
    choice = choices[0]
    delta = choice.get("delta") or {} if isinstance(choice, dict) else None
    if not isinstance(delta, dict):
        raise NotAnAnswerError("a choice is not a JSON object with a delta")
    finish_reason = choice.get("finish_reason")
    return Piece(
        text=_content(delta.get("content")),
        refusal=_text(delta.get("refusal")),
        model=_text(chunk.get("model")),
        finish_reason=finish_reason if isinstance(finish_reason, str) else None,
        usage=usage,
    )


def _content(content: object) -> str:
    """The text of a delta, which is a string, nothing, or a list of parts."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    raise NotAnAnswerError("the content of a chunk is not text")


def _usage(usage: object) -> Mapping[str, int] | None:
    if not isinstance(usage, dict):
        return None
    counts = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    known = {name: count for name, count in counts.items() if type(count) is int and 0 <= count <= _MOST_TOKENS}
    return {"prompt_tokens": 0, "completion_tokens": 0, **known} if known else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
