"""Divides the text of a book into chapters by the table of contents, and each chapter by its headings."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from streamrag_cli.documents.outline import Heading
from streamrag_cli.model import Section

_Labels: TypeAlias = tuple[str, ...]
_WORD: Final = re.compile(r"\w+")
_LINE: Final = re.compile(r"[^\n]+")
_ANY_TEXT: Final = re.compile(r"\S")


class Mark(NamedTuple):
    """The offset in the text at which an entry of the table of contents begins, and the entry's number and labels."""

    offset: int
    number: int
    labels: _Labels


def chapter_sections(text: str, marks: Sequence[Mark], headings: Sequence[Heading], title: str) -> tuple[Section, ...]:
    """Return the sections of a book. Their headings do not include its `title`."""
    sections: list[Section] = []
    starts: list[tuple[int, _Labels]] = [(0, ()), *_starts(text, marks, headings)]
    for (start, labels), (end, _) in pairwise([*starts, (len(text), ())]):
        shown = tuple(each for each in labels if each.casefold() != title.casefold())
        if sections and sections[-1].headings == shown:
            sections[-1] = replace(sections[-1], end=end)
        elif end > start:
            sections.append(Section(start=start, end=end, headings=shown))
    return tuple(sections)


def _starts(text: str, marks: Sequence[Mark], headings: Sequence[Heading]) -> Iterator[tuple[int, _Labels]]:
    """Yield the offset and the headings of each section. An entry precedes a heading at the same offset."""
    chapter = _Chapter()
    waiting = list(reversed(headings))
    for mark in [*sorted(marks), None]:
        while waiting and (mark is None or waiting[-1].start < mark.offset):
            heading = waiting.pop()
            chapter.add(heading, text)
            yield heading.start, chapter.labels
        if mark is not None:
            chapter.begin(mark.labels, mark.offset)
            yield mark.offset, chapter.labels


class _Chapter:
    """The current entry of the table of contents, and the current headings below it."""

    def __init__(self) -> None:
        self._labels: _Labels = ()
        self._headings: list[Heading] = []
        self._level = 0  # the level of the headings that repeat the entry, or 0
        self._title_end = -1  # the end offset of the headings directly below the entry; -1 after other text

    @property
    def labels(self) -> _Labels:
        return (*self._labels, *(each.text for each in self._headings if each.text))

    def begin(self, labels: _Labels, offset: int) -> None:
        self._labels, self._headings, self._level, self._title_end = labels, [], 0, offset

    def add(self, heading: Heading, text: str) -> None:
        if self._labels and self._is_title(heading, text):
            self._level = self._level or heading.level
            self._title_end = _line_end(text, heading.start)
            return
        if heading.level <= self._level:  # a chapter that the table of contents does not list
            self.begin((*self._labels[:-1], heading.text), _line_end(text, heading.start))
            self._level = heading.level
            return
        while self._headings and self._headings[-1].level >= heading.level:
            self._headings.pop()
        self._headings.append(heading)

    def _is_title(self, heading: Heading, text: str) -> bool:
        """Whether a heading only repeats the current entry: `Chapter 1` and `Loomings` repeat `1. Loomings`."""
        if self._title_end < 0 or _ANY_TEXT.search(text, self._title_end, heading.start):
            self._title_end = -1
            return False
        words = _words(heading.text)
        return any(words <= label or label <= words for label in map(_words, self._labels) if label)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _line_end(text: str, start: int) -> int:
    """Return the end offset of the first line with text at or after `start`."""
    match = _LINE.search(text, start)
    return match.end() if match else len(text)
