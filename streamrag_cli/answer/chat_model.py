"""The edge to the chat model: messages in, pieces of an answer out, every failure as one of our errors.

Retries are made here and announced, only before the first sign of life: a client that retries in silence makes a
reader wait without a word, and one that retries amid an answer pays twice and shows two beginnings.

A stream that ends early has its connection closed before the generator is done; close the generator
(`contextlib.aclosing`) when you stop early. After a whole answer the connection may serve the next one.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from streamrag_cli.answer.chat_reply import ChatReply, ReplyPart
from streamrag_cli.answer.chat_request import AnswerLimits, ChatRequest
from streamrag_cli.answer.thinking import always_thinks
from streamrag_cli.model import Usage
from streamrag_cli.model_server import errors
from streamrag_cli.model_server.endpoint import ModelEndpoint

if TYPE_CHECKING:
    from streamrag_cli.model_server.client import StreamingClient
    from streamrag_cli.model_server.failure import Failure

ClientFor: TypeAlias = "Callable[[ModelEndpoint], AbstractAsyncContextManager[StreamingClient]]"
_AFTER_FINISH_S: Final = 2.0
_LOADING_POLL_S: Final = 1.0
_DEFAULT_LIMITS: Final = AnswerLimits()
_NO_OPTIONS: Final[Mapping[str, object]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelText:
    """A piece of the answer, never empty, exactly as the server sent it: not yet safe for a terminal."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelActivity:
    """The server sent something that is not answer text; `thinking` if the model has begun to work on the answer."""

    thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetrying:
    """The request failed and is made again after `wait_s` seconds."""

    message: str
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFinished:
    """The answer is complete; always last. `finish_reason` and `model` are the server's words.

    `cut_at` is the limit at which the answer was cut on this side, such as "100 tokens", or "".
    """

    finish_reason: str
    usage: Usage | None
    model: str
    cut_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoading:
    """The server is still reading the model into memory; it is asked again until the limit on silence."""

    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDidNotStream:
    """The server does not stream: the answer that follows came as one JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetractsThinking:
    """All text so far was the model's thinking, not its answer, which begins now."""


ModelPiece: TypeAlias = (
    ModelText | ModelActivity | ModelRetrying | ModelLoading | ModelDidNotStream | ModelRetractsThinking | ModelFinished
)


def warm_up_client(scheme: str) -> None:
    """Pay for the HTTP library and its certificates, 0.1 to 0.2 s, while something else is awaited; in any thread."""
    from streamrag_cli.model_server.client import ssl_context

    ssl_context(scheme)


async def stream_chat(
    messages: Sequence[tuple[str, str]],
    *,
    endpoint: ModelEndpoint,
    timeout_s: float,
    client_for: ClientFor,
    limits: AnswerLimits = _DEFAULT_LIMITS,
    options: Mapping[str, object] = _NO_OPTIONS,
    on_step: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[ModelPiece, None]:
    """Send `messages`, (role, text) pairs, and yield the answer as it is written; `ModelFinished` comes last.

    `timeout_s` is how long the server may go without a piece of answer or reasoning; comments that only keep the
    connection open do not count. `client_for` lends the client to ask with, `options` are sent as they are, and
    `on_step` is called with each step that a request has taken. An answer beyond `limits` is cut there. Raises
    ModelServerError and ConfigurationError; what was yielded before stays valid.
    """
    retries = 0
    waited = _Waited(limits.seconds)
    request = ChatRequest.of(messages, endpoint, limits=limits, options=options)
    asked_at_s = time.monotonic()
    while True:
        alive = False
        try:
            attempt = _stream_once(request, timeout_s, client_for, waited=waited, on_step=on_step)
            async with aclosing(attempt) as pieces:
                async for piece in pieces:
                    alive = alive or not isinstance(piece, ModelActivity) or piece.thinking
                    yield piece
        except _RequestFailedError as failed:
            failure = failed.failure
            if alive:
                raise failure.error from failure.cause
            if (accepted := request.without_refused_parameters(failure.status, failure.server_text)) is not None:
                request = accepted
                continue
            waited_s = time.monotonic() - asked_at_s
            if failure.is_loading:
                if waited_s >= timeout_s:
                    raise errors.still_loading(timeout_s, endpoint) from failure.cause
                yield ModelLoading(limit_s=timeout_s)
                await sleep(min(_LOADING_POLL_S, max(0.0, timeout_s - waited_s)))
                continue
            wait_s = failure.wait_before_retry_s(retries)
            if wait_s is None:
                raise failure.error from failure.cause
            retries += 1
            yield ModelRetrying(message=failure.error.message, wait_s=wait_s)
            await sleep(wait_s)
        else:
            return


class _RequestFailedError(Exception):
    def __init__(self, failure: "Failure") -> None:
        super().__init__(failure.error.message)
        self.failure = failure


class _Waited:
    """Within its `with` blocks the time runs in which the model has to finish."""

    def __init__(self, limit_s: float) -> None:
        self.left_s = limit_s
        self._since_s = 0.0

    def __enter__(self) -> None:
        self._since_s = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.left_s -= time.monotonic() - self._since_s


async def _stream_once(
    request: ChatRequest,
    timeout_s: float,
    client_for: ClientFor,
    *,
    waited: _Waited,
    on_step: Callable[[str], None],
) -> AsyncGenerator[ModelPiece, None]:
    """One request, one answer. Raises _RequestFailedError."""
    from streamrag_cli.model_server.client import FOREIGN_ERRORS  # 0.1 to 0.2 s
    from streamrag_cli.model_server.failure import Failure

    endpoint, limits = request.endpoint, request.limits
    finished: ModelFinished | None = None
    answered = False
    limit_s = timeout_s
    async with client_for(endpoint) as client:
        with client.pace.answering():
            reply = ChatReply(
                client,
                request.payload,
                timeout_s=timeout_s,
                most_tokens=limits.tokens,
                most_chars=limits.chars,
                on_step=on_step,
                expect_thinking=always_thinks(endpoint.model),
            )
            try:
                while True:
                    is_last_wait = waited.left_s <= limit_s
                    try:
                        with waited:
                            chunk = await reply.next(min(limit_s, max(0.0, waited.left_s)))
                    except FOREIGN_ERRORS as error:
                        if finished is None:  # else the answer is whole: only the count of its tokens was still to come
                            if not (isinstance(error, TimeoutError) and is_last_wait):
                                raise _RequestFailedError(Failure.of(error, endpoint, timeout_s=timeout_s)) from None
                            finished = _cut_for_time(limits, endpoint, answered=answered)
                        break
                    if chunk is None:
                        break
                    finished = _finish(finished, chunk, endpoint)
                    limit_s = min(timeout_s, _AFTER_FINISH_S) if finished else timeout_s
                    for piece in _pieces(chunk.text, reply, is_first=not answered):
                        answered = answered or isinstance(piece, ModelText)
                        if not (finished and isinstance(piece, ModelActivity)):
                            yield piece
            finally:
                await reply.stop()
    yield _ending(finished, reply, request, answered=answered)


def _ending(finished: ModelFinished | None, reply: ChatReply, request: ChatRequest, *, answered: bool) -> ModelFinished:
    """How an answer ended that was read to its end. Raises _RequestFailedError if it is cut off or empty."""
    from streamrag_cli.model_server.failure import Failure  # imported by the caller

    endpoint = request.endpoint
    if finished is None and reply.was_ended and answered:  # many servers name no reason
        finished = ModelFinished(finish_reason="stop", usage=None, model=endpoint.model)
    if finished is None:
        raise _RequestFailedError(Failure(error=errors.cut_off(endpoint)))
    if not answered:
        empty = errors.empty_answer(finished.finish_reason, reply.refusal, endpoint)
        raise _RequestFailedError(Failure(error=empty))
    return replace(finished, cut_at=f"{request.limits.tokens} tokens") if reply.was_cut else finished


def _cut_for_time(limits: AnswerLimits, endpoint: ModelEndpoint, *, answered: bool) -> ModelFinished:
    """The end of an answer that takes too long. Raises _RequestFailedError if it has not begun."""
    from streamrag_cli.model_server.failure import Failure  # imported by the caller

    if not answered:
        raise _RequestFailedError(Failure(error=errors.no_answer_in_time(limits.seconds, endpoint)))
    return ModelFinished(finish_reason="length", usage=None, model=endpoint.model, cut_at=f"{limits.seconds:g} seconds")


def _pieces(text: str, reply: ChatReply, *, is_first: bool) -> Iterator[ModelPiece]:
    """What a chunk with this text says; `is_first` if none had text before."""
    if not text:
        yield ModelActivity(thinking=reply.has_thought)
        return
    if reply.takes_back and not is_first:
        yield ModelRetractsThinking()
    if reply.came_whole and is_first:
        yield ModelDidNotStream()
    yield ModelText(text=text)


def _finish(finished: ModelFinished | None, chunk: ReplyPart, endpoint: ModelEndpoint) -> ModelFinished | None:
    """What is known about the end of the answer after `chunk`."""
    if finished is not None:
        return replace(finished, usage=chunk.usage or finished.usage)
    if not chunk.finish_reason:
        return None
    return ModelFinished(finish_reason=chunk.finish_reason, usage=chunk.usage, model=chunk.model or endpoint.model)
