"""Loads tables of separated values (CSV, TSV). Each row becomes one line, such as `- product: cleat; price: 4`.

Sections never divide a row.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from streamrag_cli.documents.loaders.rows import (
    SNIFFED_ROWS,
    column_names,
    header_candidate,
    looks_like_header,
    row_text,
)
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document, Section

LARGE_CHARS: Final = 500_000
LONG_RUN_CHARS: Final = 3000
SHORT_ROW_CHARS: Final = 200
"""The average row length below which a large table is split into long chunks. Full-text search still finds one row
among ten thousand, because it indexes all rows; the built-in embedding covers only the first 256 tokens."""

_RUN_CHARS: Final = 250
_SNIFFED_CHARS: Final = 20_000
_MAX_RECORD_LINES: Final = 100
_MAX_FAILURES: Final = 100
_CUT_ROW_CHARS: Final = 1000
_DELIMITERS: Final = "\t;|,"
_SEPARATOR_LINE: Final = "sep="


def load_table(path: str, text: str) -> Document:
    # Spreadsheet programs may write a line such as `sep=;` at the beginning.
    skipped = text.find("\n") + 1 if text[:4].casefold() == _SEPARATOR_LINE else 0
    body = text[skipped:]
    delimiter = text[4:5] if skipped and text[4:5] in _DELIMITERS else _delimiter(body[:_SNIFFED_CHARS], path)
    rows = _rows(body, delimiter, first_line=1 + text.count("\n", 0, skipped))
    return _document(path, [(number, cells) for number, cells in rows if any(cell.strip() for cell in cells)])


def _document(path: str, rows: list[tuple[int, list[str]]]) -> Document:
    header = _header_position(rows)
    columns = column_names(rows[header][1]) if header >= 0 else []
    title, lines = "", list[tuple[int, str]]()
    for number, cells in rows[: max(header, 0)]:
        words = [cell.strip() for cell in cells if cell.strip()]
        title = title or (clean_heading(words[0]) if len(words) == 1 else "")
        lines.append((number, "- " + "; ".join(" ".join(word.split()) for word in words)))
    lines += ((number, row_text(columns, cells)) for number, cells in rows[header + 1 :])
    if not lines and header >= 0:
        lines = [(rows[header][0], "- " + "; ".join(filter(None, columns)))]
    text = "".join(line + "\n" for _, line in lines)
    numbers = [number for number, _ in lines]
    return Document(
        path=path,
        text=text,
        title=title,
        sections=_sections([line for _, line in lines]),
        line_numbers=[*numbers, *(numbers[-1:] or [1])],
    )


def _header_position(rows: list[tuple[int, list[str]]]) -> int:
    """Return the index of the header row among the first rows; -1 if there is no header."""
    position = header_candidate([cells for _, cells in rows[:SNIFFED_ROWS]])
    below = [cells for _, cells in rows[position + 1 : position + SNIFFED_ROWS]]
    return position if position >= 0 and looks_like_header(rows[position][1], below) else -1


def _delimiter(sample: str, path: str) -> str:
    """Return the delimiter that divides the most lines into the same number of cells, at least two."""
    best, best_rating = "," if PurePath(path).suffix.casefold() == ".csv" else "\t", (0.0, 0)
    for mark in _DELIMITERS:
        try:
            widths = [len(cells) for cells in csv.reader(io.StringIO(sample, newline=""), delimiter=mark) if cells]
        except csv.Error:
            continue
        widths = widths[:SNIFFED_ROWS]
        width, count = (
            Counter(width for width in widths if width > 1).most_common(1)[0] if max(widths, default=1) > 1 else (1, 0)
        )
        rating = (count / len(widths) if count else 0.0, width if count else 0)
        if rating > best_rating:
            best, best_rating = mark, rating
    return best


def _rows(text: str, delimiter: str, *, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and cells of each row. An unclosed quotation mark affects only its own line."""
    lines = [line + "\n" for line in text.split("\n")]
    at = failures = 0
    while at < len(lines) and failures < _MAX_FAILURES:
        source = _CountingLines(lines, at)
        reader = csv.reader(source, delimiter=delimiter)
        try:
            for cells in reader:
                if source.at - at > _MAX_RECORD_LINES:
                    break
                yield first_line + at, cells
                at = source.at
        except csv.Error:
            pass
        if at < len(lines):
            yield first_line + at, _plain_cells(lines[at], delimiter)
            at += 1
            failures += 1
    for number, line in enumerate(lines[at:], at):
        yield first_line + number, _plain_cells(line, delimiter)


class _CountingLines:
    """Iterates over the lines from index `at`, which is always the index of the next line."""

    def __init__(self, lines: list[str], at: int) -> None:
        self._lines = lines
        self.at = at

    def __iter__(self) -> "_CountingLines":
        return self

    def __next__(self) -> str:
        if self.at == len(self._lines):
            raise StopIteration
        self.at += 1
        return self._lines[self.at - 1]


def _plain_cells(line: str, delimiter: str) -> list[str]:
    return line.rstrip("\n").replace('"', "").split(delimiter)


def _sections(lines: list[str]) -> tuple[Section, ...]:
    """Divide the lines into sections of whole rows. A row too long for a chunk has its first cell as its heading."""
    chars = sum(len(line) + 1 for line in lines)
    is_short = SHORT_ROW_CHARS * len(lines) >= chars > LARGE_CHARS
    max_chars = LONG_RUN_CHARS if is_short else _RUN_CHARS
    sections: list[Section] = []
    start = end = 0
    for line in lines:
        length = len(line) + 1
        if end > start and end + length - start > max_chars:
            sections.append(Section(start=start, end=end, is_whole=is_short))
            start = end
        end += length
        if length > _CUT_ROW_CHARS:
            sections.append(Section(start=start, end=end, headings=(clean_heading(line[2:].partition("; ")[0]),)))
            start = end
    if end > start:
        sections.append(Section(start=start, end=end, is_whole=is_short))
    return tuple(sections)
