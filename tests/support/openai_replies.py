"""Replies from the test model server, including faulty ones.

A `Reply` has a status line and steps. Bytes are sent unchanged; the other steps wait or close the connection. A fault
is part of a reply, not an option of the server: `Reply(steps=(token("Half"), Cut(reset=True)))`.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

MODEL = "test-model"
DONE = b"data: [DONE]\n\n"
HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1><script>alert(1)</script></body></html>"


@dataclass(frozen=True, slots=True)
class Hold:
    """Send nothing until `release` is set."""

    release: threading.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Send nothing until the client disconnects, except an SSE comment every `ping_every_s` if set."""

    ping_every_s: float | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before the next step. Only for manual use; tests use `Hold`."""

    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Close the connection in the middle of the body, with RST if `reset`, otherwise with FIN."""

    reset: bool


@dataclass(frozen=True, slots=True)
class IfUsageWanted:
    """Bytes that are sent only if the request has `stream_options.include_usage`."""

    data: bytes


Step: TypeAlias = bytes | Hold | Stall | Delay | Cut | IfUsageWanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply from the server.

    With `framing` "chunked" the body ends with its last chunk; with "close" it ends with the connection, as in
    HTTP/1.0, so that a `Cut` looks like a normal end. `before_headers` are steps before the status line. `whole_text`
    is the answer to a request without streaming.
    """

    steps: tuple[Step, ...] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: tuple[tuple[str, str], ...] = ()
    framing: Literal["chunked", "close"] = "chunked"
    bytes_per_write: int | None = None
    before_headers: tuple[Step, ...] = ()
    whole_text: str | None = None


def encoded(value: object) -> bytes:
    """Encode as JSON in UTF-8, with escapes only if there are lone surrogates."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def event(value: object) -> bytes:
    """One server-sent event with `value` as JSON."""
    return b"data: " + encoded(value) + b"\n\n"


def chunk(
    delta: Mapping[str, Any] | None, *, finish_reason: str | None = None, usage: Mapping[str, int] | None = None
) -> bytes:
    """One `chat.completion.chunk` with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return event(_envelope(choices=[choice], usage=usage))


def token(text: str) -> bytes:
    return chunk({"content": text})


def reasoning(text: str) -> bytes:
    """A piece of the model's thinking, in the format that servers for open models use."""
    return chunk({"reasoning_content": text})


def finish(reason: str = "stop") -> bytes:
    return chunk({}, finish_reason=reason)


def usage_chunk(*, input_tokens: int, output_tokens: int) -> bytes:
    return event(_envelope(choices=[], usage=usage_counts(input_tokens, output_tokens)))


def usage_counts(input_tokens: int, output_tokens: int) -> dict[str, int]:
    total_tokens = input_tokens + output_tokens
    return {"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": total_tokens}


def answer(*tokens: str, finish_reason: str = "stop", between: Iterable[Step] = ()) -> Reply:
    """A complete answer without faults; the steps `between` follow every token except the last."""
    steps: list[Step] = [chunk({"role": "assistant", "content": ""})]
    for number, text in enumerate(tokens, start=1):
        steps.append(token(text))
        if number < len(tokens):
            steps.extend(between)
    steps += [finish(finish_reason), IfUsageWanted(usage_chunk(input_tokens=7, output_tokens=len(tokens))), DONE]
    return Reply(steps=tuple(steps), whole_text="".join(tokens))


def stream(*steps: Step) -> Reply:
    return Reply(steps=steps)


def with_line_ends(reply: Reply, line_end: bytes) -> Reply:
    """`reply` with different line endings, such as CRLF."""
    steps = tuple(step.replace(b"\n", line_end) if isinstance(step, bytes) else step for step in reply.steps)
    return replace(reply, steps=steps)


def failure(
    status: int, message: str, *, code: str | None = None, kind: str = "error", headers: Mapping[str, str] | None = None
) -> Reply:
    """An error in the OpenAI protocol's format."""
    body = encoded({"error": {"message": message, "type": kind, "param": None, "code": code}})
    return whole_body(body, status=status, content_type="application/json", headers=headers)


def vectors(*embeddings: object) -> Reply:
    """A well-formed reply with these embeddings, regardless of the request."""
    data = [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(embeddings)]
    body = {"object": "list", "model": MODEL, "data": data, "usage": usage_counts(len(embeddings), 0)}
    return whole_body(encoded(body), content_type="application/json")


def whole_body(
    body: bytes, *, status: int = 200, content_type: str = "text/html", headers: Mapping[str, str] | None = None
) -> Reply:
    return Reply(
        steps=(body,) if body else (), status=status, content_type=content_type, headers=tuple((headers or {}).items())
    )


def _envelope(*, choices: list[dict[str, Any]], usage: Mapping[str, int] | None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": MODEL,
        "choices": choices,
        "usage": usage,
    }
