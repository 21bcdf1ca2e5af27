"""Builds documents from structured files (YAML, JSON, TOML, XML, settings), which are divided at their keys.

Every format becomes a tree of entries, each with its own lines. An entry that is short enough, including its nested
entries, is one unit. A longer entry is divided into units under its name. Units are separated by blank lines and share
no lines, so a value never appears under the wrong name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document, Section

UNIT_CHARS: Final = 450
"""The maximum length of an entry that is one section. Longer entries are split, because sections are quoted as a whole.
The chunker merges short sections with the same parent."""

NAMING: Final = frozenset({"name", "id", "title", "key", "operationId", "uses", "host", "label", "term", "question"})
"""The keys whose value is used as the name of a list item, because list items have no key."""

NESTING: Final = 100
"""The maximum nesting depth. JSON and XML that is nested deeper is loaded as plain text. In other formats, deeper
blocks are part of the entry that contains them."""

_SHOWN_DEPTH: Final = 8


@dataclass(slots=True)
class Entry:
    """A key, list item or table. `lines` are its own (number, text) lines; `entries` are its nested entries.

    `chars` is the length of its own and all nested lines, set by `_measure`.
    """

    name: str
    lines: list[tuple[int, str]] = field(default_factory=list)
    entries: list["Entry"] = field(default_factory=list)
    is_item: bool = False
    chars: int = 0


def structured_document(path: str, root: Entry, *, is_multi_document: bool = False) -> Document:
    """Build a document from the entries of `root`, whose own name is not shown.

    With `is_multi_document`, each entry is a separate document in the same file.
    """
    _measure(root)
    lines: list[str] = []
    numbers: list[int] = []
    sections: list[Section] = []
    length = 0
    for names, unit in _units(root, -1 if is_multi_document else 0):
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
    """Yield (names of the ancestors and the entry, lines) for each entry that becomes a section, in file order."""
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
    """Whether `entry` is a list of records, either the whole file or a list in it.

    Each record becomes a separate unit, even if it is short.
    """
    return depth <= 0 or (depth == 1 and any(each.is_item and each.entries for each in entry.entries))


def _below(path: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Append `name` to `path`. From a very deep path, only the upper names and the last one are kept."""
    shown = clean_heading(name)
    return (*path[: _SHOWN_DEPTH - 1], shown) if shown else path


def _all_lines(entry: Entry) -> Iterator[tuple[int, str]]:
    pending = [entry]
    while pending:
        each = pending.pop()
        yield from (line for line in each.lines if line[1].strip())
        pending.extend(reversed(each.entries))
