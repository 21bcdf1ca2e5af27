"""Converts Word tables: one line per row, with the column names if there is a header row.

A table with only one column or row, or with long texts in most cells, counts as layout and is read as text.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from streamrag_cli.documents.loaders.grid import MAX_COLUMNS, grid_text, head_rows

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_WRAPPERS: Final = frozenset(f"{_W}{name}" for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"))
_LONG_CELL_CHARS: Final = 400


class _Reader(Protocol):
    def text(self, element: Any) -> str: ...
    def blocks(self, container: Any) -> Iterator[tuple[int, str]]: ...


class Table:
    def __init__(self, table: Any, reader: _Reader) -> None:
        self._reader = reader
        self._table = table
        self._rows = [row for row in _children(table, f"{_W}tr") if row.find(f"{_W}trPr/{_W}del") is None]

    def blocks(self) -> Iterator[tuple[int, str]]:
        """Yield the (heading level, text) pairs of this table and the tables nested in it.

        If the table is used for layout, these are the pairs of the blocks in its cells.
        """
        grid = list(self._grid())
        if len(grid) < 2 or max(map(len, grid)) < 2 or self._has_block_cells():
            for row in self._rows:
                for cell in _children(row, f"{_W}tc"):
                    yield from self._reader.blocks(cell)
            return
        if text := grid_text(grid, self._head_rows(grid)):
            yield -1, text
        for row in self._rows:
            for cell in _children(row, f"{_W}tc"):
                for nested in _children(cell, f"{_W}tbl"):
                    yield from Table(nested, self._reader).blocks()

    def _grid(self) -> Iterator[list[str]]:
        """Yield the text of each row by column.

        A cell that spans rows is repeated in each of these rows. A cell that spans columns is only in the first of
        them.
        """
        above: list[str] = []
        for row in self._rows:
            cells: list[str] = [""] * min(_number(row.find(f"{_W}trPr/{_W}gridBefore"), 0), MAX_COLUMNS)
            for cell in _children(row, f"{_W}tc"):
                merge = cell.find(f"{_W}tcPr/{_W}vMerge")
                continues = merge is not None and merge.get(f"{_W}val") != "restart"
                text = above[len(cells)] if continues and len(cells) < len(above) else self._cell_text(cell)
                span = _number(cell.find(f"{_W}tcPr/{_W}gridSpan"), 1)
                cells.extend([text, *[""] * (min(span, MAX_COLUMNS) - 1)][: MAX_COLUMNS - len(cells)])
            above = cells
            yield cells

    def _cell_text(self, cell: Any) -> str:
        """Return the paragraphs of a cell on one line. Nested tables are omitted, because they have their own rows."""
        paragraphs = (self._reader.text(paragraph) for paragraph in _children(cell, f"{_W}p"))
        return " ".join(" ".join(paragraphs).split())

    def _has_block_cells(self) -> bool:
        """Whether most cells contain several paragraphs and more than 400 characters, as in a table used for layout."""
        cells = [cell for row in self._rows for cell in _children(row, f"{_W}tc")]
        long = sum(
            len(list(_children(cell, f"{_W}p"))) > 1 and len(self._cell_text(cell)) > _LONG_CELL_CHARS for cell in cells
        )
        return 2 * long > len(cells)

    def _head_rows(self, grid: Sequence[Sequence[str]]) -> int:
        """Return the number of header rows: the rows repeated on each page, or else a row that looks like a header."""
        repeated = 0
        while repeated < len(self._rows) - 1 and self._rows[repeated].find(f"{_W}trPr/{_W}tblHeader") is not None:
            repeated += 1
        return repeated or head_rows(grid, is_marked=_is_bold(self._rows[0]) and not _is_bold(self._rows[1]))


def _children(element: Any, tag: str) -> Iterator[Any]:
    """Yield the child elements with this tag, including those inside content controls and insertions."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, tag)


def _is_bold(row: Any) -> bool:
    runs = [run for run in row.iter(f"{_W}r") if run.find(f"{_W}t") is not None]
    return bool(runs) and all(run.find(f"{_W}rPr/{_W}b") is not None for run in runs)


def _number(element: Any, default: int) -> int:
    value = "" if element is None else element.get(f"{_W}val") or ""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 6 else default
