"""The reply to one request, read as it comes, and tidied.

Servers differ in what they send in place of a stream of pieces: thinking inside the content, one JSON object, errors
in between, no end. What comes out is text of the answer, and what is known of its end.
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
_MOST_BODY_BYTES: Final = 64_000_000
_REFUSAL_CHARS: Final = 2000
_THINKING_PER_ANSWER: Final = 8  # as content, before the limit of the answer ends it, too
_SIGNS_OF_LIFE: Final = 50  # within the limit on silence
_QUOTED_BYTES: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPart:
    """All that arrived together and says something. `text` may be empty; None is what the server has not said."""

    text: str
    finish_reason: str | None
    usage: Usage | None
    model: str


class ChatReply:
    """The reply to a request that is on its way as soon as this is made. Stop it at the end, whatever that is.

    What is known of the reply so far: `refusal` is what the model said instead of an answer, `has_thought` that some
    of it was thinking, `came_whole` that the server sent one JSON object, `was_ended` that it said that this is all.
    `takes_back` is set with the chunk whose text is the first of the answer, if what came before it was thinking
    without a mark.

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
        on_step: Callable[[str], None],
        expect_thinking: bool = False,
    ) -> None:
        self._thinking = ThinkingFilter(expected=expect_thinking)
        self._tokens_left = most_tokens
        self._chars_left = most_chars
        self._pieces_left = most_tokens * (1 + _THINKING_PER_ANSWER)
        self._quiet_s = timeout_s / _SIGNS_OF_LIFE
        self._last_part_at_s = -math.inf
        self._pace = client.pace
        request = client.post("/chat/completions", payload, timeout_s=timeout_s, on_step=on_step)
        self._sent = asyncio.create_task(request)
        self._response: Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._reads: ReadAhead | None = None
        self._silence = IdleTimer(self._fall_silent)
        self._decoder = EventStreamDecoder()
        self._body: bytearray | None = bytearray()  # until it is known to be a stream
        self._head = b""
        self._failure: Exception | None = None
        self._ended = False
        self._says_something = False
        self.refusal = ""
        self.has_thought = False
        self.came_whole = False
        self.was_ended = False
        self.takes_back = False
        self.was_cut = False

    async def next(self, within_s: float) -> ReplyPart | None:
        """The next chunk; None at the end.

        Raises TimeoutError if there is none for so long, and what the client, reading and decoding raise.
        """
        reads = self._reads
        if reads is None:
            began_at_s = time.monotonic()
            async with asyncio.timeout(within_s):
                self._response = await self._sent
            within_s -= time.monotonic() - began_at_s
            self._pieces = self._response.aiter_raw()
            reads = self._reads = ReadAhead(self._pieces, self._pace)
        self._silence.begin(within_s)
        try:
            while not self._ended and self._failure is None:
                if chunk := self._chunk(await self._read_pieces(reads)):
                    self._says_something = True
                    return chunk
        finally:
            self._silence.end()
        if self._failure is None and not self._says_something:
            self._failure = _not_a_reply(self._head)
        if self._failure is not None:
            raise self._failure
        return None

    def _fall_silent(self) -> None:
        if self._reads is not None:
            self._reads.fail(TimeoutError())

    async def stop(self) -> None:
        """Close the stream.

        The generators of the client close nothing beneath them when they are closed early: the loop would have to,
        some time later. So they are made to run out instead.
        """
        self._ended = True
        self._silence.close()
        self._sent.cancel()
        if self._reads is not None:
            await self._reads.stop()
        for reply in await asyncio.gather(self._sent, return_exceptions=True):
            if not isinstance(reply, BaseException):
                await reply.aclose()
        if self._pieces is not None:
            with suppress(Exception):  # whatever a closed stream says, it has ended
                async for _ in self._pieces:
                    pass

    async def _read_pieces(self, reads: ReadAhead) -> list[Piece]:
        try:
            arrived = await reads.take()
        except Exception as error:  # noqa: BLE001 - raised by `next`, after what came before it
            self._failure = error
            return []
        self._ended = arrived is None
        pieces = self._read(arrived)
        if self._ended and arrived is not None:
            await self._drain(reads)
        return pieces

    def _read(self, arrived: bytes | None) -> list[Piece]:
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

    def _understood(self, events: list[bytes], *, whole: bool = False, at_end: bool = False) -> list[Piece]:
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

    def _chunk(self, pieces: list[Piece]) -> ReplyPart | None:
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
        usage = next((piece.usage for piece in reversed(pieces) if piece.usage), None)
        began_to_think = self.has_thought and not had_thought
        if text or finish_reason or usage or began_to_think or (pieces and self._has_been_quiet()):
            self._last_part_at_s = time.monotonic()
            model = next((piece.model for piece in pieces if piece.model), "")
            return ReplyPart(text=text, finish_reason=finish_reason, usage=usage, model=model)
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

    def _has_been_quiet(self) -> bool:
        return time.monotonic() - self._last_part_at_s >= self._quiet_s

    async def _drain(self, reads: ReadAhead) -> None:
        """Read what is left after the end, so that the connection can serve the next answer."""
        with suppress(Exception):  # whatever becomes of the connection, the answer is whole
            async with asyncio.timeout(_AFTER_END_S):
                while await reads.take() is not None:
                    pass


def _piece_and_failure(data: bytes) -> tuple[Piece, Exception | None]:
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
        return parse_chunk(chunk), None
    try:
        piece = parse_chunk(chunk)
    except InvalidChunkError:
        piece = Piece()
    return replace(piece, finish_reason=None), ErrorInStreamError(error)


def _not_a_reply(data: bytes) -> Exception:
    from streamrag_cli.model_server.client import NotAReplyError  # whoever made the client has imported it

    return NotAReplyError(data[:_QUOTED_BYTES].decode("utf-8", "replace"))
