"""Loads JSON, including comments and JSON5 syntax, as indented lines `name: value` without quotes and escapes.

The file is read token by token, so that each output line has its line number in the file in any layout, and so that
the nesting depth can be limited. Text that is not JSON is loaded as plain text.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.documents.loaders.plain import load_plain
from streamrag_cli.documents.loaders.structured import NAMING, NESTING, Entry, structured_document
from streamrag_cli.model import Document
from streamrag_cli.text import NOT_TEXT, REPLACEMENT

_TOKEN: Final = re.compile(
    r"""(?P<string>"(?>[^"\\]+|\\.)*+"|'(?>[^'\\]+|\\.)*+')|(?P<mark>[{}\[\]:,])|(?P<comment>//[^\n]*|/\*.{0,5000}?\*/)"""
    r"""|(?P<word>[^\s{}\[\]:,"'/]++)""",
    re.DOTALL,
)
_CLOSING: Final = {"{": "}", "[": "]"}
_NAME_CHARS: Final = 100
_SHORT_CHARS: Final = 60
"""The maximum length of the values in a list that is written on one line."""


class _NotJsonError(Exception):
    """Raised if the text is not valid JSON or JSON5, or is nested too deeply."""


def load_json(path: str, text: str) -> Document:
    root = Entry("")
    try:
        _Reader(text, root, line=1).read()
    except _NotJsonError:
        return load_plain(path, text)
    return structured_document(path, root)


def load_json_lines(path: str, text: str) -> Document:
    """Load JSON Lines, each line as a record. A line that is not JSON is loaded as plain text."""
    root = Entry("")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        records = Entry("")
        try:
            _Reader(line, records, line=number, in_list=True).read()
        except _NotJsonError:
            records.entries = [Entry("", [(number, f"- {line.strip()}")])]
        root.entries.extend(records.entries)
    return structured_document(path, root)


@dataclass(slots=True)
class _Frame:
    """An object or list whose end has not been read yet. `indent` precedes each of its lines.

    `dash` is the item marker before the first line of an object in a list. `values` collects successive plain values of
    a list, which are written together.
    """

    closing: str
    entry: Entry
    indent: str
    dash: str = ""
    key: tuple[str, int] | None = None
    values: list[tuple[int, str]] = field(default_factory=list)

    @property
    def is_list(self) -> bool:
        return self.closing == "]"


class _Reader:
    """Adds the values in a text to the entries of `root`. With `in_list`, each value is a list item."""

    def __init__(self, text: str, root: Entry, *, line: int, in_list: bool = False) -> None:
        self._text = text
        self._line = line
        self._frames = [_Frame("]" if in_list else "", root, "")]
        self._value: tuple[str, int] | None = None  # the last string or word, which may be a key or a value
        self._is_complete = False  # a value has ended, and no comma has followed it

    def read(self) -> None:
        at = 0
        for match in _TOKEN.finditer(self._text):
            if self._text[at : match.start()].strip():
                raise _NotJsonError
            self._line += self._text.count("\n", at, match.start())
            if match.lastgroup == "mark":
                self._mark(match[0])
            elif match.lastgroup != "comment":
                self._begin_value()
                self._value = (_decoded(match[0]) if match.lastgroup == "string" else match[0], self._line)
            self._line += match[0].count("\n")
            at = match.end()
        self._end_value()
        if len(self._frames) > 1 or self._text[at:].strip():
            raise _NotJsonError
        self._write_values(self._frames[0])

    def _mark(self, mark: str) -> None:
        frame = self._frames[-1]
        if mark in _CLOSING:
            self._begin_value()
            self._open(frame, mark)
        elif mark == ":":
            if self._value is None or frame.key is not None or frame.closing != "}":
                raise _NotJsonError
            frame.key, self._value, self._is_complete = self._value, None, False
        else:
            self._end_value()
            self._is_complete = mark != ","
            if mark != ",":
                self._close(mark)

    def _begin_value(self) -> None:
        if self._value is not None or (self._is_complete and len(self._frames) > 1):
            raise _NotJsonError  # two values without a comma between them

    def _end_value(self) -> None:
        if self._value is None:
            return
        (text, number), self._value = self._value, None
        frame = self._frames[-1]
        if frame.closing == "}":
            if frame.key is None:
                raise _NotJsonError
            self._write(frame, frame.key[0], text, frame.key[1])
            frame.key = None
        elif frame.is_list:
            frame.values.append((number, text))
        else:
            self._write(frame, "", text, number)

    def _open(self, frame: _Frame, mark: str) -> None:
        if len(self._frames) > NESTING or (frame.closing == "}" and frame.key is None):
            raise _NotJsonError
        closing = _CLOSING[mark]
        if frame.is_list:
            self._write_values(frame)
            item = Entry(f"[{len(frame.entry.entries) + 1}]", is_item=True)
            frame.entry.entries.append(item)
            self._frames.append(_Frame(closing, item, frame.indent + "  ", dash=frame.dash + "- "))
        elif frame.key is not None:
            entry = Entry(frame.key[0], [(frame.key[1], self._first(frame) + f"{frame.key[0]}:")])
            frame.entry.entries.append(entry)
            frame.key = None
            self._frames.append(_Frame(closing, entry, frame.indent + ("" if mark == "[" else "  ")))
        else:
            self._frames.append(_Frame(closing, frame.entry, frame.indent))

    def _close(self, mark: str) -> None:
        frame = self._frames.pop()
        if frame.closing != mark or frame.key is not None or not self._frames:
            raise _NotJsonError
        if frame.is_list:
            self._write_values(frame)
        if not frame.entry.entries and frame.entry.lines and frame.entry.lines[-1][1].endswith(":"):
            number, line = frame.entry.lines[-1]
            frame.entry.lines[-1] = (number, f"{line} {'[]' if mark == ']' else '{}'}")

    def _write(self, frame: _Frame, name: str, text: str, number: int) -> None:
        """Add a value with its name to `frame`. Line breaks in the value are kept."""
        first, *rest = text.split("\n")
        begin = f"{self._first(frame)}{name}: {first}" if name else self._first(frame) + first
        frame.entry.entries.append(
            Entry(name, [(number, begin), *((number, f"{frame.indent}  {each}") for each in rest)])
        )
        if name in NAMING and frame.entry.name.startswith("[") and len(text) <= _NAME_CHARS:
            frame.entry.name = text

    def _write_values(self, frame: _Frame) -> None:
        """Write the collected values of a list, on one line if all are short, else as one item each."""
        values, frame.values = frame.values, []
        if not values:
            return
        is_short = all(len(text) <= _SHORT_CHARS and "\n" not in text for _, text in values)
        owner = frame.entry.lines[-1] if frame.entry.lines else None
        if is_short and not frame.entry.entries and owner and owner[1].endswith(":"):
            frame.entry.lines[-1] = (owner[0], f"{owner[1]} {', '.join(text for _, text in values)}")
        elif is_short and frame.dash:
            frame.entry.lines.append((values[0][0], self._first(frame) + ", ".join(text for _, text in values)))
        else:
            for number, text in values:
                first, *rest = text.split("\n")
                lines = [(number, f"{frame.indent}- {first}"), *((number, f"{frame.indent}  {each}") for each in rest)]
                frame.entry.entries.append(Entry(f"[{len(frame.entry.entries) + 1}]", lines))

    def _first(self, frame: _Frame) -> str:
        """Return the indentation and item marker of the next line of `frame`."""
        dash, frame.dash = frame.dash, ""
        return frame.indent[: len(frame.indent) - len(dash)] + dash


def _decoded(token: str) -> str:
    """Return the value of a string token. Invalid escapes are kept."""
    if "\\" not in token and token[0] == '"':
        return token[1:-1]
    try:
        value = json.loads('"' + re.sub(r"\\'", "'", token[1:-1]).replace("\n", "\\n") + '"', strict=False)
    except ValueError:
        return token[1:-1]
    return NOT_TEXT.sub(REPLACEMENT, str(value).replace("\r\n", "\n").replace("\r", "\n"))
