"""Structured files (YAML, JSON, TOML, XML, settings): cut at keys, under the path of keys that leads there.

Whatever the format, it becomes a tree of entries, each with lines of its own. An entry that is short enough with all
that is in it is one unit; of a longer one the parts are, under its name. Units are set apart by a blank line, and none
has another's lines, so a value never stands under a name that is not its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document, Section

UNIT_CHARS: Final = 450
"""A unit is what is quoted, so it is short; the chunker puts small neighbours of one parent together."""

NAMING: Final = frozenset({"name", "id", "title", "key", "operationId", "uses", "host", "label", "term", "question"})
"""What identifies an item of a list, which has no key."""

NESTING: Final = 100
"""Deeper entries stay with the one that far up."""

_SHOWN_DEPTH: Final = 8


@dataclass(slots=True)
class Entry:
    """A key, an item of a list or a table: what it is called, its own lines (number, text), and what is in it.

    `chars` counts its own lines and all that is in it, once `measured`.
    """

    name: str
    lines: list[tuple[int, str]] = field(default_factory=list)
    entries: list["Entry"] = field(default_factory=list)
    is_item: bool = False
    chars: int = 0


def structured_document(path: str, root: Entry, *, of_files: bool = False) -> Document:
    """The document of all that is in `root`, whose own name is not shown. With `of_files` each entry is a file's."""
    _measure(root)
    lines: list[str] = []
    numbers: list[int] = []
    sections: list[Section] = []
    length = 0
    for names, unit in _units(root, -1 if of_files else 0):
        start = length
        for number, text in unit:
            lines.append(text)
            numbers.append(max(number, numbers[-1] if numbers else 1))
            length += len(text) + 1
        lines.append("")
        numbers.append(numbers[-1])
        length += 1
        sections.append(Section(start=start, end=length, headings=names))
    text = "".join(line + "\n" for line in lines)
    return Document(
        path=path, text=text, title="", sections=tuple(sections), line_numbers=[*numbers, *(numbers[-1:] or [1])]
    )


def _measure(root: Entry) -> None:
    order = [root]
    for entry in order:
        order.extend(entry.entries)
    for entry in reversed(order):
        entry.chars = sum(len(text) + 1 for _, text in entry.lines) + sum(each.chars for each in entry.entries)


def _units(root: Entry, depth: int) -> Iterator[tuple[tuple[str, ...], list[tuple[int, str]]]]:
    """(path of names, lines) of each unit, in the order of the file."""
    pending: list[tuple[Entry, tuple[str, ...], int]] = [(root, (), depth)]
    while pending:
        entry, path, depth = pending.pop()
        if not entry.entries or (entry.chars <= UNIT_CHARS and not _is_list_of_records(entry, depth)):
            if lines := list(_all_lines(entry)):
                yield path, lines
            continue
        if any(text.strip() for _, text in entry.lines):
            yield path, entry.lines
        pending.extend((each, _below(path, each.name), depth + 1) for each in reversed(entry.entries))


def _is_list_of_records(entry: Entry, depth: int) -> bool:
    """Whether the parts are units however short all of it is: what the file consists of, or a list in it."""
    return depth <= 0 or (depth == 1 and any(each.is_item and each.entries for each in entry.entries))


def _below(path: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Of a very deep path the upper names and the last are kept."""
    shown = clean_heading(name)
    return (*path[: _SHOWN_DEPTH - 1], shown) if shown else path


def _all_lines(entry: Entry) -> Iterator[tuple[int, str]]:
    pending = [entry]
    while pending:
        each = pending.pop()
        yield from (line for line in each.lines if line[1].strip())
        pending.extend(reversed(each.entries))
