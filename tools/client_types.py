"""Generates `client.d.ts`, the TypeScript types of the JavaScript client, for `python -m tools.make_docs`.

The types of the events are generated from their classes. The other types are copied from `client_types.d.ts`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin

from streamrag_cli.codec import key_of, public_fields
from streamrag_cli.events import AskEvent, Event
from streamrag_cli.model import IF_SET, IN_OBJECTS, LOCAL

CLIENT_TYPES: Final = Path(__file__).resolve().parent.parent / "streamrag_cli" / "server" / "static" / "client.d.ts"
_WRITTEN: Final = Path(__file__).with_name("client_types.d.ts")
_ASK_EVENTS: Final = get_args(AskEvent)
_SCALARS: Final = {str: "string", int: "number", float: "number", bool: "boolean", NoneType: "null"}
_NOTES: Final[Mapping[str, str]] = {
    "Source": "A numbered passage that the answer may cite as `[n]`.",
    "Source.content": "An excerpt of at most 150 characters, followed by `...` if the passage is longer.",
    "Source.text": "The whole passage; only in the reply of `/search`.",
    "Source.matches": "The start and end, in code points, of each word of `content` that also occurs in the question.",
    "Source.score": "0 to 1, higher is better.",
    "Source.collection": "The collection of the source, if several collections were searched.",
    "Source.also": "Other documents with almost the same passage.",
    "Timings": "Milliseconds since the server accepted the question; null for a step that did not happen.",
    "TokenEvent": "The concatenated tokens are the answer.",
    "CitationsEvent": "`unknown`: numbers that the answer cites although no source has them. `unsupported`: numbers of"
    " sources that do not seem to support a sentence that cites them.",
    "ErrorEvent": "The last event of a stream that failed. Besides the server's codes, the client uses `unreachable`,"
    " `connection_lost`, `malformed`, and `http_STATUS` if the server sent no code.",
    "ErrorEvent.retry_after_s": "Seconds to wait before asking again, if the server sent them.",
}
"""Comments of the generated types, by class or field. The docstrings of the classes are for Python programmers."""


def client_types() -> str:
    """The content of `client.d.ts`."""
    classes = [*_values(), *_ASK_EVENTS]
    unknown = {note.partition(".")[0] for note in _NOTES} - set(map(_name, classes))
    assert not unknown, f"notes on unknown classes: {unknown}"
    every = " | ".join(map(_name, _ASK_EVENTS))
    events = "\n\n".join([*map(_interface, classes), f"export type RagEvent = {every};"])
    return _WRITTEN.read_text(encoding="utf-8").replace("EVENTS", events)


def _values() -> Iterator[type[Any]]:
    """The classes of the values in events, each once."""
    parts = [part for event in _ASK_EVENTS for each in public_fields(event) for part in _parts(each.type)]
    yield from dict.fromkeys(part for part in parts if is_dataclass(part))  # type: ignore[misc]


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind):
        yield from _parts(part)


def _name(kind: type[Any]) -> str:
    return f"{kind.__name__}Event" if issubclass(kind, Event) else kind.__name__


def _interface(kind: type[Any]) -> str:
    name = _name(kind)
    lines = [*_comment(_NOTES.get(name), ""), f"export interface {name} {{"]
    if issubclass(kind, Event):
        lines.append(f'  type: "{kind.kind}";')
        lines += [f"  {kind.kind}: true;"] if kind.is_own_key else []
    for each in public_fields(kind):
        if LOCAL not in each.metadata:
            optional = IF_SET in each.metadata or IN_OBJECTS in each.metadata
            lines += _comment(_NOTES.get(f"{name}.{key_of(each)}"), "  ")
            lines.append(f"  {key_of(each)}{'?' * optional}: {_type(each.type, without_null=optional)};")
    return "\n".join([*lines, "}"])


def _comment(note: str | None, indent: str) -> list[str]:
    if note is None:
        return []
    if len(note) <= 110:
        return [f"{indent}/** {note} */"]
    cut = note.rindex(" ", 0, 112)
    return [f"{indent}/**", f"{indent} * {note[:cut]}", f"{indent} * {note[cut + 1 :]}", f"{indent} */"]


def _type(kind: Any, *, without_null: bool = False) -> str:
    parts = get_args(kind)
    if isinstance(kind, UnionType):
        return " | ".join(_type(part) for part in parts if not (without_null and part is NoneType))
    if get_origin(kind) is Literal:
        return " | ".join(f'"{part}"' for part in parts)
    if get_origin(kind) is tuple:
        return f"{_type(parts[0])}[]" if parts[-1] is Ellipsis else f"[{', '.join(map(_type, parts))}]"
    if get_origin(kind) is Mapping:
        return f"Record<string, {_type(parts[1])}>"
    return _SCALARS.get(kind) or _name(kind)
