"""Detects whether a chunk begins inside fenced code. Long code is split, and the previous chunk is not available.

A fence with a language is an opening one. A fence without a language opens if it follows a blank line and precedes
code, and closes if it follows code and precedes a blank line. A chunk without fences is code if most of its lines can
only be code.
"""

import re
from collections.abc import Sequence
from typing import Final

FENCE: Final = re.compile(r"[ \t>]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^`]*$")

_CODE_LINE: Final = re.compile(
    r"\s*(?:[$%]\s|//|/\*|\*/|#(?!#)\s|--\s|[})\]]+[,;]?$|<[/!?\w][^<>]*>|@\w+"
    r"|(?:import|from|def|class|return|if|elif|else|for|while|try|except|func|fn|let|const|var|public|private|"
    r"static|export|package|using|namespace|SELECT|INSERT|CREATE)\b(?=.*[(){};:=\"'./*])"
    r"|[\"'][\w.-]+[\"']:|[\w.\[\]\"'-]+(?:\([^()]*\))?\s?(?:[-+|:]?=|=>|:=)\s?\S|[a-z_][\w.-]*:(?:\s\S+){0,3}$"
    r"|\[[\w.\"-]+\]$|[\w.]+\(.*\)?[;,{:]?$)"
    r"|.*(?:[{};\\]|\(\)|\),?|=>|->)$|\s{2,}-\s[\w.-]+:(?:\s\S+){0,3}$"
)
_PROSE_LINE: Final = re.compile(r"[\s>*_-]*[A-Z][\w`*'\u2019-]*(?:[ ]+[^\s{}=<>;]+){4,}[.!?:]$")
_MARKDOWN: Final = re.compile(r"`[^`\s][^`]*`|\*\*\w|\]\([^()\s]+\)|\]\[|^[-*+>]\s|^\d+[.)]\s", re.MULTILINE)
_HEADING_OR_COMMENT: Final = re.compile(r"#{1,6}\s")
_CODE_SHARE: Final = 0.7
_HALF: Final = 0.5
_MIN_CODE_LINES: Final = 3


def starts_inside_code(text: str) -> bool:
    """Whether `text`, a chunk of Markdown, begins with code whose opening fence is in an earlier chunk."""
    lines = text.split("\n")
    fences = [(number, match) for number, line in enumerate(lines) if (match := FENCE.match(line))]
    if not fences:
        return _is_code(lines)
    at, first = fences[0]
    if first[2] or not at or any(map(_PROSE_LINE.match, lines[max(0, at - 2) : at])):
        return False
    if len(fences) > 1 and fences[1][1][2] and len(fences[1][1][1]) >= len(first[1]):
        return True
    follows_code = bool(lines[at - 1].strip())
    precedes_code = at + 1 < len(lines) and bool(lines[at + 1].strip())
    if follows_code != precedes_code:
        return follows_code
    if not any(line.strip() for line in lines[at + 1 :]):
        return True
    end = fences[1][0] if len(fences) > 1 else len(lines)
    before = [line for line in lines[:at] if not _HEADING_OR_COMMENT.match(line)]
    return _code_share(before) > max(_code_share(lines[at + 1 : end]), _HALF)


def _is_code(lines: Sequence[str]) -> bool:
    filled = [line for line in lines if line.strip()]
    if len(filled) < _MIN_CODE_LINES or any(_PROSE_LINE.match(line) or _MARKDOWN.search(line) for line in filled):
        return False
    return _code_share(lines) >= _CODE_SHARE


def _code_share(lines: Sequence[str]) -> float:
    filled = [line for line in lines if line.strip()]
    return sum(1 for line in filled if _CODE_LINE.match(line)) / len(filled) if filled else 0.0
