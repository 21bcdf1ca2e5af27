"""Values as JSON and back, derived from their classes: the only serialiser of events and engine messages.

In public an event is a line of `--jsonl` and what the server sends after `data: `; only the names of sources depend on
who asks. An event carries its `type` and, among `status`, `sources`, `token`, `done` and `error`, only its own key, so
that a client can tell events apart by the key present. How a field is shown in public is said at the field.

In full, as a command and its engine say it to each other, a value has every field, and comes out as it went in.
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
from streamrag_cli.model import IF_SET, LOCAL, PRIVATE, ROUNDED_UP
from streamrag_cli.store.address import StoreUrl
from streamrag_cli.store.registry import open_store, store_address

Value = TypeVar("Value")
_EVENTS: Final = {each.__name__: each for each in EVENTS}
_READ_AS_IS: Final[Callable[[Any], Any]] = lambda said: said  # noqa: E731 - compared by identity
# DEL and C1, lone surrogates, bidirectional controls, zero width and tag characters
_UNSAFE: Final = re.compile(
    "[\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]"
)


class DecodeError(ValueError):
    """Data that is no value of the class it should be of."""


def to_json(event: Event) -> str:
    """One event as one line of JSON, without a newline at its end."""
    return encode(to_mapping(event))


def encode(value: object) -> str:
    """JSON as all of streamrag writes it: compact, one line, real characters rather than escapes.

    But what could command a terminal, or cannot be written as UTF-8, is escaped: names of files may hold it.
    """
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return line if line.isprintable() else _UNSAFE.sub(_escape, line)


def _escape(unsafe: re.Match[str]) -> str:
    units = unsafe.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def to_mapping(event: Event, *, paths: bool = False) -> dict[str, Any]:
    """An event in public; its sources have the absolute path on this machine only with `paths`."""
    head: dict[str, Any] = {"type": event.kind}
    if event.is_own_key:
        head[event.kind] = True
    return head | public(event, paths=paths)


def public(value: Any, *, paths: bool = False) -> dict[str, Any]:
    """A dataclass in public: its numbers are rounded to four decimals."""
    said: dict[str, Any] = {}
    for name, key, rules in _shown_fields(type(value)):  # type: ignore[arg-type]  # a class is hashable
        held = getattr(value, name)
        if rules and ((LOCAL in rules and not paths) or (IF_SET in rules and (held is None or held == ()))):
            continue
        if type(held) is str:  # most are, above all the tokens
            said[key] = held
        else:
            said[key] = ceil(held) if ROUNDED_UP in rules else _public(held, paths=paths)
    return said


def _public(value: Any, *, paths: bool) -> Any:
    match value:
        case str() | int() | None:
            return value
        case float():
            return round(value, 4)
        case tuple():
            return [_public(each, paths=paths) for each in value]
        case Mapping():
            return {name: _public(each, paths=paths) for name, each in value.items()}
        case _:
            return public(value, paths=paths) if is_dataclass(value) else value


@cache
def _shown_fields(kind: type[Any]) -> tuple[tuple[str, str, frozenset[str]], ...]:
    """Each field that may be shown: its name, its key, its rules."""
    return tuple((each.name, key_of(each), frozenset(each.metadata)) for each in public_fields(kind))


def public_fields(kind: type[Any]) -> list[Field[Any]]:
    """The fields of a dataclass that may be shown in public, in their order."""
    return [each for each in fields(kind) if PRIVATE not in each.metadata]


def key_of(shown: Field[Any]) -> str:
    """What a field is called in public."""
    return str(shown.metadata.get("key", shown.name))


def to_line(value: object) -> bytes:
    """A value in full, on one line with its end."""
    return json.dumps(value, default=_full, separators=(",", ":")).encode() + b"\n"


def event_line(event: Event) -> bytes:
    return to_line({"event": type(event).__name__} | _full(event))


def _full(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return open_store(value).with_secret() if isinstance(value, StoreUrl) else str(value)


def read_line(line: bytes) -> dict[str, Any]:
    """Raises DecodeError."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DecodeError("a line is no JSON") from error
    if not isinstance(said, dict):
        raise DecodeError("a line is no object")
    return said


def read_event(line: bytes) -> Event:
    """Raises DecodeError."""
    said = read_line(line)
    kind = _EVENTS.get(str(said.pop("event", "")))
    if kind is None:
        raise DecodeError("a line is no event")
    return from_full(kind, said)


def from_full(kind: type[Value], said: Mapping[str, Any]) -> Value:
    """The value of which `said` is all. Raises DecodeError."""
    try:
        value: Value = _reader(kind)(said)  # type: ignore[arg-type]  # a class is hashable
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise DecodeError(str(error)) from error
    return value


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What makes a value of a field's type of what JSON has of it."""
    parts = get_args(kind)
    if is_dataclass(kind):
        readers = {each.name: _reader(each.type) for each in fields(kind)}  # type: ignore[arg-type]  # so is a type
        deeper = {name: read for name, read in readers.items() if read is not _READ_AS_IS}
        make: Callable[..., Any] = kind  # type: ignore[assignment]
        return lambda said: make(**{**said, **{name: read(said[name]) for name, read in deeper.items()}})
    if get_origin(kind) is tuple:
        each_of = _reader(parts[0])
        return lambda said: tuple(map(each_of, said))
    if isinstance(kind, UnionType) and StoreUrl in parts:
        return store_address
    if isinstance(kind, UnionType):
        only = [read for part in parts if (read := _reader(part)) is not _READ_AS_IS]
        return (lambda said: None if said is None else only[0](said)) if only else _READ_AS_IS
    return _READ_AS_IS
