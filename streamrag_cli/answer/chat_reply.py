"""Reads the reply to one request as it arrives and extracts the text of the answer.

Handles servers that deviate from the protocol: some put the model's thinking into the content, send one JSON object
instead of a stream, report errors within the stream, or omit the end marker.
"""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from streamrag_cli.answer.chat_piece import InvalidChunkError, Piece, parse_chunk
from streamrag_cli.answer.thinking import ThinkingFilter
from streamrag_cli.model import Usage
from streamrag_cli.model_server import error_objects
from streamrag_cli.model_server.event_stream import ErrorEvent, EventStreamDecoder
from streamrag_cli.model_server.idle_timer import IdleTimer
from streamrag_cli.model_server.read_ahead import ReadAhead

if TYPE_CHECKING:
    from httpx2 import Response

    from streamrag_cli.model_server.client import StreamingClient

_END: Final = b"[DONE]"
_AFTER_END_S: Final = 0.1
_MAX_BODY_BYTES: Final = 64_000_000
_REFUSAL_CHARS: Final = 2000
_THINKING_PER_ANSWER: Final = 8  # the limit for pieces of thinking in the content, as a multiple of the token limit
_ACTIVITY_REPORTS: Final = 50  # the maximum number of parts without text within one idle timeout
_QUOTED_BYTES: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPart:
    """The pieces that arrived together, combined. `text` may be empty; a field that the server did not send is None."""

    text: str
    finish_reason: str | None
    usage: Usage | None
    model: str


class ChatReply:
    """Sends the request when it is created, and reads the reply. The caller must always call `stop` at the end.

    An answer that exceeds `max_tokens` or `max_chars` is cut at that limit, with the finish reason `length`. Every
    piece counts as one token, because most servers send one token per piece. The public attributes describe the part
    of the reply that has been read.
    """

    def __init__(
        self,
        client: "StreamingClient",
        payload: Mapping[str, object],
        *,
        timeout_s: float,
        max_tokens: int,
        max_chars: int,
        on_step: Callable[[str], None],
        expect_thinking: bool,
    ) -> None:
        self._thinking = ThinkingFilter(expected=expect_thinking)
        self._tokens_left = max_tokens
        self._chars_left = max_chars
        self._pieces_left = max_tokens * (1 + _THINKING_PER_ANSWER)
        self._activity_every_s = timeout_s / _ACTIVITY_REPORTS
        self._last_part_at_s = -math.inf
        self._pace = client.pace
        request = client.post("/chat/completions", payload, timeout_s=timeout_s, on_step=on_step)
        self._sent = asyncio.create_task(request)
        self._response: Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._reads: ReadAhead | None = None
        self._idle_timer = IdleTimer(self._on_idle_timeout)
        self._decoder = EventStreamDecoder()
        self._body: bytearray | None = bytearray()  # None as soon as the reply is known to be a stream
        self._head = b""
        self._failure: Exception | None = None
        self._ended = False
        self._has_content = False
        self.refusal = ""
        """The model's text if it refused to answer."""
        self.dropped_thinking = False
        """Whether the reply contained thinking, which is not part of the answer."""
        self.was_not_streamed = False
        """Whether the server sent the reply as one JSON object, and not as a stream."""
        self.ended_by_server = False
        """Whether the server marked the end of the reply."""
        self.retracts_thinking = False
        """Whether the answer begins in the last part: all text before it was thinking without an opening tag."""
        self.was_cut = False
        """Whether the answer exceeded a limit."""

    async def next(self, within_s: float) -> ReplyPart | None:
        """The next part; None at the end.

        Raises TimeoutError if no part is complete within `within_s` seconds, and the exceptions of the client and of
        decoding.
        """
        reads = self._reads
        if reads is None:
            began_at_s = time.monotonic()
            async with asyncio.timeout(within_s):
                self._response = await self._sent
            within_s -= time.monotonic() - began_at_s
            self._pieces = self._response.aiter_raw()
            reads = self._reads = ReadAhead(self._pieces, self._pace)
        self._idle_timer.begin(within_s)
        try:
            while not self._ended and self._failure is None:
                if chunk := self._combine(await self._read_pieces(reads)):
                    self._has_content = True
                    return chunk
        finally:
            self._idle_timer.end()
        if self._failure is None and not self._has_content:
            self._failure = _not_a_reply(self._head)
        if self._failure is not None:
            raise self._failure
        return None

    def _on_idle_timeout(self) -> None:
        if self._reads is not None:
            self._reads.fail(TimeoutError())

    async def stop(self) -> None:
        """Close the stream.

        Closing the HTTP client's generators early leaves the inner ones to the event loop, which closes them later.
        So they are exhausted here instead.
        """
        self._ended = True
        self._idle_timer.close()
        self._sent.cancel()
        if self._reads is not None:
            await self._reads.stop()
        for reply in await asyncio.gather(self._sent, return_exceptions=True):
            if not isinstance(reply, BaseException):
                await reply.aclose()
        if self._pieces is not None:
            with suppress(Exception):  # errors from a closed stream do not matter
                async for _ in self._pieces:
                    pass

    async def _read_pieces(self, reads: ReadAhead) -> list[Piece]:
        try:
            arrived = await reads.take()
        except Exception as error:  # noqa: BLE001 - `next` raises it after returning the pieces before it
            self._failure = error
            return []
        self._ended = arrived is None
        pieces = self._read(arrived)
        if self._ended and arrived is not None:
            await self._drain(reads)
        return pieces

    def _read(self, arrived: bytes | None) -> list[Piece]:
        """Add the bytes that `arrived` (None at the end of the reply), and return the pieces that are now complete."""
        if self._body is None:
            return self._parse_events(self._decoder.finish() if arrived is None else self._decoder.feed(arrived))
        self._body += arrived or b""
        beginning = self._body.lstrip(b"\xef\xbb\xbf \t\r\n")
        if not beginning and arrived is not None:
            return []
        if beginning.startswith((b"{", b"[")) and len(self._body) <= _MAX_BODY_BYTES:  # a stream never begins like this
            return [] if arrived is not None else self._parse_events([bytes(beginning)], whole=True)
        self._head, self._body = bytes(beginning[:_QUOTED_BYTES]), None
        return self._parse_events(self._decoder.feed(bytes(beginning)) if beginning else [], at_end=arrived is None)

    def _parse_events(self, events: list[bytes], *, whole: bool = False, at_end: bool = False) -> list[Piece]:
        """The pieces up to the first error, which is stored in `_failure` and raised after these pieces."""
        pieces: list[Piece] = []
        for data in events:
            if not data.strip():
                continue
            if data.startswith(_END):
                self._ended = self.ended_by_server = True
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
            self.was_not_streamed = self.ended_by_server = self._failure is None
        elif (at_end or self._ended) and self._head and not self.ended_by_server:
            self._failure = self._failure or _not_a_reply(self._head)
        return pieces

    def _combine(self, pieces: list[Piece]) -> ReplyPart | None:
        """Combine pieces that arrived together. Returns None if they contain nothing to report."""
        had_thinking = self.dropped_thinking
        if any(piece.reasoning for piece in pieces):
            self.dropped_thinking = True
            self._thinking.expect_no_thinking()
        finish_reason = next((piece.finish_reason for piece in pieces if piece.finish_reason), None)
        answer_began_late = self._thinking.answer_began_late
        text = "".join(self._filter_and_limit(piece.text) for piece in pieces)
        if finish_reason or self._ended or self._failure is not None:
            text += "" if self.was_cut else self._limit(self._thinking.finish())
        finish_reason = "length" if self.was_cut else finish_reason
        self.dropped_thinking = self.dropped_thinking or self._thinking.dropped_thinking
        self.retracts_thinking = self._thinking.answer_began_late and not answer_began_late
        self.refusal = (self.refusal + "".join(piece.refusal for piece in pieces))[:_REFUSAL_CHARS]
        usage = next((piece.usage for piece in reversed(pieces) if piece.usage), None)
        began_to_think = self.dropped_thinking and not had_thinking
        if text or finish_reason or usage or began_to_think or (pieces and self._is_activity_due()):
            self._last_part_at_s = time.monotonic()
            model = next((piece.model for piece in pieces if piece.model), "")
            return ReplyPart(text=text, finish_reason=finish_reason, usage=usage, model=model)
        return None

    def _filter_and_limit(self, text: str) -> str:
        """The part of `text` that belongs to the answer and is within the limits."""
        if not text or self.was_cut:
            return ""
        self._pieces_left -= 1
        if self._pieces_left < 0:
            self._cut()
            return ""
        return self._limit(self._thinking.feed(text))

    def _limit(self, text: str) -> str:
        """Count `text` as one token, and return the part of it that is within the limits."""
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
        self._failure = None  # a failure after the cut does not matter

    def _is_activity_due(self) -> bool:
        return time.monotonic() - self._last_part_at_s >= self._activity_every_s

    async def _drain(self, reads: ReadAhead) -> None:
        """Read the rest of the body, so that the connection can be reused."""
        with suppress(Exception):  # the answer is complete even if the connection fails now
            async with asyncio.timeout(_AFTER_END_S):
                while await reads.take() is not None:
                    pass


def _piece_and_failure(data: bytes) -> tuple[Piece, Exception | None]:
    """The content of one event and the error in it, if any. Raises ValueError and RecursionError."""
    from streamrag_cli.model_server.client import ErrorInStreamError  # already imported: the client exists

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
        return parse_chunk(chunk), None
    try:
        piece = parse_chunk(chunk)
    except InvalidChunkError:
        piece = Piece()
    return replace(piece, finish_reason=None), ErrorInStreamError(error)


def _not_a_reply(data: bytes) -> Exception:
    from streamrag_cli.model_server.client import NotAReplyError  # already imported: the client exists

    return NotAReplyError(data[:_QUOTED_BYTES].decode("utf-8", "replace"))
