"""Parses one event in a model's stream, and tolerates servers that deviate from the OpenAI protocol.

Some servers send the finish reason with a null delta, content as a list of parts, or a whole `message` instead of a
`delta`. So each event is parsed as plain JSON, and the type of every field is checked.
"""

from dataclasses import dataclass
from typing import Final

from streamrag_cli.model import Usage
from streamrag_cli.text import sanitise_line

_MAX_TOKENS: Final = 1_000_000_000
_MAX_REASON_CHARS: Final = 80
_MAX_MODEL_CHARS: Final = 200
# Other names that servers use for the protocol's `stop`, `length` and `content_filter`.
_FINISH_REASONS: Final = {
    **dict.fromkeys(
        ("end_turn", "eos", "eos_token", "stop_sequence", "stop_token", "end", "complete", "completed"), "stop"
    ),
    **dict.fromkeys(("max_tokens", "model_length", "max_output_tokens", "token_limit"), "length"),
    **dict.fromkeys(
        ("safety", "recitation", "blocklist", "prohibited_content", "sensitive", "filtered"), "content_filter"
    ),
    **{word: word for word in ("stop", "length", "content_filter")},
}


class InvalidChunkError(ValueError):
    """The server sent JSON that is not a piece of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The content of one event. Missing values are "" or None. `reasoning` is True if the event contains reasoning."""

    text: str = ""
    reasoning: bool = False
    refusal: str = ""
    model: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None


def parse_chunk(chunk: object) -> Piece:
    """The relevant content of `chunk`, a decoded event from the stream.

    Raises InvalidChunkError if `chunk` is not part of an answer.
    """
    if not isinstance(chunk, dict):
        raise InvalidChunkError("an event in the stream is not a JSON object")
    usage = _usage(chunk.get("usage"))
    choices = chunk.get("choices") or []
    if not isinstance(choices, list):
        raise InvalidChunkError('the field "choices" is not a list')
    if not choices:
        return Piece(usage=usage)
    choice = choices[0]
    if not isinstance(choice, dict):
        raise InvalidChunkError('the first element of "choices" is not a JSON object')
    delta = choice.get("delta") or choice.get("message") or {}
    if not isinstance(delta, dict):
        raise InvalidChunkError('the field "delta" is not a JSON object')
    content = delta["content"] if "content" in delta else choice.get("text")
    return Piece(
        text=_content(content),
        reasoning=any(_text(delta.get(name)) for name in ("reasoning_content", "reasoning")),
        refusal=_text(delta.get("refusal")),
        model=sanitise_line(_text(chunk.get("model"))[:_MAX_MODEL_CHARS]),
        finish_reason=_finish_reason(choice.get("finish_reason")),
        usage=usage,
    )


def _finish_reason(reason: object) -> str | None:
    """The protocol's name for the finish reason, or the server's own, shortened, if there is no equivalent."""
    if not isinstance(reason, str) or not reason:
        return None
    return _FINISH_REASONS.get(reason.lower(), sanitise_line(reason[:_MAX_REASON_CHARS]))


def _content(content: object) -> str:
    """The text in a delta, which is a string, null or a list of parts. Raises InvalidChunkError for anything else."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    raise InvalidChunkError('the field "content" is not a string')


def _usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    valid_counts = [count if type(count) is int and 0 <= count <= _MAX_TOKENS else None for count in counts]
    if valid_counts == [None, None, None]:
        return None
    input_tokens, output_tokens, total = (count or 0 for count in valid_counts)
    return Usage(
        input_tokens=input_tokens, output_tokens=output_tokens, total_tokens=total or input_tokens + output_tokens
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
