"""Builds a document's sections from its headings."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from streamrag_cli.model import Section

HEADING_CHARS: Final = 160
"""The maximum length of a heading. Headings are embedded with every chunk, so a long one would outweigh the text."""

_CHECKED_CHARS: Final = 4000
_NOT_PROSE: Final = re.compile(r"<[^<>]*>|!?\[[^\[\]]*\]\([^()]*\)|[=*_~`#^\"'+-]{3,}")
"""The markup of badges, logos and horizontal rules, which may precede a title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading. `start` is the offset of its first line in the text; `level` 1 is the highest."""

    start: int
    level: int
    text: str


def clean_heading(text: str) -> str:
    """Return a heading or title on one line, without a permalink sign (¶), cut to `HEADING_CHARS` characters."""
    folded = " ".join(text[: HEADING_CHARS * 8].split()).rstrip("¶ ")
    return folded if len(folded) <= HEADING_CHARS else folded[: HEADING_CHARS - 1].rstrip() + "…"


def sections_from(headings: Iterable[Heading], text_length: int) -> tuple[Section, ...]:
    """Return the sections of a text with `text_length` characters, divided at `headings`, which are sorted by `start`.

    A heading without text ends the previous section and adds nothing to the heading path.
    """
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    start = 0
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
    """Return the only level 1 heading if it is the first heading and no prose precedes it, else "".

    It is the document's title. A heading at a lower level is not, because it names only a part of the document.

    >>> only_top_heading([Heading(start=0, level=1, text="Guide"), Heading(start=9, level=2, text="Use")], "# Guide")
    'Guide'
    """
    if not headings or headings[0].level > 1 or any(heading.level <= 1 for heading in headings[1:]):
        return ""
    above = text[: min(headings[0].start, _CHECKED_CHARS)]
    return "" if re.search(r"\w", _NOT_PROSE.sub("", _NOT_PROSE.sub("", above))) else headings[0].text


def line_starts(text: str) -> list[int]:
    """Return the offset at which each line of `text` begins, followed by the length of the text."""
    return [0, *(match.end() for match in re.finditer("\n", text)), len(text)]


def _section(start: int, end: int, path: Iterable[tuple[int, str]]) -> Section:
    return Section(start=start, end=end, headings=tuple(text for _, text in path))
