"""Encodes the events of an answer as a chat completion in OpenAI's API, streamed in chunks or complete."""

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

from streamrag_cli.answer.pipeline import QUOTING_MODEL
from streamrag_cli.codec import encode, public, to_mapping
from streamrag_cli.errors import http_status_of
from streamrag_cli.events import THINKING_SHOWN, AskEvent, Citations, Done, Error, Notice, Sources, Token
from streamrag_cli.model import Usage
from streamrag_cli.server.openai_request import ChatRequest
from streamrag_cli.server.public import NOT_IN_DOCUMENTS
from streamrag_cli.server.replies import OPENAI_PREFIX, JsonReply, openai_error, reply_to_event
from streamrag_cli.server.streaming import Encoder

_END: Final = b"data: [DONE]\n\n"
_NO_USAGE: Final = Usage(input_tokens=0, output_tokens=0, total_tokens=0)


class Completion:
    """One reply from the API.

    If nothing is relevant, the reply is the answer `NOT_IN_DOCUMENTS`. Front ends would show an error as a failure of
    the server, and a 404 as a model that does not exist.
    """

    def __init__(self, chat: ChatRequest) -> None:
        self._options: Final = sorted(chat.options)
        self._with_usage: Final = chat.includes_usage
        self._head: Final = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": chat.model,
        }

    def encoder(self) -> Encoder:
        """Return a function that encodes events as chunks of a completion."""
        citations: dict[str, object] = {}
        notices: list[dict[str, Any]] = []

        def as_bytes(event: AskEvent) -> bytes:
            nonlocal citations
            match event:
                case Notice():
                    notices.append(public(event))
                    return b""
                case Sources():
                    return self._first([public(source) for source in event.sources])
                case Token():
                    return self._chunk({"content": event.text})
                case Citations():
                    citations |= _citations(event)
                    return b""
                case Done():
                    return self._last(event.finish_reason, _used(event), **citations, notices=notices)
                case Error(code="nothing_relevant"):
                    answer = self._chunk({"content": NOT_IN_DOCUMENTS})
                    last = self._last("stop", _NO_USAGE, citations=[], unsupported_citations=[], notices=notices)
                    return self._first([]) + answer + last
                case Error():
                    return _event(self._error(event)) + _END
                case _:
                    return b""

        return as_bytes

    async def whole(self, events: AsyncGenerator[AskEvent, None]) -> JsonReply:
        """Wait for the end of the answer, and return the reply as one object."""
        answer: list[str] = []
        notices: list[dict[str, Any]] = []
        extra: dict[str, object] = {
            "sources": [],
            "citations": [],
            "unsupported_citations": [],
            "notices": notices,
        }
        async with aclosing(events):
            async for event in events:
                match event:
                    case Sources():
                        extra["sources"] = [public(source) for source in event.sources]
                    case Token():
                        answer.append(event.text)
                    case Notice(code=code):
                        notices.append(public(event))
                        if code == THINKING_SHOWN.code:
                            answer.clear()
                    case Citations():
                        extra |= _citations(event)
                    case Done():
                        return self._object("".join(answer), event.finish_reason, _used(event), extra)
                    case Error(code="nothing_relevant"):
                        return self._object(NOT_IN_DOCUMENTS, "stop", _NO_USAGE, extra)
                    case Error():
                        return reply_to_event(self._explained(event), OPENAI_PREFIX)
                    case _:
                        pass
        raise AssertionError("the event stream ended without Done or Error")

    def _object(self, answer: str, finish_reason: str, usage: Usage | None, extra: dict[str, object]) -> JsonReply:
        message = {"role": "assistant", "content": answer}
        choice = {"index": 0, "message": message, "finish_reason": finish_reason}
        head = {"object": "chat.completion", **self._head}
        return JsonReply({**head, "choices": [choice], "usage": _usage(usage), **extra})

    def _first(self, sources: list[dict[str, Any]]) -> bytes:
        return self._chunk({"role": "assistant", "content": ""}, sources=sources)

    def _last(self, finish_reason: str, usage: Usage | None, **extra: object) -> bytes:
        last = self._chunk({}, finish_reason, **extra)
        if self._with_usage:
            chunk = {"object": "chat.completion.chunk", **self._head, "choices": [], "usage": _usage(usage)}
            last += _event(chunk)
        return last + _END

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None, **extra: object) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        usage: dict[str, object] = {"usage": None} if self._with_usage else {}
        head = {"object": "chat.completion.chunk", **self._head}
        return _event({**head, "choices": [choice], **usage, **extra})

    def _error(self, error: Error) -> dict[str, Any]:
        shown = self._explained(error)
        return openai_error(shown.message, shown.code, shown.hint, status=http_status_of(shown.code, shown.exit_code))

    def _explained(self, error: Error) -> Error:
        """The error, with a hint that lists the options in this request if they may have caused it."""
        if error.code != "request_refused" or not self._options:
            return error
        return replace(error, hint=f"leave out options that the model may not support: {', '.join(self._options)}")


def _used(done: Done) -> Usage | None:
    """The usage to report: 0 for quotes, which use no model; None if the model server does not report it."""
    return done.usage or (_NO_USAGE if done.model == QUOTING_MODEL else None)


def _usage(usage: Usage | None) -> dict[str, int] | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _event(value: object) -> bytes:
    return f"data: {encode(value)}\n\n".encode()


def _citations(event: Citations) -> dict[str, object]:
    fields = to_mapping(event)
    return {"citations": fields["citations"], "unsupported_citations": fields["unsupported"]}
