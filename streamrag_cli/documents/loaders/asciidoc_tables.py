"""Reads AsciiDoc tables: the lines between two delimiters become rows of cells.

`cols=` sets the number of columns, or else the first line with cells does. The cells of a row may be on one line or
several. A cell that spans columns is followed by empty cells. A cell that spans rows is repeated in each of them,
unless its text is long.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_CELL: Final = re.compile(
    r"(?<!\\)(?:(?<!\S)(?:(?P<columns>\d+)?(?:\.(?P<rows>\d+))?(?P<factor>[+*]))?[<^>]?(?:\.[<^>])?[aehlmdsv]?)?"
)
_COLUMNS: Final = re.compile(r"\bcols\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s,\]]+))")
_REPEATED: Final = re.compile(r"\s*(\d+)\*")
_FORMAT: Final = re.compile(r"\bformat\s*=\s*[\"']?(csv|tsv|dsv)\b")
_SEPARATOR: Final = re.compile(r"\bseparator\s*=\s*(?:\"([^\"]+)\"|'([^']+)'|([^\s,\]]+))")
_SEPARATORS: Final = {"csv": ",", "tsv": "\t", "dsv": ":"}
_OPTION: Final = re.compile(r"%(no)?header\b|\b(?:options|opts)\s*=\s*[\"']?[\w,\s-]*?\b(no)?header\b")
_MARKUP_LINE: Final = re.compile(r"(?:-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|!={3,}|--|\+|\[[^\[\]]*\])[ \t]*")
_ITEM_MARK: Final = re.compile(r"^[ \t]*(?:[*.]{1,5}|-)[ \t]+(?=\S)")
_MAX_COLUMNS: Final = 100
_REPEATED_CHARS: Final = 200
_MAX_REPEATED: Final = 10_000
"""The maximum number of repeated cells in a table, so that a table cannot become too large."""
_MAX_ROWS_SPANNED: Final = 1000

Row = tuple[int, list[str]]
"""A row: the number of the line on which it begins, and its cells."""


class Table(NamedTuple):
    header: list[str]
    rows: list[Row]


def read_table(source: Sequence[tuple[int, str]], mark: str, attributes: str) -> Table:
    """Read a table from the (number, text) lines in `source`. Its `header` is empty if no row names the columns.

    `mark` is the character of the table's delimiter. `attributes` is the content of the attribute lines above it.
    """
    if match := _FORMAT.search(attributes):
        mark = _SEPARATORS[match[1]]
    if match := _SEPARATOR.search(attributes):
        mark = (match[1] or match[2] or match[3]).replace("\\t", "\t")
    width = _column_count(attributes)
    shown = [each for each in source if not (each[1].startswith("//") and not each[1].startswith("///"))]
    rows = list(_separated(shown, mark) if mark in {",", ":", "\t"} else _rows(shown, mark, width))
    if len(rows) > 1 and _has_header(shown, rows, attributes, is_sized=bool(width)):
        return Table(rows[0][1], rows[1:])
    return Table([], rows)


def _column_count(attributes: str) -> int:
    """Return the number of columns that `cols=` sets, or 0 if it is missing."""
    match = _COLUMNS.search(attributes)
    if not match:
        return 0
    count = 0
    for column in re.split(r"[,;]", (match[1] or match[2] or match[3] or "").strip().rstrip(",;")):
        repeated = _REPEATED.match(column)
        count += int(repeated[1][:4]) if repeated else 1
    return min(count, _MAX_COLUMNS)


def _has_header(source: Sequence[tuple[int, str]], rows: Sequence[Row], attributes: str, *, is_sized: bool) -> bool:
    """Whether the first row is a header.

    The table's `attributes` may determine that. Otherwise, the first row is a header if `cols=` is missing (`is_sized`
    is false), or if it is a single line followed by a blank line.
    """
    if option := _OPTION.search(attributes):
        return not (option[1] or option[2])
    if not is_sized:
        return True
    first, second = rows[0][0], rows[1][0]
    between = [line for number, line in source if first < number < second]
    return bool(source) and source[0][0] == first and bool(between) and not any(line.strip() for line in between)


class _Cell(NamedTuple):
    line: int
    parts: list[str]
    columns: int = 1
    rows: int = 1


def _rows(source: Sequence[tuple[int, str]], mark: str, width: int) -> Iterator[Row]:
    cells, in_first_line = _cells(source, mark)
    width = width or sum(cell.columns for cell in cells[:in_first_line])
    row: list[str] = []
    first_line = 0
    from_above: dict[
        int, tuple[int, str]
    ] = {}  # by column: the number of following rows that a cell spans, and its text
    for cell in cells:
        first_line = first_line if row else cell.line
        text = " ".join(filter(None, cell.parts))
        repeated = text if len(text) <= _REPEATED_CHARS else ""
        _fill(row, from_above)
        for at in range(cell.columns):
            if cell.rows > 1:
                from_above[len(row)] = (cell.rows - 1, "" if at else repeated)
            row.append("" if at else text)
        _fill(row, from_above)
        if len(row) >= width:
            yield first_line, row
            row = []
    if row:
        yield first_line, row


def _fill(row: list[str], from_above: dict[int, tuple[int, str]]) -> None:
    """Append the cells from earlier rows that extend down into the next columns of `row`."""
    while len(row) in from_above:
        rows, text = from_above.pop(len(row))
        if rows > 1:
            from_above[len(row)] = (rows - 1, text)
        row.append(text)


def _cells(source: Sequence[tuple[int, str]], mark: str) -> tuple[list[_Cell], int]:
    """Return the cells in order, and the number of cells on the first line with cells."""
    pattern = re.compile(_CELL.pattern + re.escape(mark))
    cells: list[_Cell] = []
    in_first_line = repeated = 0
    for number, line in source:
        if not line.strip() or _MARKUP_LINE.fullmatch(line):
            continue
        marks = list(pattern.finditer(line))
        before = _ITEM_MARK.sub("", line[: marks[0].start()] if marks else line).strip()
        if before and cells:
            cells[-1].parts.append(before)
        for match, following in zip(marks, [*marks[1:], None], strict=False):
            text = line[match.end() : following.start() if following else len(line)].strip()
            columns = min(int((match["columns"] or "1")[:4]), _MAX_COLUMNS)
            rows = min(int((match["rows"] or "1")[:4]), _MAX_ROWS_SPANNED)
            text = text.replace(f"\\{mark}", mark)
            if repeated >= _MAX_REPEATED:
                columns = rows = 1
            repeated += columns * rows - 1
            if match["factor"] == "*":
                times = columns if len(text) <= _REPEATED_CHARS else 1
                cells.extend(_Cell(number, [text]) for _ in range(times))
            else:
                cells.append(_Cell(number, [text], columns, rows))
        in_first_line = in_first_line or len(cells)
    return cells, in_first_line


def _separated(source: Sequence[tuple[int, str]], mark: str) -> Iterator[Row]:
    for number, line in source:
        if not line.strip():
            continue
        try:
            cells = next(csv.reader([line], delimiter=mark, skipinitialspace=True))
        except csv.Error:
            cells = line.split(mark)
        yield number, [cell.strip() for cell in cells]
