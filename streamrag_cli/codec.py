"""Serialises events and engine messages; their dataclasses define the format.

The public form of an event is a line in `--jsonl`. The server sends the same line after `data: `, but may shorten the
names of sources. An event has the key `type` and at most one of the keys `status`, `sources`, `token`, `done` and
`error`, so that a client can distinguish events by key. A field's metadata defines its public form.

The full form, which a command and its engine exchange, contains every field and can be decoded without loss.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, is_dataclass
from functools import cache
from math import ceil
from types import UnionType
from typing import Any, Final, TypeVar, get_args, get_origin

from streamrag_cli.events import EVENTS, Event
from streamrag_cli.model import IF_SET, IN_OBJECTS, LOCAL, PRIVATE, ROUNDED_UP
from streamrag_cli.store.address import StoreUrl
from streamrag_cli.store.registry import open_store, store_address

Value = TypeVar("Value")
_EVENTS: Final = {each.__name__: each for each in EVENTS}
_IDENTITY: Final[Callable[[Any], Any]] = lambda value: value  # noqa: E731 - compared by identity
# DEL, C1 controls, bidirectional controls, zero-width characters, lone surrogates and tag characters
_UNSAFE: Final = re.compile(
    "[\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]"
)


class DecodeError(ValueError):
    """The data cannot be decoded as the expected class."""


def to_json(event: Event) -> str:
    """Return the public form of an event as one line of JSON without a trailing newline."""
    return encode(to_mapping(event))


def encode(value: object) -> str:
    """Return compact JSON on one line, with printable non-ASCII characters unescaped.

    Characters that could control a terminal or are not valid in UTF-8 are escaped, because file names may contain them.
    """
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return line if line.isprintable() else _UNSAFE.sub(_escape, line)


def _escape(unsafe: re.Match[str]) -> str:
    units = unsafe.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def to_mapping(event: Event, *, paths: bool = False, texts: bool = False) -> dict[str, Any]:
    """Return the public form of an event. Sources include their absolute paths only if `paths` is True, and their
    texts only if `texts` is True.
    """
    head: dict[str, Any] = {"type": event.kind}
    if event.is_own_key:
        head[event.kind] = True
    return head | public(event, paths=paths, texts=texts)


def public(value: Any, *, paths: bool = False, texts: bool = False) -> dict[str, Any]:
    """Return the public form of a dataclass instance. Floats are rounded to four decimals."""
    result: dict[str, Any] = {}
    for name, key, rules in _shown_fields(type(value)):  # type: ignore[arg-type]  # a class is hashable
        content = getattr(value, name)
        if rules and (
            (LOCAL in rules and not paths)
            or (IN_OBJECTS in rules and not texts)
            or (IF_SET in rules and (content is None or content == ()))
        ):
            continue
        if type(content) is str:  # the most frequent case, because of tokens
            result[key] = content
        else:
            result[key] = ceil(content) if ROUNDED_UP in rules else _public(content, paths=paths, texts=texts)
    return result


def _public(value: Any, *, paths: bool, texts: bool) -> Any:
    match value:
        case str() | int() | None:
            return value
        case float():
            return round(value, 4)
        case tuple():
            return [_public(each, paths=paths, texts=texts) for each in value]
        case Mapping():
            return {name: _public(each, paths=paths, texts=texts) for name, each in value.items()}
        case _:
            return public(value, paths=paths, texts=texts) if is_dataclass(value) else value


@cache
def _shown_fields(kind: type[Any]) -> tuple[tuple[str, str, frozenset[str]], ...]:
    """Return the attribute name, JSON key and rules for each public field in a dataclass."""
    return tuple((each.name, key_of(each), frozenset(each.metadata)) for each in public_fields(kind))


def public_fields(kind: type[Any]) -> list[Field[Any]]:
    """Return a dataclass's public fields, in order."""
    return [each for each in fields(kind) if PRIVATE not in each.metadata]


def key_of(public_field: Field[Any]) -> str:
    """Return a public field's JSON key."""
    return str(public_field.metadata.get("key", public_field.name))


def to_line(value: object) -> bytes:
    """Return the full form of a value as one line that ends in a newline."""
    return json.dumps(value, default=_full, separators=(",", ":")).encode() + b"\n"


def event_line(event: Event) -> bytes:
    return to_line({"event": type(event).__name__} | _full(event))


def _full(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return open_store(value).with_secret() if isinstance(value, StoreUrl) else str(value)


def read_line(line: bytes) -> dict[str, Any]:
    """Decode a line as a JSON object. Raises DecodeError."""
    try:
        fields_by_name = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DecodeError("the line is not JSON") from error
    if not isinstance(fields_by_name, dict):
        raise DecodeError("the line is not a JSON object")
    return fields_by_name


def read_event(line: bytes) -> Event:
    """Decode the full form of an event. Raises DecodeError."""
    fields_by_name = read_line(line)
    kind = _EVENTS.get(str(fields_by_name.pop("event", "")))
    if kind is None:
        raise DecodeError("the JSON object is not a known event")
    return from_full(kind, fields_by_name)


def from_full(kind: type[Value], fields_by_name: Mapping[str, Any]) -> Value:
    """Build an object of the class `kind` from its full form. Raises DecodeError."""
    try:
        value: Value = _reader(kind)(fields_by_name)  # type: ignore[arg-type]  # a class is hashable
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise DecodeError(str(error)) from error
    return value


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """Return a function that converts a JSON value to the type `kind`."""
    parts = get_args(kind)
    if is_dataclass(kind):
        readers = {each.name: _reader(each.type) for each in fields(kind)}  # type: ignore[arg-type]  # a type is hashable
        nested = {name: read for name, read in readers.items() if read is not _IDENTITY}
        make: Callable[..., Any] = kind  # type: ignore[assignment]
        return lambda data: make(**{**data, **{name: read(data[name]) for name, read in nested.items()}})
    if get_origin(kind) is tuple:
        read_item = _reader(parts[0])
        return lambda data: tuple(map(read_item, data))
    if isinstance(kind, UnionType) and StoreUrl in parts:
        return store_address
    if isinstance(kind, UnionType):
        readers_of_parts = [read for part in parts if (read := _reader(part)) is not _IDENTITY]
        return (lambda data: None if data is None else readers_of_parts[0](data)) if readers_of_parts else _IDENTITY
    return _IDENTITY
