"""Converts OpenDocument tables: one line per row, with the column names if there is a header row.

A table with only one column or row, or with long texts in most cells, counts as layout and is read as text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from streamrag_cli.documents.loaders.grid import MAX_COLUMNS, grid_text, head_rows
from streamrag_cli.documents.loaders.odf_styles import Styles

_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_ROW_GROUPS: Final = (f"{_TABLE}table-rows", f"{_TABLE}table-row-group", f"{_TABLE}table-header-rows")
_CELLS: Final = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_HIDDEN: Final = frozenset({"collapse", "filter"})
_LONG_CELL_CHARS: Final = 400


class _Reader(Protocol):
    def blocks(self, container: Iterable[Any]) -> Iterator[tuple[int, str]]: ...


@dataclass(slots=True)
class _Cell:
    """A table cell. `own`, `nested` and `all` are (heading level, text) pairs: the cell's own blocks, the blocks of
    nested tables, and both in order.
    """

    own: list[tuple[int, str]] = field(default_factory=list)
    nested: list[tuple[int, str]] = field(default_factory=list)
    all: list[tuple[int, str]] = field(default_factory=list)
    columns: int = 1
    rows: int = 1
    is_covered: bool = False

    @property
    def text(self) -> str:
        """The cell's own blocks on one line, without list markers."""
        return " ".join(" ".join(text.strip().removeprefix("- ") for _, text in self.own).split())


class Table:
    def __init__(self, table: Any, reader: _Reader, styles: Styles) -> None:
        elements = list(_rows(table))
        self._rows = [[_cell(cell, reader) for cell in row if cell.tag in _CELLS] for row in elements]
        self._header_rows = len(list(table.iterfind(f"{_TABLE}table-header-rows/{_TABLE}table-row")))
        self._is_marked = bool(elements) and _has_heading_style(elements[0], styles)

    def blocks(self) -> Iterator[tuple[int, str]]:
        """Yield the (heading level, text) pairs of this table and the tables nested in it.

        If the table is used for layout, these are the pairs of the blocks in its cells.
        """
        grid = list(self._grid())
        if len(grid) < 2 or max(map(len, grid)) < 2 or self._has_block_cells():
            yield from (block for row in self._rows for cell in row for block in cell.all)
            return
        head = self._header_rows if self._header_rows < len(grid) else 0
        if text := grid_text(grid, head or head_rows(grid, is_marked=self._is_marked)):
            yield -1, text
        yield from (block for row in self._rows for cell in row for block in cell.nested)

    def _grid(self) -> Iterator[list[str]]:
        """Yield the text of each row by column, without empty cells at its end.

        A cell that spans rows is repeated in each of these rows. A cell that spans columns is only in the first of
        them.
        """
        spanning: dict[int, tuple[int, str]] = {}  # by column: the last row and the text of a cell that spans rows
        for number, row in enumerate(self._rows):
            cells: list[str] = []
            for cell in row:
                columns = min(cell.columns, MAX_COLUMNS - len(cells))
                if cell.is_covered:
                    spans = (spanning.get(column, (-1, "")) for column in range(len(cells), len(cells) + columns))
                    cells.extend([text if number <= last else "" for last, text in spans])
                    continue
                if cell.rows > 1:
                    spanning[len(cells)] = (number + cell.rows - 1, cell.text)
                cells.extend([cell.text] * columns)
            while cells and not cells[-1]:
                cells.pop()
            yield cells

    def _has_block_cells(self) -> bool:
        """Whether most cells contain several blocks and more than 400 characters, as in a table used for layout."""
        cells = [cell for row in self._rows for cell in row if not cell.is_covered]
        long = sum(len(cell.own) > 1 and len(cell.text) > _LONG_CELL_CHARS for cell in cells)
        return 2 * long > len(cells)


def _rows(table: Any) -> Iterator[Any]:
    for child in table:
        if child.tag == f"{_TABLE}table-row" and child.get(f"{_TABLE}visibility") not in _HIDDEN:
            yield child
        elif child.tag in _ROW_GROUPS:
            yield from _rows(child)


def _cell(element: Any, reader: _Reader) -> _Cell:
    cell = _Cell(
        columns=_number(element, "number-columns-repeated"),
        rows=_number(element, "number-rows-spanned"),
        is_covered=element.tag == f"{_TABLE}covered-table-cell",
    )
    for child in element:
        blocks = list(reader.blocks((child,)))
        cell.all += blocks
        if child.tag == f"{_TABLE}table":
            cell.nested += blocks
        else:
            cell.own += blocks
    return cell


def _has_heading_style(row: Any, styles: Styles) -> bool:
    paragraphs = [each for each in row.iter(f"{_TEXT}p") if len(each) or each.text]
    return bool(paragraphs) and all(
        styles.paragraph(each.get(f"{_TEXT}style-name")).is_table_heading for each in paragraphs
    )


def _number(element: Any, name: str) -> int:
    value = element.get(f"{_TABLE}{name}") or ""
    return max(1, int(value)) if value.isascii() and value.isdigit() and len(value) < 8 else 1
