"""Finds errors in JSON replies from model servers: the code, HTTP status and text.

The protocol defines one form, `{"error": {"message", "type", "code"}}`. Servers and gateways use a dozen others, even
in a reply with status 200 and in the middle of a stream.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

_TEXT_KEYS: Final = (
    "message",
    "msg",
    "detail",
    "error_description",
    "error_message",
    "error_msg",
    "reason",
    "faultstring",
    "title",
    "error",
    "errors",
    "fault",
)
_STATUS_KEYS: Final = ("code", "status", "status_code", "http_status_code", "http_status", "error_code", "statusCode")
_CODE_KEYS: Final = ("code", "type", "status", "error_code", "error_type")
_STATUS_OF_WORDS: Final = (
    (re.compile(r"rate.?limit|resource_exhausted|too many requests|throttl"), 429),
    (re.compile(r"overloaded|service.?unavailable|\bunavailable\b|engine.?overload"), 503),
)
_FAILED: Final = frozenset(
    "error errored abort aborted cancelled canceled failed failure timeout network_error internal_error "
    "insufficient_system_resource malformed_function_call engine_overloaded server_error upstream_error".split()
)


def error_in(reply: object) -> object | None:
    """The error in a reply or in one event in a stream; None if it contains no error."""
    if isinstance(reply, list):
        return next((error for each in reply[:10] if (error := error_in(each)) is not None), None)
    if not isinstance(reply, Mapping):
        return None
    choices = reply.get("choices")
    if isinstance(choices, list) and choices:
        return _error_in_choice(choices[0]) or (reply if reply.get("error") else None)
    if reply.get("error") or "error" in {reply.get("object"), reply.get("type")}:
        return reply
    has_text = any(isinstance(reply.get(name), str | list) and reply[name] for name in _TEXT_KEYS)
    has_code = "detail" in reply or any(reply.get(name) for name in _CODE_KEYS) or reply.get("success") is False
    return reply if has_text and has_code else None


def _error_in_choice(choice: object) -> object | None:
    if not isinstance(choice, Mapping):
        return None
    if error := choice.get("error"):
        return error  # type: ignore[no-any-return]
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and reason.lower() in _FAILED:
        return {"message": f"finish reason {reason!r}"}
    return None


def code_and_text(error: object, raw: str) -> tuple[str, str]:
    """The server's own error code and message from a parsed error; the message is `raw` if there is none."""
    inner = _inner(error)
    if not isinstance(inner, Mapping):
        return "", _text(error) or raw
    codes = [str(inner[name]) for name in _CODE_KEYS if isinstance(inner.get(name), str | int) and inner[name]]
    return " ".join(dict.fromkeys(codes)), _text(error)


def code_and_text_in(body: str) -> tuple[str, str]:
    """Like `code_and_text`, for the body of an error reply, which may not be JSON."""
    try:
        error = json.loads(body)
    except (ValueError, RecursionError):
        error = None
    return code_and_text(error, body)


def status_in(error: object) -> int | None:
    """The HTTP status in the error object, or else the status that its wording implies; None if there is neither."""
    for each in (_inner(error), error):
        if isinstance(each, Mapping):
            for name in _STATUS_KEYS:
                value = each.get(name)
                if isinstance(value, str) and re.fullmatch(r"[45]\d\d", value):
                    value = int(value)
                if type(value) is int and 400 <= value <= 599:
                    return value
    words = " ".join(code_and_text(error, "")).lower()
    return next((status for pattern, status in _STATUS_OF_WORDS if pattern.search(words)), None)


def _inner(error: object) -> object:
    """The object that contains the code and message. Servers nest it in `error`, `errors`, `fault` or a list."""
    if isinstance(error, list):
        return _inner(error[0]) if error else None
    if isinstance(error, Mapping):
        for name in ("error", "errors", "fault"):
            if isinstance(error.get(name), Mapping | list) and error[name]:
                return _inner(error[name])
    return error


def _text(error: object, depth: int = 0) -> str:
    """The first error text in the object, or in nested objects, where gateways put the upstream server's text."""
    if isinstance(error, str):
        return error
    if depth > 5:
        return ""
    if isinstance(error, list):
        return "; ".join(filter(None, (_text(each, depth + 1) for each in error[:3])))
    if not isinstance(error, Mapping):
        return ""
    inner = _inner(error)
    own = "" if inner is error else _text(inner, depth + 1)
    text = own or next(filter(None, (_text(error.get(name), depth + 1) for name in _TEXT_KEYS)), "")
    metadata = error.get("metadata")
    upstream = metadata.get("raw") if isinstance(metadata, Mapping) else None
    return f"{text}: {upstream}" if isinstance(upstream, str) and upstream and upstream not in text else text
