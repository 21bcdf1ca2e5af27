"""What is wrong with a request, in our words: the framework's say "Extra inputs are not permitted".

Of the request itself only names of fields are repeated, cut short: its values may hold what no JSON can.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from streamrag_cli.answer.pipeline import MAX_QUESTION_CHARS
from streamrag_cli.server.replies import RefusedError, is_openai
from streamrag_cli.server.requests import QueryParameters
from streamrag_cli.text import sanitise_line

_MOST_NAME_CHARS: Final = 40
_FIELDS: Final = tuple(QueryParameters.model_fields)
_EXAMPLE: Final = (
    'send Content-Type: application/json and a body such as {"query": "How long is the warranty?", "k": 3}'
)
_CHAT_EXAMPLE: Final = (
    "send Content-Type: application/json and a body such as"
    ' {"model": "streamrag", "messages": [{"role": "user", "content": "How long is the warranty?"}]}'
)
_NAMES_OF_ALTERNATIVES: Final = {"str", "list[Part]", "list[constrained-str]", "list[str]"}
"""Pydantic puts the alternative of a union into the place of an error."""
_TYPES: Final[Mapping[str, str]] = {
    "string": "has to be text",
    "int": "has to be a whole number",
    "float": "has to be a number",
    "finite": "has to be a finite number",
    "bool": "has to be true or false",
    "list": "has to be a list",
    "model": "has to be an object",
    "dict": "has to be an object",
}
_HTTP: Final[Mapping[int, tuple[str, str, str]]] = {
    404: ("not_found", "there is nothing at this address", "GET /openapi.json lists all addresses"),
    405: ("method_not_allowed", "this address does not take the method", "GET /openapi.json lists what it takes"),
    413: ("too_large", "", "send less text"),
}


def invalid(path: str, errors: Sequence[Mapping[str, Any]]) -> RefusedError:
    """The refusal of a request that FastAPI could not read, from the first of its `errors`."""
    # Of an alternative that is a list of too many, the first error says only that it is no text.
    first = next((each for each in errors if each["type"] == "too_long"), errors[0])
    status, example = (400, _CHAT_EXAMPLE) if is_openai(path) else (422, _EXAMPLE)
    kind, where = str(first["type"]), _place(first["loc"])
    if (where, kind) == ("query", "string_too_long"):
        message = f"the question is too long: at most {MAX_QUESTION_CHARS} characters are read"
        return RefusedError(status, message, code="question_too_long", hint="ask a shorter question", param=where)
    if kind == "json_invalid":
        return RefusedError(status, "the body is not valid JSON", code="bad_request", hint=example)
    if not where:
        return RefusedError(status, "the body is not a JSON object", code="bad_request", hint=example)
    message = _fault(where, kind, first.get("ctx") or {})
    hint = _known_fields(where) if kind == "extra_forbidden" else example
    return RefusedError(status, message, code="bad_request", hint=hint, param=where)


def refused_by_framework(path: str, status: int, detail: str) -> RefusedError:
    """The refusal for an HTTPException, whose words are kept only if they are ours."""
    code, message, hint = _HTTP.get(status, ("bad_request", "the body cannot be read as JSON in UTF-8", ""))
    hint = hint or (_CHAT_EXAMPLE if is_openai(path) else _EXAMPLE)
    return RefusedError(status, message or detail, code=code, hint=hint)


def _place(loc: Sequence[str | int]) -> str:
    """`messages.0.role`; empty for the body as a whole."""
    names = [str(each) for each in loc[1:] if str(each) not in _NAMES_OF_ALTERNATIVES]
    if len(loc) == 2 and isinstance(loc[1], int):  # a position in text that is not JSON
        return ""
    return ".".join(sanitise_line(name[:_MOST_NAME_CHARS]) for name in names)


def _fault(where: str, kind: str, limits: Mapping[str, Any]) -> str:
    match kind:
        case "missing":
            return f"{where}: is missing"
        case "extra_forbidden":
            return f"there is no field {where!r}"
        case "greater_than_equal":
            return f"{where}: has to be at least {limits['ge']:g}"
        case "less_than_equal":
            return f"{where}: has to be at most {limits['le']:g}"
        case "string_too_long":
            return f"{where}: may have at most {limits['max_length']} characters"
        case "too_long":
            return f"{where}: may have at most {limits['max_length']} entries"
        case "too_short":
            return f"{where}: has to have at least {limits['min_length']} entry"
        case "string_unicode":
            return f"{where}: contains surrogate characters, which are not text"
    expected = next((words for name, words in _TYPES.items() if kind.startswith(f"{name}_")), "cannot be read")
    return f"{where}: {expected}"


def _known_fields(name: str) -> str:
    close = difflib.get_close_matches(name.casefold(), _FIELDS, n=1) or (["query"] if name in {"q", "question"} else [])
    fields = f"{', '.join(_FIELDS[:-1])} and {_FIELDS[-1]}"
    return f"did you mean {close[0]}? The fields are {fields}" if close else f"the fields are {fields}"
