"""The edge to the chat model: messages in, pieces of an answer out, every failure as one of our errors.

Retries are made here and announced, only before the first sign of life: a client that retries in silence makes a
reader wait without a word, and one that retries amid an answer pays twice and shows two beginnings.

A stream that ends early has its connection closed before the generator is done; close the generator
(`contextlib.aclosing`) when you stop early. After a whole answer the connection may serve the next one.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from streamrag_cli.answer.chat_chunks import ChatCompletions
from streamrag_cli.answer.chat_request import AnswerLimits, ChatRequest
from streamrag_cli.answer.thinking import always_thinks
from streamrag_cli.model import Usage
from streamrag_cli.model_server import errors
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.silence import silence

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from streamrag_cli.model_server.client import StreamingClient
    from streamrag_cli.model_server.failure import Failure

ClientFor: TypeAlias = "Callable[[ModelEndpoint], AbstractAsyncContextManager[StreamingClient]]"
_AFTER_FINISH_S: Final = 2.0
_LOADING_POLL_S: Final = 1.0
_imported: Final = threading.Event()
_DEFAULT_LIMITS: Final = AnswerLimits()
_NO_OPTIONS: Final[Mapping[str, object]] = {}
_AT_LEAST_S: Final = 0.5  # for an answer that has come while LangChain was being imported


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelText:
    """A piece of the answer, never empty, exactly as the server sent it: not yet safe for a terminal."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAlive:
    """The server sent something that is not answer text; `thinking` if the model has begun to work on the answer."""

    thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetrying:
    """The request failed and is made again after `wait_s` seconds; `attempt` counts the retries from 1."""

    message: str
    attempt: int
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

    waited_s: float
    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSentWhole:
    """The server does not stream: the answer that follows came as one JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTakesBack:
    """All text so far was the model's thinking, not its answer, which begins now."""


ModelPiece: TypeAlias = (
    ModelText | ModelAlive | ModelRetrying | ModelLoading | ModelSentWhole | ModelTakesBack | ModelFinished
)


def import_chat_library() -> None:
    """Pay for the import of the chat client, 1.1 to 1.5 s, ahead of the first question; safe in any thread.

    Whatever the environment asks LangChain to do with what passes through it, it is not told to anybody.
    """
    silence()
    import langchain_openai  # noqa: F401

    _imported.set()


def prepare_client(scheme: str) -> None:
    """Pay for the HTTP library and its certificates, 0.1 to 0.2 s, while something else is awaited; in any thread."""
    from streamrag_cli.model_server.client import trust

    trust(scheme)


async def stream_chat(
    messages: Sequence[tuple[str, str]],
    *,
    endpoint: ModelEndpoint,
    timeout_s: float,
    client_for: ClientFor,
    limits: AnswerLimits = _DEFAULT_LIMITS,
    options: Mapping[str, object] = _NO_OPTIONS,
    passed: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[ModelPiece, None]:
    """Send `messages`, (role, text) pairs, and yield the answer as it is written; `ModelFinished` comes last.

    `timeout_s` is how long the server may go without a piece of answer or reasoning; comments that only keep the
    connection open do not count. `client_for` lends the client to ask with, `options` are sent as they are, and
    `passed` is told each step that a request has taken. An answer beyond `limits` is cut there. Raises
    ModelServerError and ConfigurationError; what was yielded before stays valid.
    """
    retries = 0
    waited = _Waited(limits.seconds)
    request = ChatRequest.of(messages, endpoint, limits=limits, options=options)
    asked_at_s = time.monotonic()
    while True:
        alive = False
        try:
            attempt = _stream_once(request, timeout_s, client_for, waited=waited, passed=passed)
            async with aclosing(attempt) as pieces:
                async for piece in pieces:
                    alive = alive or not isinstance(piece, ModelAlive) or piece.thinking
                    yield piece
        except _RequestFailedError as failed:
            failure = failed.failure
            if alive:
                raise failure.error from failure.cause
            if (accepted := request.without_what_was_refused(failure.status, failure.said)) is not None:
                request = accepted
                continue
            waited_s = time.monotonic() - asked_at_s
            if failure.is_loading:
                if waited_s >= timeout_s:
                    raise errors.still_loading(timeout_s, endpoint) from failure.cause
                yield ModelLoading(waited_s=waited_s, limit_s=timeout_s)
                await sleep(min(_LOADING_POLL_S, max(0.0, timeout_s - waited_s)))
                continue
            wait_s = failure.wait_before_retry_s(retries)
            if wait_s is None:
                raise failure.error from failure.cause
            retries += 1
            yield ModelRetrying(message=failure.error.message, attempt=retries, wait_s=wait_s)
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
    passed: Callable[[str], None],
) -> AsyncGenerator[ModelPiece, None]:
    """One request, one answer. Raises _RequestFailedError."""
    from streamrag_cli.model_server.client import FOREIGN_ERRORS  # 0.1 to 0.2 s
    from streamrag_cli.model_server.failure import Failure

    endpoint, limits = request.endpoint, request.limits
    finished: ModelFinished | None = None
    answered = False
    async with client_for(endpoint) as client:
        completions = ChatCompletions(
            client,
            request.payload,
            timeout_s=timeout_s,
            most_tokens=limits.tokens,
            most_chars=limits.chars,
            passed=passed,
            expect_thinking=always_thinks(endpoint.model),
        )
        asked_at_s = time.monotonic()
        chunks: AsyncIterator[Any] | None = None
        try:
            while True:
                try:
                    if chunks is None:
                        chunks = await _chunks(request, completions)
                        limit_s = max(asked_at_s + timeout_s - time.monotonic(), min(timeout_s, _AT_LEAST_S))
                    # Not LangChain's own `stream_chunk_timeout`: that starts with the headers, and it logs to stderr.
                    is_last_wait = waited.left_s <= limit_s
                    async with asyncio.timeout(min(limit_s, max(0.0, waited.left_s))):
                        with waited:
                            chunk = await anext(chunks, None)
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
                for piece in _pieces(str(chunk.text), completions, is_first=not answered):
                    answered = answered or isinstance(piece, ModelText)
                    if not (finished and isinstance(piece, ModelAlive)):
                        yield piece
        finally:
            await completions.stop()
            while chunks is not None and await anext(chunks, None) is not None:
                pass
    yield _ending(finished, completions, request, answered=answered)


def _ending(
    finished: ModelFinished | None, completions: ChatCompletions, request: ChatRequest, *, answered: bool
) -> ModelFinished:
    """How an answer ended that was read to its end. Raises _RequestFailedError if it is cut off or empty."""
    from streamrag_cli.model_server.failure import Failure  # imported by the caller

    endpoint = request.endpoint
    if finished is None and completions.was_ended and answered:  # many servers name no reason
        finished = ModelFinished(finish_reason="stop", usage=None, model=endpoint.model)
    if finished is None:
        raise _RequestFailedError(Failure(error=errors.cut_off(endpoint)))
    if not answered:
        empty = errors.empty_answer(finished.finish_reason, completions.refusal, endpoint)
        raise _RequestFailedError(Failure(error=empty))
    return replace(finished, cut_at=f"{request.limits.tokens} tokens") if completions.was_cut else finished


def _cut_for_time(limits: AnswerLimits, endpoint: ModelEndpoint, *, answered: bool) -> ModelFinished:
    """The end of an answer that takes too long. Raises _RequestFailedError if it has not begun."""
    from streamrag_cli.model_server.failure import Failure  # imported by the caller

    if not answered:
        raise _RequestFailedError(Failure(error=errors.no_answer_in_time(limits.seconds, endpoint)))
    return ModelFinished(finish_reason="length", usage=None, model=endpoint.model, cut_at=f"{limits.seconds:g} seconds")


def _pieces(text: str, completions: ChatCompletions, *, is_first: bool) -> Iterator[ModelPiece]:
    """What a chunk with this text says; `is_first` if none had text before."""
    if not text:
        yield ModelAlive(thinking=completions.has_thought)
        return
    if completions.takes_back and not is_first:
        yield ModelTakesBack()
    if completions.came_whole and is_first:
        yield ModelSentWhole()
    yield ModelText(text=text)


async def _chunks(request: ChatRequest, completions: ChatCompletions) -> AsyncIterator[Any]:
    """LangChain's chunks of the answer that `completions` has asked for.

    The first answer of a process has to wait for the import of LangChain: the request is under way meanwhile, and
    its failure ends the wait.
    """
    if not _imported.is_set():  # a thread is not free at once where many are answered
        await completions.on_its_way(within_s=_AT_LEAST_S)  # an import slows everything beside it
        importing = asyncio.create_task(asyncio.to_thread(import_chat_library))
        try:
            await asyncio.wait({importing, completions.sent}, return_when=asyncio.FIRST_COMPLETED)
            if completions.sent.done():
                completions.sent.result()
            await importing
        finally:
            importing.cancel()
    chain, variables = _chain(request, completions)
    return chain.astream(variables)


def _chain(
    request: ChatRequest, completions: ChatCompletions
) -> tuple["Runnable[dict[str, Any], Any]", dict[str, str]]:
    """The prompt piped into the model, and the prompt's variables: texts hold braces, so they are never templates."""
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    messages = request.arranged
    prompt = ChatPromptTemplate.from_messages([(role, f"{{text_{n}}}") for n, (role, _) in enumerate(messages)])
    model = ChatOpenAI(
        model=request.endpoint.model,
        client=completions,
        async_client=completions,
        api_key="none",  # type: ignore[arg-type]  # the key stays in the client, out of LangChain's sight
        base_url=request.endpoint.url,
        openai_proxy=None,
        streaming=True,
        stream_usage=request.form.with_usage,
        stream_chunk_timeout=None,
        use_responses_api=False,
    )
    return prompt | model, {f"text_{n}": text for n, (_, text) in enumerate(messages)}


def _finish(finished: ModelFinished | None, chunk: Any, endpoint: ModelEndpoint) -> ModelFinished | None:
    """What is known about the end of the answer after `chunk`."""
    counted = getattr(chunk, "usage_metadata", None)
    usage = finished.usage if finished else None
    if counted:
        usage = Usage(
            input_tokens=counted["input_tokens"],
            output_tokens=counted["output_tokens"],
            total_tokens=counted["total_tokens"],
        )
    reason = finished.finish_reason if finished else chunk.response_metadata.get("finish_reason")
    if not reason:
        return None
    model = finished.model if finished else chunk.response_metadata.get("model_name")
    return ModelFinished(finish_reason=reason, usage=usage, model=model or endpoint.model)
