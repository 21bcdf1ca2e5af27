"""Builds a document's text line by line, and records the line number of each line in the file.

Formats with markup are converted to plain Markdown: `#` before a heading, fences around code, `- ` before a list item
or table row. Code that splits or quotes the text therefore has to handle only one kind of markup.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streamrag_cli.documents.loaders.rows import row_text
from streamrag_cli.documents.outline import Heading, clean_heading, only_top_heading, sections_from
from streamrag_cli.model import Document

_BACKTICKS = re.compile(r"`{3,}")


@dataclass(slots=True)
class Lines:
    """The text of a document under construction. Line numbers count from 1 and must be added in ascending order."""

    headings: list[Heading] = field(default_factory=list)
    length: int = 0
    _lines: list[str] = field(default_factory=list)
    _numbers: list[int] = field(default_factory=list)
    _blank_due: bool = False

    def add(self, text: str, number: int) -> None:
        """Add one line of text. A blank line ends the paragraph."""
        if not text.strip():
            self.blank()
            return
        if self._blank_due and self._lines:
            self._put("", number)
        self._blank_due = False
        self._put(text.rstrip(), number)

    def blank(self) -> None:
        """Put one blank line before the next line of text."""
        self._blank_due = True

    def heading(self, level: int, text: str, number: int) -> None:
        """Add a heading on a separate line. A heading without words only ends the previous section."""
        words = clean_heading(text)
        self.blank()
        start = self.length + (1 if self._lines else 0)
        if words:
            self.add(f"{'#' * min(level, 6)} {words}", number)
        self.headings.append(Heading(start=start if words else self.length, level=level, text=words))
        self.blank()

    def code(self, lines: Sequence[tuple[int, str]], language: str = "") -> None:
        """Add the (number, text) pairs in `lines` as fenced code, without leading and trailing blank lines."""
        first, last = 0, len(lines)
        while first < last and not lines[first][1].strip():
            first += 1
        while last > first and not lines[last - 1][1].strip():
            last -= 1
        if first == last:
            return
        shown = lines[first:last]
        longest = max((len(run) for _, text in shown for run in _BACKTICKS.findall(text)), default=2)
        fence = "`" * max(3, longest + 1)
        self.blank()
        self.add(f"{fence}{language}", shown[0][0])
        for number, text in shown:
            self._put(text.rstrip(), number)
        self._put(fence, shown[-1][0])
        self.blank()

    def rows(self, columns: Sequence[str], rows: Iterable[tuple[int, Sequence[str]]]) -> None:
        """Add the (number, cells) rows of a table, with the column names. Rows without text are omitted."""
        self.blank()
        for number, cells in rows:
            if line := row_text(columns, cells):
                self.add(line, number)
        self.blank()

    def document(self, path: str, *, title: str = "", summary: str = "", notes: tuple[str, ...] = ()) -> Document:
        """Build the document, divided at its headings. If `title` is "", the title is the only heading of level 1."""
        text = self.text
        return Document(
            path=path,
            text=text,
            title=title or only_top_heading(self.headings, text),
            summary=summary,
            sections=sections_from(self.headings, len(text)),
            line_numbers=self.numbers,
            notes=notes,
        )

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    @property
    def numbers(self) -> list[int]:
        """Return the line number in the file for each line of the text."""
        return self._numbers or [1]

    def _put(self, line: str, number: int) -> None:
        self.length += len(line) + (1 if self._lines else 0)
        self._lines.append(line)
        self._numbers.append(max(number, self._numbers[-1] if self._numbers else 1))


def closed_term(term: str, separator: str = ":") -> str:
    """Add `separator` to a term in a definition list, unless the term ends in a colon or question mark."""
    return term if term.endswith((":", "?")) else term + separator


class Edit(NamedTuple):
    """An edit that replaces the characters from `start` to `end` with `text`, which contains no line break."""

    start: int
    end: int
    text: str = ""


def edited(text: str, edits: Sequence[Edit]) -> tuple[str, Sequence[int]]:
    """Apply `edits`, which must be in order and not overlap. Returns the text and the original number of each line.

    Lines that become blank are removed.
    """
    if not edits:
        return text, range(1, text.count("\n") + 2)
    pieces: list[str] = []
    numbers: list[int] = [1]
    at, line, is_fresh = 0, 1, True
    for start, end, shown in _with_whole_lines(text, edits):
        unchanged = text[at:start]
        if unchanged:
            numbers[-1] = line if is_fresh else numbers[-1]
            breaks = unchanged.count("\n")
            numbers.extend(range(line + 1, line + breaks + 1))
            line += breaks
            is_fresh = unchanged.endswith("\n")
        pieces.append(unchanged)
        if shown:
            numbers[-1] = line if is_fresh else numbers[-1]
            is_fresh = False
            pieces.append(shown)
        line += text.count("\n", start, end)
        at = end
    rest = text[at:]
    numbers[-1] = line if is_fresh else numbers[-1]
    numbers.extend(range(line + 1, line + rest.count("\n") + 1))
    return "".join([*pieces, rest]), numbers


def _with_whole_lines(text: str, edits: Sequence[Edit]) -> list[Edit]:
    """Extend each edit that removes all text from its lines, so that it also removes the line break after them."""
    grown: list[Edit] = []
    floor = 0
    for edit in edits:
        start, end, shown = edit
        before = text.rfind("\n", 0, start) + 1
        after = text.find("\n", end)
        after = len(text) if after < 0 else after
        ends_a_line = end > start and text[end - 1] == "\n"
        if (
            not shown
            and not ends_a_line
            and before >= floor
            and not text[before:start].strip()
            and not text[end:after].strip()
        ):
            start, end = before, min(after + 1, len(text))
        grown.append(Edit(max(start, floor), end, shown))
        floor = end
    return grown
