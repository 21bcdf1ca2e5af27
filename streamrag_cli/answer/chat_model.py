"""Streams a chat model's answer, and converts every failure to a StreamragError.

Failed requests are retried, but only before the model has begun to work on the answer. A later retry would be billed as
another answer and would repeat the beginning of the first. Each retry is announced, so that the user knows why it takes
longer.

If you stop early, close the generator with `contextlib.aclosing`: this closes the connection. After a complete answer
the connection is reused.
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
from streamrag_cli.model_server.retries import BACKOFF_S

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
    """A non-empty piece of the answer as the server sent it, not yet safe for a terminal."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelActivity:
    """The server sent data without answer text. `thinking` is True if the model has begun to work on the answer."""

    thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetrying:
    """The request failed. Retry `number` of at most `limit` follows after `wait_s` seconds."""

    message: str
    wait_s: float
    number: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFinished:
    """The end of the answer; always the last piece. `finish_reason` and `model` are as the server sent them.

    `cut_at` is the limit at which this client cut the answer, such as "100 tokens"; "" if it did not cut the answer.
    """

    finish_reason: str
    usage: Usage | None
    model: str
    cut_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoading:
    """The server is still loading the model. The request is repeated for up to `limit_s` seconds."""

    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDidNotStream:
    """The server does not stream: the answer that follows arrived as one JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetractsThinking:
    """All text so far was the model's thinking; the answer begins now."""


ModelPiece: TypeAlias = (
    ModelText | ModelActivity | ModelRetrying | ModelLoading | ModelDidNotStream | ModelRetractsThinking | ModelFinished
)


def warm_up_client(scheme: str) -> None:
    """Import the HTTP library and load the certificates (0.1 to 0.2 s) ahead of the first request. Thread-safe."""
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
    defaults: Mapping[str, object] = _NO_OPTIONS,
    on_refused: Callable[[str], None] = lambda _: None,
    on_step: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[ModelPiece, None]:
    """Send `messages`, (role, text) pairs, and yield the answer as it arrives; `ModelFinished` comes last.

    - `timeout_s`: how long the server may go without sending a piece of the answer or of reasoning. Comments that only
      keep the connection open do not count.
    - `client_for`: provides the client for an endpoint.
    - `limits`: an answer that exceeds them is cut.
    - `options`: sent to the server unchanged.
    - `defaults`: each is sent unless an option has the same name. If the server refuses one, the request is repeated
      without it.
    - `on_refused`: called with the name of each default that the server refuses.
    - `on_step`: called with the name of each step of a request, such as "connect", when the step is complete.

    Raises ModelServerError and ConfigurationError. The pieces that were yielded before an error stay valid.
    """
    retries = 0
    model_time = _ModelTime(limits.seconds)
    request = ChatRequest.of(messages, endpoint, limits=limits, options=options, defaults=defaults)
    started_at_s = time.monotonic()
    while True:
        model_has_begun = False
        try:
            attempt = _stream_once(request, timeout_s, client_for, model_time=model_time, on_step=on_step)
            async with aclosing(attempt) as pieces:
                async for piece in pieces:
                    model_has_begun = model_has_begun or not isinstance(piece, ModelActivity) or piece.thinking
                    yield piece
        except _RequestFailedError as failed:
            failure = failed.failure
            if model_has_begun:
                raise failure.error from failure.cause
            if (accepted := request.without_refused_parameters(failure.status, failure.server_text)) is not None:
                for name in request.form.defaults - accepted.form.defaults:
                    on_refused(name)
                request = accepted
                continue
            waited_s = time.monotonic() - started_at_s
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
            yield ModelRetrying(message=failure.error.message, wait_s=wait_s, number=retries, limit=len(BACKOFF_S))
            await sleep(wait_s)
        else:
            return


class _RequestFailedError(Exception):
    def __init__(self, failure: "Failure") -> None:
        super().__init__(failure.error.message)
        self.failure = failure


class _ModelTime:
    """Counts down the seconds in which the model must finish. The time runs only inside `with` blocks."""

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
    model_time: _ModelTime,
    on_step: Callable[[str], None],
) -> AsyncGenerator[ModelPiece, None]:
    """Send one request and yield its answer. Raises _RequestFailedError."""
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
                max_tokens=limits.tokens,
                max_chars=limits.chars,
                on_step=on_step,
                expect_thinking=always_thinks(endpoint.model),
            )
            try:
                while True:
                    is_last_wait = model_time.left_s <= limit_s
                    try:
                        with model_time:
                            chunk = await reply.next(min(limit_s, max(0.0, model_time.left_s)))
                    except FOREIGN_ERRORS as error:
                        if finished is None:  # otherwise the answer is complete and only the token counts are missing
                            if not (isinstance(error, TimeoutError) and is_last_wait):
                                raise _RequestFailedError(Failure.of(error, endpoint, timeout_s=timeout_s)) from None
                            finished = _cut_for_time(limits, endpoint, answered=answered)
                        break
                    if chunk is None:
                        break
                    finished = _with_chunk(finished, chunk, endpoint)
                    limit_s = min(timeout_s, _AFTER_FINISH_S) if finished else timeout_s
                    for piece in _pieces(chunk.text, reply, is_first=not answered):
                        answered = answered or isinstance(piece, ModelText)
                        if not (finished and isinstance(piece, ModelActivity)):
                            yield piece
            finally:
                await reply.stop()
    yield _final_piece(finished, reply, request, answered=answered)


def _final_piece(
    finished: ModelFinished | None, reply: ChatReply, request: ChatRequest, *, answered: bool
) -> ModelFinished:
    """The last piece of the answer, once the whole reply has been read.

    Raises _RequestFailedError if the answer is cut off or empty.
    """
    from streamrag_cli.model_server.failure import Failure  # imported by the caller

    endpoint = request.endpoint
    if finished is None and reply.ended_by_server and answered:  # many servers send no finish reason
        finished = ModelFinished(finish_reason="stop", usage=None, model=endpoint.model)
    if finished is None:
        raise _RequestFailedError(Failure(error=errors.cut_off(endpoint)))
    if not answered:
        empty = errors.empty_answer(finished.finish_reason, reply.refusal, endpoint)
        raise _RequestFailedError(Failure(error=empty))
    return replace(finished, cut_at=f"{request.limits.tokens} tokens") if reply.was_cut else finished


def _cut_for_time(limits: AnswerLimits, endpoint: ModelEndpoint, *, answered: bool) -> ModelFinished:
    """The last piece of an answer that takes too long. Raises _RequestFailedError if the answer has not begun."""
    from streamrag_cli.model_server.failure import Failure  # imported by the caller

    if not answered:
        raise _RequestFailedError(Failure(error=errors.no_answer_in_time(limits.seconds, endpoint)))
    return ModelFinished(finish_reason="length", usage=None, model=endpoint.model, cut_at=f"{limits.seconds:g} seconds")


def _pieces(text: str, reply: ChatReply, *, is_first: bool) -> Iterator[ModelPiece]:
    """The pieces for the text in one chunk of the reply. `is_first` is True if no earlier chunk had text."""
    if reply.retracts_thinking and not is_first:
        yield ModelRetractsThinking()
    if not text:
        yield ModelActivity(thinking=reply.dropped_thinking)
        return
    if reply.was_not_streamed and is_first:
        yield ModelDidNotStream()
    yield ModelText(text=text)


def _with_chunk(finished: ModelFinished | None, chunk: ReplyPart, endpoint: ModelEndpoint) -> ModelFinished | None:
    """Return `finished`, updated with the finish reason and token counts in `chunk`."""
    if finished is not None:
        return replace(finished, usage=chunk.usage or finished.usage)
    if not chunk.finish_reason:
        return None
    return ModelFinished(finish_reason=chunk.finish_reason, usage=chunk.usage, model=chunk.model or endpoint.model)
