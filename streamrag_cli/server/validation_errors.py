"""Turns validation errors of FastAPI into clearer messages than "Extra inputs are not permitted".

A message repeats only (truncated) field names of the request, because values may contain text that JSON cannot
represent.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from streamrag_cli.answer.pipeline import MAX_QUESTION_CHARS
from streamrag_cli.server.replies import RefusedError, is_openai
from streamrag_cli.server.requests import (
    EarlierTurn,
    FilterParameters,
    PassageParameters,
    QueryParameters,
    QuestionBody,
)
from streamrag_cli.text import sanitise_line

_MAX_NAME_CHARS: Final = 40


def _names(model: type[BaseModel]) -> tuple[str, ...]:
    """The names of a request's fields, with the filter fields at the end."""
    fields = sorted(model.model_fields.items(), key=lambda each: each[0] in FilterParameters.model_fields)
    return tuple(each.alias or name for name, each in fields)


_FIELDS: Final = _names(QueryParameters)
_BODY_FIELDS: Final = _names(QuestionBody)
_TURN_FIELDS: Final = _names(EarlierTurn)
_EXAMPLE: Final = (
    'send Content-Type: application/json and a body such as {"query": "How long is the warranty?", "k": 3}'
)
_CHAT_EXAMPLE: Final = (
    "send Content-Type: application/json and a body such as"
    ' {"model": "streamrag", "messages": [{"role": "user", "content": "How long is the warranty?"}]}'
)
_PASSAGE_EXAMPLE: Final = "send the chunk_id of a source or hit"
_PASSAGE_FIELDS: Final = tuple(PassageParameters.model_fields)
_UNION_MEMBERS: Final = {"str", "list[Part]", "list[constrained-str]", "list[str]"}
"""Names that Pydantic inserts into the location of an error for the members of a union."""
_TYPES: Final[Mapping[str, str]] = {
    "string": "must be a string",
    "int": "must be an integer",
    "float": "must be a number",
    "finite": "must be a finite number",
    "bool": "must be true or false",
    "list": "must be a list",
    "model": "must be an object",
    "dict": "must be an object",
}
_HTTP: Final[Mapping[int, tuple[str, str, str]]] = {
    404: ("not_found", "there is no route for this path", "see GET /openapi.json for all routes"),
    405: (
        "method_not_allowed",
        "this route does not support this method",
        "see GET /openapi.json for the methods of each route",
    ),
    413: ("too_large", "", "send less text"),
}


def invalid_request(path: str, errors: Sequence[Mapping[str, Any]]) -> RefusedError:
    """The refusal for a request that FastAPI found invalid, based on the clearest of its `errors`."""
    # If a field accepts text or a list and the list is too long, the first error reports only that it is not text.
    first = next((each for each in errors if each["type"] == "too_long"), errors[0])
    status, example = (400, _CHAT_EXAMPLE) if is_openai(path) else (422, _EXAMPLE)
    is_passage = path == "/passage"
    if is_passage:
        example = _PASSAGE_EXAMPLE
    kind, field = str(first["type"]), _field_name(first["loc"])
    if (field, kind) == ("query", "string_too_long"):
        message = f"the question is too long: the limit is {MAX_QUESTION_CHARS} characters"
        return RefusedError(status, message, code="question_too_long", hint="ask a shorter question", param=field)
    if kind == "json_invalid":
        return RefusedError(status, "the request body is not valid JSON", code="bad_request", hint=example)
    if not field:
        return RefusedError(status, "the request body is not a JSON object", code="bad_request", hint=example)
    message = _message(field, kind, first.get("ctx") or {})
    hint = _known_fields(first["loc"], is_passage=is_passage) if kind == "extra_forbidden" else example
    return RefusedError(status, message, code="bad_request", hint=hint, param=field)


def http_exception_refusal(path: str, status: int, detail: str) -> RefusedError:
    """The refusal for an HTTPException. Its message is `detail` only if this module has no message for `status`."""
    code, message, hint = _HTTP.get(status, ("bad_request", "the request body is not JSON in UTF-8", ""))
    hint = hint or (_CHAT_EXAMPLE if is_openai(path) else _EXAMPLE)
    return RefusedError(status, message or detail, code=code, hint=hint)


def _field_name(loc: Sequence[str | int]) -> str:
    """The path of the field at `loc`, such as `messages.0.role`, or "" for the whole body."""
    names = [str(each) for each in loc[1:] if str(each) not in _UNION_MEMBERS]
    if len(loc) == 2 and isinstance(loc[1], int):  # an offset in text that is not JSON
        return ""
    return ".".join(sanitise_line(name[:_MAX_NAME_CHARS]) for name in names)


def _message(field: str, kind: str, limits: Mapping[str, Any]) -> str:
    match kind:
        case "missing":
            return f"{field} is required"
        case "extra_forbidden":
            return f"unknown field {field!r}"
        case "greater_than_equal":
            return f"{field}: must be at least {limits['ge']:g}"
        case "less_than_equal":
            return f"{field}: must be at most {limits['le']:g}"
        case "string_too_long":
            return f"{field}: must have at most {limits['max_length']} characters"
        case "string_too_short":
            return f"{field}: must have at least {limits['min_length']} character"
        case "too_long":
            return f"{field}: must have at most {limits['max_length']} entries"
        case "too_short":
            return f"{field}: must have at least {limits['min_length']} entry"
        case "string_unicode":
            return f"{field}: contains surrogate characters"
    expected = next((words for name, words in _TYPES.items() if kind.startswith(f"{name}_")), "invalid value")
    return f"{field}: {expected}"


def _known_fields(loc: Sequence[str | int], *, is_passage: bool) -> str:
    """The hint for the unknown field at `loc`."""
    name = str(loc[-1])
    if loc[0] == "query" and name == "history" and not is_passage:
        return "send history in the body of a POST request"
    in_url = _PASSAGE_FIELDS if is_passage else _FIELDS
    fields = in_url if loc[0] == "query" else _BODY_FIELDS if len(loc) == 2 else _TURN_FIELDS
    close = difflib.get_close_matches(name.casefold(), fields, n=1)
    if name in {"q", "question"} and "query" in fields:
        close = ["query"]
    names = f"{', '.join(fields[:-1])} and {fields[-1]}"
    return f"did you mean {close[0]}? The fields are {names}" if close else f"use only the fields {names}"
