"""From a list of headings to the sections of a document."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from streamrag_cli.model import Section

HEADING_CHARS: Final = 160
"""A heading path goes in front of every chunk; a "heading" of a thousand words would drown the text."""

_JUDGED_CHARS: Final = 4000
_NOT_PROSE: Final = re.compile(r"<[^<>]*>|!?\[[^\[\]]*\]\([^()]*\)|[=*_~`#^\"'+-]{3,}")
"""Badges, logos and rulings may stand above a title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading whose first line starts at character `start`. `level` 1 is the highest."""

    start: int
    level: int
    text: str


def clean_heading(text: str) -> str:
    """A heading or title on one line, without the sign that marks a link to it, at most `HEADING_CHARS` long."""
    folded = " ".join(text[: HEADING_CHARS * 8].split()).rstrip("¶ ")
    return folded if len(folded) <= HEADING_CHARS else folded[: HEADING_CHARS - 1].rstrip() + "…"


def sections_from(headings: Iterable[Heading], text_length: int, *, start: int = 0) -> tuple[Section, ...]:
    """Cut `start` to `text_length` at `headings`, which are in order of `start`.

    A heading without text ends the section before it and adds nothing to the path.
    """
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    for heading in headings:
        if heading.start > start:
            sections.append(_section(start, heading.start, path))
            start = heading.start
        while path and path[-1][0] >= heading.level:
            path.pop()
        if heading.text:
            path.append((heading.level, heading.text))
    if text_length > start:
        sections.append(_section(start, text_length, path))
    return tuple(sections)


def only_top_heading(headings: Sequence[Heading], text: str = "") -> str:
    """The title that headings give a document: the first one's text, if no other is as high and no prose precedes it.

    A heading below the first level is a part's, not the whole's: what such a page is called is its file's name.

    >>> only_top_heading([Heading(start=0, level=1, text="Guide"), Heading(start=9, level=2, text="Use")], "# Guide")
    'Guide'
    """
    if not headings or headings[0].level > 1 or any(heading.level <= 1 for heading in headings[1:]):
        return ""
    above = text[: min(headings[0].start, _JUDGED_CHARS)]
    return "" if re.search(r"\w", _NOT_PROSE.sub("", _NOT_PROSE.sub("", above))) else headings[0].text


def line_starts(text: str) -> list[int]:
    """The offset at which each line of `text` begins, and one past the end for the line after the last."""
    return [0, *(match.end() for match in re.finditer("\n", text)), len(text)]


def _section(start: int, end: int, path: Iterable[tuple[int, str]]) -> Section:
    return Section(start=start, end=end, headings=tuple(text for _, text in path))
