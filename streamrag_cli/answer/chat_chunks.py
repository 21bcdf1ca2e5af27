"""The model's stream, chunk by chunk, tidied before LangChain reads it.

Servers differ in how they speak the OpenAI protocol: a null delta that carries the finish reason, content as a list
of parts, a whole `message` in place of a `delta`, thinking inside the content, one JSON object in place of a stream.
LangChain drops some of it, warns on stderr about some or fails; so chunks are read as plain JSON and rebuilt here.
"""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from streamrag_cli.answer.thinking import ThinkingFilter
from streamrag_cli.model_server import error_objects
from streamrag_cli.model_server.event_stream import ErrorEvent, EventStreamDecoder
from streamrag_cli.model_server.read_ahead import ReadAhead

if TYPE_CHECKING:
    from httpx2 import Response

    from streamrag_cli.model_server.client import StreamingClient

_END: Final = b"[DONE]"
_AFTER_END_S: Final = 0.1
_MOST_TOKENS: Final = 1_000_000_000
_MOST_BODY_BYTES: Final = 64_000_000
_REFUSAL_CHARS: Final = 2000
_THINKING_PER_ANSWER: Final = 8  # as content, before the limit of the answer ends it, too
_SIGNS_OF_LIFE: Final = 50  # within the limit on silence: LangChain keeps every chunk until the end
_QUOTED_BYTES: Final = 2_000
# In other words, what the protocol calls `stop`, `length` and `content_filter`.
_FINISH_REASONS: Final = {
    **dict.fromkeys(
        ("end_turn", "eos", "eos_token", "stop_sequence", "stop_token", "end", "complete", "completed"), "stop"
    ),
    **dict.fromkeys(("max_tokens", "model_length", "max_output_tokens", "token_limit"), "length"),
    **dict.fromkeys(
        ("safety", "recitation", "blocklist", "prohibited_content", "sensitive", "filtered"), "content_filter"
    ),
    **{word: word for word in ("stop", "length", "content_filter")},
}


class NotAnAnswerError(ValueError):
    """What the server sent is JSON, but not a piece of an answer."""


class ChatCompletions:
    """Stands where LangChain expects the OpenAI client's `chat.completions`; good for one answer.

    The request is on its way as soon as this is made, while LangChain may still be being imported; it is what
    LangChain would send. Iterating gives one chunk for all that arrived together. What is known of the reply so far:
    `refusal` is what the model said instead of an answer, `has_thought` that some of it was thinking, `came_whole` that
    the server sent one JSON object, `was_ended` that it said that this is all. `takes_back` is set with the chunk whose
    text is the first of the answer, if what came before it was thinking without a mark.

    An answer of more than `most_tokens` or `most_chars` ends there with the finish reason `length`, and `was_cut` is
    set. Every piece counts as a token, since that is what servers send.
    """

    def __init__(
        self,
        client: "StreamingClient",
        payload: Mapping[str, object],
        *,
        timeout_s: float,
        most_tokens: int,
        most_chars: int,
        passed: Callable[[str], None],
        expect_thinking: bool = False,
    ) -> None:
        self._passed = passed
        self._thinking = ThinkingFilter(expected=expect_thinking)
        self._tokens_left = most_tokens
        self._chars_left = most_chars
        self._pieces_left = most_tokens * (1 + _THINKING_PER_ANSWER)
        self._quiet_s = timeout_s / _SIGNS_OF_LIFE
        self._alive_at_s = -math.inf
        self._on_its_way = asyncio.Event()
        request = client.post("/chat/completions", payload, timeout_s=timeout_s, passed=self._note)
        self.sent = asyncio.create_task(request)
        self.sent.add_done_callback(lambda _: self._on_its_way.set())
        self._response: Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._reads: ReadAhead | None = None
        self._decoder = EventStreamDecoder()
        self._body: bytearray | None = bytearray()  # until it is known to be a stream
        self._head = b""
        self._failure: Exception | None = None
        self._ended = False
        self.refusal = ""
        self.has_thought = False
        self.came_whole = False
        self.was_ended = False
        self.takes_back = False
        self.was_cut = False

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
            try:
                arrived = await self._reads.take()
            except Exception as error:  # noqa: BLE001 - raised below, after what came before it
                self._failure, pieces = error, []
            else:
                self._ended = arrived is None
                pieces = self._read(arrived)
                if self._ended and arrived is not None:
                    await self._drain()
            if chunk := self._chunk(pieces):
                return chunk
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    def _read(self, arrived: bytes | None) -> list["Piece"]:
        """The pieces that `arrived` completes; None is the end of the reply."""
        if self._body is None:
            return self._understood(self._decoder.finish() if arrived is None else self._decoder.feed(arrived))
        self._body += arrived or b""
        begun = self._body.lstrip(b"\xef\xbb\xbf \t\r\n")
        if not begun and arrived is not None:
            return []
        if begun.startswith((b"{", b"[")) and len(self._body) <= _MOST_BODY_BYTES:  # no line of a stream begins so
            return [] if arrived is not None else self._understood([bytes(begun)], whole=True)
        self._head, self._body = bytes(begun[:_QUOTED_BYTES]), None
        return self._understood(self._decoder.feed(bytes(begun)) if begun else [], at_end=arrived is None)

    def _understood(self, events: list[bytes], *, whole: bool = False, at_end: bool = False) -> list["Piece"]:
        """The pieces up to the first event that is none. That one is a failure, but not before they are taken."""
        pieces: list[Piece] = []
        for data in events:
            if not data.strip():
                continue
            if data.startswith(_END):
                self._ended = self.was_ended = True
                break
            try:
                piece, failure = _piece_and_failure(data)
            except (ValueError, RecursionError):
                self._failure = _not_a_reply(data)
                break
            pieces.append(piece)
            if failure is not None:
                self._failure = failure
                break
        if pieces or events:
            self._head = b""
        if whole:
            self.came_whole = self.was_ended = self._failure is None
        elif (at_end or self._ended) and self._head and not self.was_ended:
            self._failure = self._failure or _not_a_reply(self._head)
        return pieces

    def _chunk(self, pieces: list["Piece"]) -> dict[str, Any] | None:
        """Pieces that arrived together as one chunk; None if there is nothing to say."""
        had_thought = self.has_thought
        if any(piece.reasoning for piece in pieces):
            self.has_thought = True
            self._thinking.not_expected()
        finish_reason = next((piece.finish_reason for piece in pieces if piece.finish_reason), None)
        began_late = self._thinking.began_late
        text = "".join(self._within_limit(piece.text) for piece in pieces)
        if finish_reason or self._ended or self._failure is not None:
            text += "" if self.was_cut else self._allowed(self._thinking.finish())
        finish_reason = "length" if self.was_cut else finish_reason
        self.has_thought = self.has_thought or self._thinking.has_thought
        self.takes_back = self._thinking.began_late and not began_late
        self.refusal = (self.refusal + "".join(piece.refusal for piece in pieces))[:_REFUSAL_CHARS]
        says_something = text or finish_reason or any(piece.usage for piece in pieces)
        began_to_think = self.has_thought and not had_thought
        if says_something or began_to_think or (pieces and self._is_time_for_a_sign_of_life()):
            return _as_chunk(pieces, text, finish_reason)
        return None

    def _within_limit(self, text: str) -> str:
        """What `text` adds to the answer, if the limit has space for it."""
        if not text or self.was_cut:
            return ""
        self._pieces_left -= 1
        if self._pieces_left < 0:
            self._cut()
            return ""
        return self._allowed(self._thinking.feed(text))

    def _allowed(self, text: str) -> str:
        """`text` as the next token of the answer. The first one beyond the limit is its end."""
        if not text:
            return ""
        fits = self._tokens_left > 0
        self._tokens_left -= 1
        if not fits or len(text) > self._chars_left:
            self._cut()
            return text[: self._chars_left] if fits else ""
        self._chars_left -= len(text)
        return text

    def _cut(self) -> None:
        self.was_cut = self._ended = True
        self._failure = None  # of what comes later, which nobody wants

    def _is_time_for_a_sign_of_life(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._alive_at_s < self._quiet_s:
            return False
        self._alive_at_s = now_s
        return True

    async def _drain(self) -> None:
        """Read what is left after the end, so that the connection can serve the next answer."""
        with suppress(Exception):  # whatever becomes of the connection, the answer is whole
            async with asyncio.timeout(_AFTER_END_S):
                while self._reads is not None and await self._reads.take() is not None:
                    pass


def _piece_and_failure(data: bytes) -> tuple["Piece", Exception | None]:
    """What one event says, and the error that it holds besides. Raises ValueError and RecursionError."""
    from streamrag_cli.model_server.client import ErrorInStreamError  # whoever made the client has imported it

    try:
        chunk = json.loads(data)
    except ValueError:
        if isinstance(data, ErrorEvent):
            return Piece(), ErrorInStreamError(data.decode("utf-8", "replace"))
        raise
    error = error_objects.error_in(chunk)
    if error is None and isinstance(data, ErrorEvent):
        error = chunk
    if error is None:
        return tidy(chunk), None
    try:
        piece = tidy(chunk)
    except NotAnAnswerError:
        piece = Piece()
    return replace(piece, finish_reason=None), ErrorInStreamError(error)


def _not_a_reply(data: bytes) -> Exception:
    from streamrag_cli.model_server.client import NotAReplyError  # whoever made the client has imported it

    return NotAReplyError(data[:_QUOTED_BYTES].decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One chunk as the server meant it. What it does not say is "" or None."""

    text: str = ""
    reasoning: bool = False
    refusal: str = ""
    model: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, int] | None = None


def _as_chunk(pieces: list[Piece], text: str, finish_reason: str | None) -> dict[str, Any]:
    """Pieces that arrived together as one chunk with this text, in the protocol's own words."""
    return {
        "model": next((piece.model for piece in pieces if piece.model), ""),
        "choices": [{"delta": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
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
    if not isinstance(choice, dict):
        raise NotAnAnswerError("a choice is not a JSON object")
    delta = choice.get("delta") or choice.get("message") or {}
    if not isinstance(delta, dict):
        raise NotAnAnswerError("a choice is not a JSON object with a delta")
    content = delta["content"] if "content" in delta else choice.get("text")
    return Piece(
        text=_content(content),
        reasoning=any(_text(delta.get(name)) for name in ("reasoning_content", "reasoning")),
        refusal=_text(delta.get("refusal")),
        model=_text(chunk.get("model")),
        finish_reason=_finish_reason(choice.get("finish_reason")),
        usage=usage,
    )


def _finish_reason(reason: object) -> str | None:
    """The protocol's word for it, or the server's own where that means something else."""
    return _FINISH_REASONS.get(reason.lower(), reason) if isinstance(reason, str) and reason else None


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
