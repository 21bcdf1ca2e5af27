"""Loads TOML line by line: each key under the path of its table."""

import re
from typing import Final

from streamrag_cli.documents.loaders.code import licence_end
from streamrag_cli.documents.loaders.structured import Entry, structured_document
from streamrag_cli.model import Document

_TABLE: Final = re.compile(r"[ \t]*\[{1,2}([^\[\]\n]{1,500})\]{1,2}[ \t]*(?:#.*)?")
_KEY: Final = re.compile(r"""[ \t]*+("[^"\n]{0,300}"|'[^'\n]{0,300}'|[\w.\-][\w.\- ]{0,299}?)[ \t]*+=(.*)""")
_PART: Final = re.compile(r"""[ \t]*+("[^"]*+"|'[^']*+'|[^.\"'\s][^.\"']*+)[ \t]*+(?:\.|$)""")
_STRING: Final = re.compile(r"""\"(?:[^"\\\n]|\\.)*\"|'[^'\n]*'|#[^\n]*""")
_LINE_CHARS: Final = 4000


def load_toml(path: str, text: str) -> Document:
    root = Entry("")
    table = root
    tables: dict[tuple[str, ...], Entry] = {(): root}
    comments: list[tuple[int, str]] = []
    lines = text.split("\n")
    at = licence_end(lines, ("#",))
    while at < len(lines):
        line, number = lines[at], at + 1
        at += 1
        if not line.strip():
            continue
        if line.lstrip().startswith("#"):
            comments.append((number, line.rstrip()))
        elif len(line) <= _LINE_CHARS and (match := _TABLE.fullmatch(line)):
            table = _table(tables, tuple(part.strip().strip("\"'") for part in _PART.findall(match[1])), line)
            table.lines.extend([*comments, (number, line.rstrip())])
            comments = []
        elif len(line) <= _LINE_CHARS and (match := _KEY.match(line)):
            end = _value_end(lines, at, match[2])
            own = [(each + 1, lines[each].rstrip()) for each in range(at, end)]
            table.entries.append(Entry(match[1].strip().strip("\"'"), [*comments, (number, line.rstrip()), *own]))
            comments, at = [], end
        else:
            table.lines.extend([*comments, (number, line.rstrip())])
            comments = []
    table.lines.extend(comments)
    return structured_document(path, root)


def _table(tables: dict[tuple[str, ...], Entry], names: tuple[str, ...], line: str) -> Entry:
    """Add an entry for the table `names` to its parent's entry. Each table of an array gets a separate entry."""
    names = names[:8]
    parent = tables[()]
    for depth in range(1, len(names)):
        if names[:depth] not in tables:
            break
        parent = tables[names[:depth]]
    is_new = names not in tables or line.lstrip().startswith("[[")
    if is_new:
        depth = next(depth for depth in range(len(names) - 1, -1, -1) if names[:depth] in tables)
        parent = tables[names[:depth]]
        tables[names] = Entry(".".join(names[depth:]))
        parent.entries.append(tables[names])
    return tables[names]


def _value_end(lines: list[str], at: int, value: str) -> int:
    """Return the index of the line after a value that begins with `value` and may span several lines."""
    for quotes in ('"""', "'''"):
        if value.strip().startswith(quotes):
            if quotes in value.strip()[3:]:
                return at
            end = next((each for each in range(at, len(lines)) if quotes in lines[each]), -1)
            return at if end < 0 else end + 1
    depth = _depth(value)
    end = at
    while depth > 0 and end < len(lines) and not _TABLE.fullmatch(lines[end]):
        depth += _depth(lines[end])
        end += 1
    return end


def _depth(line: str) -> int:
    plain = _STRING.sub("", line[:_LINE_CHARS])
    return sum(plain.count(mark) for mark in "[{") - sum(plain.count(mark) for mark in "]}")
