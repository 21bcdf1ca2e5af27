"""`/v1/chat/completions` and `/v1/models`: the documents as a model that any OpenAI client can talk to.

The model `streamrag` is the collection that the server was started with, `streamrag/NAME` is another. The last
message of the user is the question; what was said before goes to the model beside it. Sources and citations are an
extra field, `sources` and `citations`, of the first and the last chunk, or of the whole reply.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from streamrag_cli.answer.pipeline import MAX_QUESTION_CHARS
from streamrag_cli.errors import StreamragError, UsageError
from streamrag_cli.events import AskEvent, Citations, Done, Error, Sources, Token
from streamrag_cli.model import Question, Usage
from streamrag_cli.server.replies import STATUS_OF, JsonReply, RefusedError
from streamrag_cli.server.requests import Asked, question_of, settings_of
from streamrag_cli.server.serving import Serving
from streamrag_cli.server.streaming import Encoder, while_connected
from streamrag_cli.wire import encode, source_mapping, to_mapping

router = APIRouter(prefix="/v1", tags=["openai"])
MODEL: Final = "streamrag"
_END: Final = b"data: [DONE]\n\n"


class Part(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str
    text: Annotated[str, Field(max_length=MAX_QUESTION_CHARS)] = ""


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """What matters here of OpenAI's request; how a model is to sample is the server's affair and is ignored."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(max_length=200)] = MODEL
    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    stream: bool = False
    stream_options: StreamOptions | None = None


@router.get("/models", response_class=JsonReply)
async def models(request: Request) -> JsonReply:
    """One model for each collection."""
    serving: Serving = request.app.state.serving
    names = await asyncio.to_thread(serving.collections)
    listed = [MODEL, *(f"{MODEL}/{name}" for name in names)]
    return JsonReply(
        {
            "object": "list",
            "data": [{"id": name, "object": "model", "created": 0, "owned_by": "streamrag"} for name in listed],
        }
    )


@router.post("/chat/completions", response_class=JsonReply)
async def chat_completions(request: Request, asked: ChatRequest) -> Response:
    """Answer the last message from the documents; `stream` as in OpenAI's API."""
    serving: Serving = request.app.state.serving
    question = _question(asked)
    settings = settings_of(request, Asked(collection=_collection(asked.model)))
    completion = _Completion(asked.model)
    if asked.stream:
        with_usage = asked.stream_options is not None and asked.stream_options.include_usage
        return serving.stream(request, question, settings, completion.encoder(with_usage=with_usage))
    events = serving.events(request, question, settings)
    whole = serving.streams.whole(lambda: completion.whole(events))
    reply = await while_connected(request.receive, whole)
    return reply if reply is not None else Response(status_code=204)  # nobody is there to read it


def error_reply(error: StreamragError | Error, status: int | None = None) -> JsonReply:
    """A failure in OpenAI's shape, which its clients turn into their own exceptions."""
    status = status or STATUS_OF.get(error.exit_code, 500)
    return JsonReply({"error": _error(error, status)}, status)


def refused_reply(refused: RefusedError) -> JsonReply:
    """The same for a request that is not answered."""
    return JsonReply({"error": _error(refused, refused.status)}, refused.status, refused.headers)


def _question(asked: ChatRequest) -> Question:
    last = max((n for n, message in enumerate(asked.messages) if message.role == "user"), default=None)
    if last is None:
        raise UsageError("no message of a user", code="bad_request")
    before = [message for message in asked.messages[:last] if message.text.strip()]
    extra = "\n\n".join(f"{message.role}: {message.text}" for message in before)
    return question_of(Asked.model_construct(query=asked.messages[last].text), extra=extra)


def _collection(model: str) -> str | None:
    name, _, collection = model.partition("/")
    if name != MODEL:
        raise UsageError(f"no model {model!r}", code="no_such_model", hint=f"models are {MODEL} and {MODEL}/COLLECTION")
    return collection or None


class _Completion:
    """One reply of the API: its id, and its words for events."""

    def __init__(self, model: str) -> None:
        self._head: Final = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def encoder(self, *, with_usage: bool) -> Encoder:
        """Events as chunks of a completion."""
        cited: dict[str, object] = {}

        def as_bytes(event: AskEvent) -> bytes:
            match event:
                case Sources():
                    sources = [source_mapping(source) for source in event.sources]
                    return self._chunk({"role": "assistant", "content": ""}, sources=sources)
                case Token():
                    return self._chunk({"content": event.text})
                case Citations():
                    cited["citations"] = to_mapping(event)["citations"]
                    return b""
                case Done():
                    last = self._chunk({}, event.finish_reason, **cited)
                    return last + (self._usage(event.usage) if with_usage else b"") + _END
                case Error():
                    return _event({"error": _error(event, STATUS_OF.get(event.exit_code, 500))}) + _END
                case _:
                    return b""

        return as_bytes

    async def whole(self, events: AsyncGenerator[AskEvent, None]) -> JsonReply:
        """The reply as one object, when all of it is there."""
        answer: list[str] = []
        extra: dict[str, object] = {"sources": [], "citations": []}
        async with aclosing(events):
            async for event in events:
                match event:
                    case Sources():
                        extra["sources"] = [source_mapping(source) for source in event.sources]
                    case Token():
                        answer.append(event.text)
                    case Citations():
                        extra["citations"] = to_mapping(event)["citations"]
                    case Error():
                        return error_reply(event)
                    case Done():
                        message = {"role": "assistant", "content": "".join(answer)}
                        choice = {"index": 0, "message": message, "finish_reason": event.finish_reason}
                        return JsonReply(
                            {
                                "object": "chat.completion",
                                **self._head,
                                "choices": [choice],
                                "usage": _usage(event.usage),
                                **extra,
                            }
                        )
                    case _:
                        pass
        raise AssertionError("a stream of events has an end")

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None, **extra: object) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _event({"object": "chat.completion.chunk", **self._head, "choices": [choice], **extra})

    def _usage(self, usage: Usage | None) -> bytes:
        return _event({"object": "chat.completion.chunk", **self._head, "choices": [], "usage": _usage(usage)})


def _event(value: object) -> bytes:
    return f"data: {encode(value)}\n\n".encode()


def _error(error: StreamragError | Error | RefusedError, status: int) -> dict[str, Any]:
    kind: Literal["invalid_request_error", "server_error"] = "invalid_request_error" if status < 500 else "server_error"
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    return {"message": message, "type": kind, "param": None, "code": error.code}


def _usage(usage: Usage | None) -> dict[str, int] | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
