"""Splits structured data (YAML, JSON, XML, tables) into records, each of which is quoted as one sentence.

Records are separated by blank lines or top-level list items. If a record contains several parts with the same field
names, such as the items of a nested list, each part is a separate record, preceded by the names above it. Otherwise,
a value could be read as that of another part.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

_SEPARATOR: Final = re.compile(r"\n[ \t]*\n|\n(?=- )")
_DASHES: Final = re.compile(r"^(?:-[ \t]+)+")
_VALUE: Final = re.compile(r"[\w\"'/.$@<{-][^:=\n]{0,80}[:=]")
_NAME: Final = re.compile(r"[^:=]{1,80}(?=[:=])")


@dataclass(slots=True)
class _Node:
    """A line with the lines that are indented below it. `number` is the index of the line in the chunk."""

    text: str
    number: int
    indent: float
    children: list["_Node"] = field(default_factory=list)
    has_alike_parts: bool = False
    """Whether two parts with the same field names are below this line, or below one line of its parts."""

    @property
    def names(self) -> set[str]:
        """The field names of this part."""
        own = [self.text] if self.text.startswith("-") else []
        lines = [_DASHES.sub("", text) for text in (*own, *(child.text for child in self.children))]
        return {match[0] for line in lines if (match := _NAME.match(line))}


def records(text: str) -> Iterator[tuple[str, int]]:
    """Each record as one line, with the index of its first line in `text`."""
    at = number = 0
    for match in [*_SEPARATOR.finditer(text), None]:
        block = text[at : match.start() if match else len(text)]
        for lines, first in _parts(_tree(block.split("\n"), number), []):
            if record := _joined(lines):
                yield record, first
        if match:
            number += block.count("\n") + match[0].count("\n")
            at = match.end()


def _tree(lines: Sequence[str], first_number: int) -> _Node:
    root = _Node("", first_number, -1)
    nodes = [root]
    open_nodes = [root]
    for number, line in enumerate(lines, first_number):
        stripped = line.strip()
        if not stripped:
            continue
        # A list may have the same indentation as the name above it.
        indent = len(line) - len(line.lstrip()) + (0.5 if stripped.startswith("- ") else 0)
        while open_nodes[-1].indent >= indent:
            open_nodes.pop()
        node = _Node(stripped, number, indent)
        open_nodes[-1].children.append(node)
        open_nodes.append(node)
        nodes.append(node)
    for node in reversed(nodes):  # a part comes before the lines above it
        parts = [child for child in node.children if child.children]
        names = Counter(name for part in parts for name in part.names)
        node.has_alike_parts = max(names.values(), default=0) > 1 or any(part.has_alike_parts for part in parts)
    return root


def _parts(node: _Node, above: Sequence[str]) -> Iterator[tuple[list[str], int]]:
    """Each record in `node`: its lines, preceded by the lines that contain it, and the index of its first line."""
    if not node.has_alike_parts:
        yield [*above, *_lines(node)], node.number
        return
    path = [*above, node.text]
    leaves = [child for child in node.children if not child.children]
    if leaves:
        yield [*path, *(leaf.text for leaf in leaves)], leaves[0].number
    for child in node.children:
        if child.children:
            yield from _parts(child, path)


def _lines(node: _Node) -> Iterator[str]:
    below = [node]
    while below:
        node = below.pop()
        yield node.text
        below.extend(reversed(node.children))


def _joined(lines: Sequence[str]) -> str:
    shown = ""
    for line in filter(None, lines):
        words = _DASHES.sub("", line)
        is_continuation = not shown or shown.endswith(":") or not _VALUE.match(words)
        shown += f"{' ' if is_continuation else '; '}{words}"
    return shown.strip()
