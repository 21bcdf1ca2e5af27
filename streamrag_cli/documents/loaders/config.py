"""Loads configuration files: `name = value` under `[sections]`, or blocks in braces (HCL, nginx, BIND)."""

import re
from typing import Final

from streamrag_cli.documents.loaders.code import licence_end
from streamrag_cli.documents.loaders.structured import NESTING, Entry, structured_document
from streamrag_cli.model import Document

_SECTION: Final = re.compile(r"[ \t]*\[([^\[\]\n]{1,200})\][ \t]*(?:[#;].*)?")
_BLOCK: Final = re.compile(r"([^\s#;{}][^{}\n]{0,300}?)[ \t]*+=?[ \t]*+\{[ \t]*+(?:(?:#|//).*)?")
_NAME: Final = re.compile(r"[ \t]*+([^\s=:#;][^=:\n]{0,300}?)[ \t]*+[=:]")
_COMMENT: Final = re.compile(r"[ \t]*(?:[#;!]|//)")
_LINE_CHARS: Final = 4000


def load_config(path: str, text: str) -> Document:
    root = Entry("")
    section = root
    open_blocks: list[Entry] = []
    comments: list[tuple[int, str]] = []
    lines = text.split("\n")
    first = licence_end(lines, ("#", ";", "//", "!"))
    for number, line in enumerate(map(str.rstrip, lines[first:]), first + 1):
        parent = open_blocks[-1] if open_blocks else section
        if not line.strip():
            continue
        if len(line) > _LINE_CHARS:
            parent.entries.append(Entry("", [*comments, (number, line)]))
        elif _COMMENT.match(line):
            comments.append((number, line))
            continue
        elif not open_blocks and (match := _SECTION.fullmatch(line)):
            section = Entry(match[1].strip(), [*comments, (number, line)])
            root.entries.append(section)
        elif (match := _BLOCK.fullmatch(line.strip())) and len(open_blocks) < NESTING:
            block = Entry(match[1].replace('"', ""), [*comments, (number, line)])
            parent.entries.append(block)
            open_blocks.append(block)
        elif line.strip().rstrip(";,") in {"}", "})"} and open_blocks:
            last = open_blocks.pop()
            if last.lines and not last.entries:
                last.lines.append((number, line))
            else:
                last.entries.append(Entry("", [(number, line)]))
        else:
            _add(parent, number, line, comments)
        comments = []
    (open_blocks[-1] if open_blocks else section).lines.extend(comments)
    return structured_document(path, root)


def _add(parent: Entry, number: int, line: str, comments: list[tuple[int, str]]) -> None:
    """Add a line to `parent`: a setting, or the continuation of the previous setting.

    A line continues the previous one if the previous one ends with a backslash, or if it is indented and not a setting.
    """
    last = parent.entries[-1] if parent.entries else None
    continues = (
        last is not None
        and last.lines
        and not comments
        and not last.entries
        and (
            last.lines[-1][1].endswith("\\")
            or (line[:1] in " \t" and not _NAME.match(line) and last.lines[-1][1][:1] not in " \t")
        )
    )
    if continues and last is not None:
        last.lines.append((number, line))
        return
    match = _NAME.match(line)
    parent.entries.append(Entry(match[1] if match else "", [*comments, (number, line)]))
