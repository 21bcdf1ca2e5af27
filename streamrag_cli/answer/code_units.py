"""Splits source code into units to quote: comments without comment marks, and paragraphs of code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.answer.passages import MAX_BLOCK_LINES, AttachedBlock, fenced

_COMMENT: Final = re.compile(
    r"[ \t]*(?:#(?!\[|[ \t]*(?:define|if|ifdef|ifndef|else|elif|endif|include|pragma|undef)\b)"
    r"|//+[!/]?|--+(?=\s)|;+(?=\s)|%+(?=\s)|/\*+|\*+/|\*(?=\s|$))[ \t]?"
)
_DOCSTRING: Final = re.compile(r"[rRbBuUfF]{0,2}(\"\"\"|''')")
_CLOSING: Final = re.compile(r"[ \t]*(?:\*+/|-+\*/)[ \t]*$")


@dataclass(slots=True)
class CodeUnit:
    """Lines of a comment without comment marks, or unchanged lines of code. `line` is the index of the first line."""

    is_comment: bool
    line: int
    lines: list[str] = field(default_factory=list)

    @property
    def as_block(self) -> AttachedBlock:
        return fenced(self.lines, "")


def code_units(text: str) -> Iterator[CodeUnit]:
    """The comments and paragraphs in source code, in order. Code with more than 12 lines becomes several units."""
    unit: CodeUnit | None = None
    docstring = ""
    in_block = False
    for number, line in enumerate(text.split("\n")):
        is_comment, words = True, line.strip()
        if docstring:
            if docstring in words:
                words, docstring = words.replace(docstring, "", 1), ""
        elif (opening := _DOCSTRING.match(words)) is not None:
            words = words[opening.end() :]
            if opening[1] in words:
                words = words.replace(opening[1], "", 1)
            else:
                docstring = opening[1]
        elif in_block or _COMMENT.match(line):
            in_block = (in_block or words.startswith("/*")) and "*/" not in words
            words = _CLOSING.sub("", _COMMENT.sub("", line, count=1)).strip()
        else:
            is_comment, words = False, line.rstrip()
        is_full = unit is not None and not unit.is_comment and len(unit.lines) == MAX_BLOCK_LINES
        if unit and (not words.strip() or unit.is_comment != is_comment or is_full):
            yield unit
            unit = None
        if words.strip():
            unit = unit or CodeUnit(is_comment, number)
            unit.lines.append(words)
    if unit:
        yield unit
