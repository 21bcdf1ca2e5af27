"""The model's stream, chunk by chunk, tidied before LangChain reads it.

Servers that speak the OpenAI protocol speak it with an accent: a null delta that carries the finish reason,
content as a list of parts, usage of another shape, a user's role. LangChain drops the first, warns on stderr
about the others or trips over them; so chunks are asked for as plain JSON and rebuilt here.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream


class NotAnAnswerError(ValueError):
    """What the server streams is JSON, but no piece of an answer."""


class ChatCompletions:
    """Stands where LangChain expects the OpenAI client's `chat.completions`; good for one answer.

    `refusal` is what the model said instead of an answer, as far as it has arrived.
    """

    def __init__(self, client: "AsyncOpenAI") -> None:
        self._client = client
        self._stream: AsyncStream[object] | None = None
        self._stopped = False
        self.refusal = ""

    async def create(self, **payload: Any) -> Self:
        """Send the request. What LangChain gets back is this object, as a context of chunks."""
        # Costs nothing more: whoever made the client has imported it.
        from openai import AsyncStream

        self._stream = await self._client.post(
            "/chat/completions", cast_to=object, body=payload, stream=True, stream_cls=AsyncStream[object]
        )
        return self

    async def stop(self) -> None:
        """Close the stream and let the chunks end here.

        The generators under LangChain and under the client close nothing beneath them when they are closed early:
        the loop would have to, some time later. So they are made to run out instead, each in its turn.
        """
        self._stopped = True
        if self._stream is not None:
            await self._stream.close()
            with suppress(Exception):  # whatever a closed stream says, it has ended
                async for _ in self._stream:
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
        if self._stopped or self._stream is None:
            raise StopAsyncIteration
        tidied, refusal = tidy(await anext(self._stream))
        self.refusal += refusal
        return tidied


def tidy(chunk: object) -> tuple[dict[str, Any], str]:
    """`chunk` with the parts that matter, each of the one right type, and a piece of a refusal or "".

    Raises NotAnAnswerError where it is no chunk of an answer at all.
    """
    if not isinstance(chunk, dict):
        raise NotAnAnswerError("a chunk is not a JSON object")
    usage = _usage(chunk.get("usage"))
    choices = chunk.get("choices") or []
    if not isinstance(choices, list):
        raise NotAnAnswerError("the choices of a chunk are not a list")
    if not choices:
        return {"choices": [], "usage": usage}, ""
    choice = choices[0]
    delta = choice.get("delta") or {} if isinstance(choice, dict) else None
    if not isinstance(delta, dict):
        raise NotAnAnswerError("a choice is not a JSON object with a delta")
    finish_reason = choice.get("finish_reason")
    tidied: dict[str, Any] = {
        "model": _text(chunk.get("model")),
        "choices": [
            {
                "delta": {"role": "assistant", "content": _content(delta.get("content"))},
                "finish_reason": finish_reason if isinstance(finish_reason, str) else None,
            }
        ],
        "usage": usage,
    }
    return tidied, _text(delta.get("refusal"))


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
    known = {name: count for name, count in counts.items() if isinstance(count, int)}
    return {"prompt_tokens": 0, "completion_tokens": 0, **known} if known else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
