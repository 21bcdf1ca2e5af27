"""Sentences of a chunk, fit to be quoted: markup removed, headings and rulings left out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streamrag_cli.documents.formats import TextKind

MAX_CHARS: Final = 500
_FENCE = re.compile(r"^[ \t]*(```|~~~)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_RECORD = re.compile(r"^[ \t]*[{}]")
_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d{1,3}[.)]|\|)[ \t]+")
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]|^[\s=\-~^\"'*+#_`.:|]*$")
_COLUMN = re.compile(r"(?<=[^\s.!?:])[ \t]{3,}(?=\S)")
_UNDERLINE = re.compile(r"^([=\-~^\"'*+#_`.:])\1{2,}[ \t]*$")
_DASHES = re.compile(r"^(?:-[ \t]+)+")
_VALUE = re.compile(r"[\w\"'/.$@<{-][^:=\n]{0,80}[:=]")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\((?:[^()\n]|\([^()\n]*\))*\)")
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,200}>")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)([^*\n]+?)(?<=\S)\1(?![\w*])")
_END = re.compile(r"(?<=[.!?])[\"')\]\u201d\u2019]*\s+(?=[\"'(\[\u201c\u2018`]*[A-Z0-9\u00c0-\u00de\u0400-\u042f])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|approx|Mr|Mrs|Ms|Dr|Prof|St|No|Fig|Eq|Inc|Ltd|Co|Jr|Sr|Gen|Col|Lt|Rev|Mt|ca)|"
    r"\b[A-Z])\.[\"')\]]*\s*$"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, without markup, on one line."""

    text: str


def sentences(text: str, kind: TextKind = "prose") -> Iterator[Sentence]:
    """The sentences of `text`; each line of a program's output is one, and each record, with the names of its values.

    Code counts only where there is no prose; what is too long is cut at a word.
    """
    if kind == "records":
        found = list(_records(text))
    else:
        prose = _FENCE.sub(_output_lines, text)
        found = [sentence for block in _blocks(prose) for sentence in _split(_plain(block))]
    if not found:
        found = [line for line in text.splitlines() if re.search(r"\w", line)]
    for each in found:
        shown = _shortened(" ".join(each.split()))
        if len(re.findall(r"\w+", shown)) > 1:
            yield Sentence(shown)


def _output_lines(fence: re.Match[str]) -> str:
    """The lines of a fenced output as paragraphs; nothing of other fences, which hold code."""
    is_output = fence[0].split("\n", 1)[0].strip().lstrip("`~") == "output"
    return "\n\n" + "\n\n".join(fence[2].splitlines()) + "\n\n" if is_output else "\n\n"


def _records(text: str) -> Iterator[str]:
    """Each block between blank lines, or from one item at the margin to the next, as one line."""
    for block in re.split(r"\n[ \t]*\n|\n(?=- )", text):
        shown = ""
        for line in block.split("\n"):
            words = _DASHES.sub("", line.strip())
            is_more = not shown or shown.endswith(":") or not _VALUE.match(words)
            shown += f"{' ' if is_more else '; '}{words}"
        if shown.strip():
            yield shown.strip()


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs, list items and table rows, each as one string; headings and rulings are dropped."""
    block: list[str] = []
    lines = text.split("\n")
    for line, following in zip([*lines, ""], [*lines[1:], "", ""], strict=True):
        starts_item = _ITEM.match(line) or _COLUMN.search(line) or _RECORD.match(line)
        skipped = not line.strip() or _HEADING.match(line) or (_UNDERLINE.match(following) and not block)
        if (skipped or starts_item) and block:
            yield " ".join(block)
            block = []
        if not skipped:
            block.append(_COLUMN.sub(" | ", _ITEM.sub("", line).strip().rstrip("|")))


def _plain(block: str) -> str:
    """The block as it reads: link texts, no tags, no emphasis marks, no escapes."""
    without = _EMPHASIS.sub(r"\2", _TAG.sub("", _LINK.sub(r"\1", block)))
    return _ESCAPE.sub(r"\1", without).replace("`", "")


def _split(block: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(block):
        if not _ABBREVIATION.search(block[start : match.end()].rstrip()):
            yield block[start : match.end()].strip()
            start = match.end()
    if block[start:].strip():
        yield block[start:].strip()


def _shortened(sentence: str) -> str:
    if len(sentence) <= MAX_CHARS:
        return sentence
    return sentence[:MAX_CHARS].rsplit(" ", 1)[0] + " ..."
