"""The edge to the chat model: messages in, pieces of an answer out, every failure as one of our errors.

Retries are made here and announced, only before the first sign of life: a client that retries in silence makes a
reader wait without a word, and one that retries amid an answer pays twice and shows two beginnings.

However the stream ends, the connection to the server is closed before the generator is done; close the generator
(`contextlib.aclosing`) when you stop early.
"""

import asyncio
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from streamrag_cli.answer import model_errors
from streamrag_cli.answer.chat_chunks import ChatCompletions
from streamrag_cli.answer.model_endpoint import ModelEndpoint
from streamrag_cli.errors import StreamragError
from streamrag_cli.model import Usage

if TYPE_CHECKING:
    import openai
    from langchain_core.runnables import Runnable

BACKOFF_S: Final = (0.5, 1.0)
LONGEST_RETRY_AFTER_S: Final = 5.0
_CONNECT_TIMEOUT_S: Final = 10.0
_AFTER_FINISH_S: Final = 2.0
_NO_KEY: Final = "none"  # the client insists on one; servers that need none ignore it


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelText:
    """A piece of the answer, never empty, exactly as the server sent it: not yet safe for a terminal."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAlive:
    """The server sent something that is not answer text, such as a piece of the model's reasoning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetrying:
    """The request failed and is made again after `wait_s` seconds; `attempt` counts the retries from 1."""

    message: str
    attempt: int
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFinished:
    """The answer is complete; always last. `finish_reason` and `model` are the server's words."""

    finish_reason: str
    usage: Usage | None
    model: str


ModelPiece: TypeAlias = ModelText | ModelAlive | ModelRetrying | ModelFinished


def import_chat_library() -> None:
    """Pay for the import of the chat client, 1.1 to 1.5 s, ahead of the first question; safe in any thread."""
    import langchain_openai  # noqa: F401


async def stream_chat(
    messages: Sequence[tuple[str, str]],
    *,
    endpoint: ModelEndpoint,
    timeout_s: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[ModelPiece, None]:
    """Send `messages`, (role, text) pairs, and yield the answer as it is written; `ModelFinished` comes last.

    `timeout_s` is how long the server may go without a piece of answer or reasoning; comments that only keep the
    connection open do not count. Raises ModelServerError and ConfigurationError; what was yielded before stays valid.
    """
    await asyncio.to_thread(import_chat_library)
    retries = 0
    with_usage = True
    while True:
        alive = False
        try:
            async with aclosing(_stream_once(messages, endpoint, timeout_s, with_usage=with_usage)) as pieces:
                async for piece in pieces:
                    alive = True
                    yield piece
        except _RequestFailedError as failure:
            if with_usage and failure.refuses_usage:
                with_usage = False
                continue
            if alive or retries == len(BACKOFF_S) or not failure.may_be_retried:
                raise failure.error from failure.cause
            wait_s = failure.retry_after_s or BACKOFF_S[retries]
            retries += 1
            yield ModelRetrying(message=failure.error.message, attempt=retries, wait_s=wait_s)
            await sleep(wait_s)
        else:
            return


class _RequestFailedError(Exception):
    """One request failed with `error`; `cause` is the foreign exception, unless it would show the key."""

    def __init__(self, error: StreamragError, foreign: BaseException | None, endpoint: ModelEndpoint) -> None:
        super().__init__(error.message)
        self.error = error
        told = "".join(traceback.format_exception(foreign)) if foreign else ""
        self.cause = foreign if model_errors.masked(told, endpoint) == told else None
        response = getattr(foreign, "response", None)
        self.status: int | None = getattr(response, "status_code", None)
        self.retry_after_s = model_errors.retry_after_s(response.headers) if response is not None else None
        self.refuses_usage = self.status in {400, 422} and "stream_options" in _response_text(foreign)

    @property
    def may_be_retried(self) -> bool:
        """Whether the server answered, with an error that passes, and asks for no long wait."""
        return (
            self.status is not None
            and self.error.retryable
            and (self.retry_after_s is None or self.retry_after_s <= LONGEST_RETRY_AFTER_S)
        )


async def _stream_once(
    messages: Sequence[tuple[str, str]], endpoint: ModelEndpoint, timeout_s: float, *, with_usage: bool
) -> AsyncGenerator[ModelPiece, None]:
    """One request, one answer. Raises _RequestFailedError."""
    # Costs nothing more here: `stream_chat` has imported both.
    import openai

    foreign_errors = (openai.OpenAIError, TimeoutError, ValueError, RecursionError)
    finished: ModelFinished | None = None
    answered = False
    async with _client(endpoint, timeout_s) as client:
        completions = ChatCompletions(client)
        chain, variables = _chain(messages, endpoint, completions, with_usage=with_usage)
        chunks = chain.astream(variables)
        try:
            while True:
                try:
                    # Not LangChain's own `stream_chunk_timeout`: that starts with the headers, and it logs to stderr.
                    async with asyncio.timeout(min(timeout_s, _AFTER_FINISH_S) if finished else timeout_s):
                        chunk = await anext(chunks, None)
                except foreign_errors as error:
                    if finished is not None:
                        break  # the answer is whole; only the count of its tokens was still to come
                    raise _RequestFailedError(_translated(error, timeout_s, endpoint), error, endpoint) from None
                if chunk is None:
                    break
                finished = _finish(finished, chunk, endpoint)
                if text := str(chunk.text):
                    answered = True
                    yield ModelText(text=text)
                elif finished is None:
                    yield ModelAlive()
        finally:
            await completions.stop()
            async for _ in chunks:
                pass
    if finished is None:
        raise _RequestFailedError(model_errors.cut_off(endpoint), None, endpoint)
    if not answered:
        empty = model_errors.empty_answer(finished.finish_reason, completions.refusal, endpoint)
        raise _RequestFailedError(empty, None, endpoint)
    yield finished


def _client(endpoint: ModelEndpoint, timeout_s: float) -> "openai.AsyncOpenAI":
    """A client of its own for each request, so that closing it closes the connection.

    Everything is given, so that no OPENAI_* variable decides where a question goes. The organisation and project
    that they may name belong to OpenAI and are kept from any other server.
    """
    import openai

    theirs = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
    return openai.AsyncOpenAI(
        api_key=endpoint.api_key or _NO_KEY,
        base_url=endpoint.url,
        max_retries=0,
        timeout=openai.Timeout(None, connect=min(timeout_s, _CONNECT_TIMEOUT_S)),
        default_headers=theirs if endpoint.base_url else None,  # type: ignore[arg-type]
    )


def _chain(
    messages: Sequence[tuple[str, str]], endpoint: ModelEndpoint, completions: ChatCompletions, *, with_usage: bool
) -> tuple["Runnable[dict[str, Any], Any]", dict[str, str]]:
    """The prompt piped into the model, and the prompt's variables: texts hold braces, so they are never templates."""
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    prompt = ChatPromptTemplate.from_messages([(role, f"{{text_{n}}}") for n, (role, _) in enumerate(messages)])
    model = ChatOpenAI(
        model=endpoint.model,
        client=completions,
        async_client=completions,
        api_key=_NO_KEY,  # type: ignore[arg-type]  # the key stays in the client, out of LangChain's sight
        base_url=endpoint.url,
        openai_proxy=None,
        streaming=True,
        stream_usage=with_usage,
        stream_chunk_timeout=None,
        use_responses_api=False,
    )
    return prompt | model, {f"text_{n}": _encodable(text) for n, (_, text) in enumerate(messages)}


def _encodable(text: str) -> str:
    """`text` with lone surrogates, which no JSON in UTF-8 can carry, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


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


def _translated(error: Exception, timeout_s: float, endpoint: ModelEndpoint) -> StreamragError:
    """A foreign exception in our words; the only place where one is."""
    import openai

    match error:
        case openai.APIStatusError():
            code, text = _code_and_text(error)
            return model_errors.status_error(error.status_code, code=code, text=text, endpoint=endpoint)
        case openai.APIConnectionError():
            return model_errors.connection_problem(error, endpoint)
        case openai.APIError():
            code, text = _code_and_text(error)
            return model_errors.stream_error(code=code, text=text, endpoint=endpoint)
        case TimeoutError():
            return model_errors.stalled(timeout_s, endpoint)
        case _:
            return model_errors.malformed("sent something that is not a stream of answer pieces", endpoint)


def _code_and_text(error: "openai.APIError") -> tuple[str, str]:
    body = error.body
    if not isinstance(body, dict):
        return "", _response_text(error) or str(body or "")
    text = next((body[name] for name in ("message", "detail", "error") if isinstance(body.get(name), str)), "")
    return f"{body.get('code') or ''} {body.get('type') or ''}".strip(), text


def _response_text(error: BaseException | None) -> str:
    """The body of the HTTP response behind `error`, or ""."""
    return str(getattr(getattr(error, "response", None), "text", "") or "")
