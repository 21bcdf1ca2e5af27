"""Converts HTML tables with header cells to text: one line per row, with column names and values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from streamrag_cli.documents.loaders.html_content import Element, Visibility
from streamrag_cli.documents.loaders.rows import row_text

MAX_COLUMNS: Final = 1000
_REPEATED_CHARS: Final = 200
"""The maximum length of a cell that is repeated in each row that it spans."""

_NOT_DATA: Final = frozenset({"table", "pre", "h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS_IN_CELLS: Final = frozenset({*_NOT_DATA, "ul", "ol", "dl", "blockquote"})
_INLINE: Final = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd", "mark", "q",
     "s", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"}
)  # fmt: skip


@dataclass(slots=True)
class _Cell:
    text: str
    is_header: bool
    columns: int
    rows: int


@dataclass(slots=True)
class _Row:
    line: int
    cells: list[_Cell]
    in_head: bool

    @property
    def is_header(self) -> bool:
        return self.in_head or all(cell.is_header for cell in self.cells)


def table_kind(table: Element, content: Visibility) -> Literal["data", "rows", "blocks"]:
    """Return the kind of a table, which determines how its text is read.

    A "data" table has header cells. A table of "rows" has no header cells, and its cells contain only inline text. Any
    other table is used for layout, and its cells are "blocks".
    """
    rows = [list(_cell_elements(row, content)) for row, _ in _row_elements(table, content)]
    if max((len(cells) for cells in rows), default=0) < 2:
        return "blocks"
    below = {each.tag for each in table.iter() if each is not table}
    if "th" in below and len(rows) > 1 and _NOT_DATA.isdisjoint(below):
        return "data"
    return "rows" if _BLOCKS_IN_CELLS.isdisjoint(below) else "blocks"


def table_lines(table: Element, content: Visibility) -> Iterator[tuple[str, int]]:
    """Yield the text and the line number of each row of a table with header cells."""
    rows = list(_rows(table, content))
    count = 0
    while count < len(rows) and rows[count].is_header:
        count += 1
    if count == len(rows):
        yield from ((" | ".join(cell.text for cell in row.cells if cell.text), row.line) for row in rows)
        return
    names = _column_names(rows[:count])
    for row, cells in zip(rows[count:], _grid(rows[count:]), strict=True):
        if text := _row_line(names, row, cells):
            yield text, row.line


def _row_line(names: Sequence[str], row: _Row, cells: Sequence[str]) -> str:
    filled = [column for column, text in enumerate(cells) if text]
    if len(filled) == 1 and (len(row.cells) == 1 or not any(names[filled[0] : filled[0] + 1])):
        return cells[filled[0]]  # a title above a group of rows, or the text of a box
    if not any(names) and row.cells[0].is_header and len(filled) == 2:
        return row_text([cells[filled[0]].rstrip(":")], [cells[filled[1]]])
    return row_text(names, cells)


def _column_names(rows: Sequence[_Row]) -> list[str]:
    """Return the column names. The names in several header rows are joined, as in "Price new"."""
    names: list[list[str]] = []
    for cells in _grid(rows, repeat=True):
        for column, text in enumerate(cells):
            if column == len(names):
                names.append([])
            if text and text not in names[column]:
                names[column].append(text)
    return [" ".join(words).rstrip(":") for words in names]


def _grid(rows: Sequence[_Row], *, repeat: bool = False) -> Iterator[list[str]]:
    """Yield the text of each row by column.

    A cell that spans rows is repeated in each of these rows. A cell that spans columns is only in the first of these
    columns or, with `repeat`, in each of them.
    """
    below: dict[int, tuple[int, str]] = {}
    for row in rows:
        cells: list[str] = []
        remaining: dict[int, tuple[int, str]] = {}
        for cell in row.cells:
            _take_from_above(cells, below, remaining)
            for number in range(min(cell.columns, MAX_COLUMNS - len(cells))):
                text = cell.text if repeat or not number else ""
                if cell.rows > 1:
                    remaining[len(cells)] = (cell.rows - 1, text if len(text) <= _REPEATED_CHARS else "")
                cells.append(text)
        _take_from_above(cells, below, remaining)
        below = remaining
        yield cells


def _take_from_above(
    cells: list[str], below: dict[int, tuple[int, str]], remaining: dict[int, tuple[int, str]]
) -> None:
    """Append the cells from earlier rows that extend down into the next columns of this row.

    Cells that also extend into the row below are added to `remaining`.
    """
    while len(cells) in below and len(cells) < MAX_COLUMNS:
        rows_left, text = below.pop(len(cells))
        if rows_left > 1:
            remaining[len(cells)] = (rows_left - 1, text)
        cells.append(text)


def _rows(table: Element, content: Visibility) -> Iterator[_Row]:
    line = table.sourceline or 1
    for element, in_head in _row_elements(table, content):
        line = element.sourceline or line
        cells = [
            _Cell(
                text=" ".join("".join(_cell_text(cell, content)).split()),
                is_header=cell.tag == "th",
                columns=_span(cell, "colspan"),
                rows=_span(cell, "rowspan"),
            )
            for cell in _cell_elements(element, content)
        ]
        if cells:
            yield _Row(line, cells, in_head)


def _row_elements(table: Element, content: Visibility) -> Iterator[tuple[Element, bool]]:
    """Yield each row, and whether it is in the table's `<thead>`."""
    for child in table:
        if child.tag == "tr" and content.is_shown(child):
            yield child, False
        elif child.tag in {"thead", "tbody", "tfoot"} and content.is_shown(child):
            yield from ((row, child.tag == "thead") for row in child if row.tag == "tr" and content.is_shown(row))


def _cell_elements(row: Element, content: Visibility) -> Iterator[Element]:
    return (cell for cell in row if cell.tag in {"td", "th"} and content.is_shown(cell))


def _cell_text(element: Element, content: Visibility) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if content.is_shown(child):
            space = "" if child.tag in _INLINE else " "
            yield space
            yield from _cell_text(child, content)
            yield space
        yield child.tail or ""


def _span(cell: Element, name: str) -> int:
    value = (cell.get(name) or "").strip()
    return max(1, min(int(value), MAX_COLUMNS)) if value.isascii() and value.isdigit() and len(value) < 6 else 1
