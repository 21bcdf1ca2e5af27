"""Tables with one row per entry, which is never wrapped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streamrag_cli.text import sanitise_line

_GAP: Final = "  "
_MIN_LAST_COLUMNS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A table column. If `drop_order` is 0, it is always shown; otherwise the highest number is dropped first."""

    title: str
    cells: Sequence[str]
    is_number: bool = False
    drop_order: int = 0


def table_rows(columns: Sequence[Column], width: int | None) -> list[str]:
    """Return the title row and the rows of a table that is at most `width` columns wide; None means unlimited.

    Columns are dropped until the rest fits. The last column is cut instead of dropped if enough of its text fits.

    >>> names = Column(title="name", cells=["default", "handbook"])
    >>> roots = Column(title="from", cells=["docs", "guides/installation and operation"], drop_order=1)
    >>> table_rows([names, roots], 30)
    ['name      from', 'default   docs', 'handbook  guides/installation…']
    >>> table_rows([names, roots], 15)
    ['name', 'default', 'handbook']
    """
    shown = list(columns)
    while width is not None and len(shown) > 1 and _least_width(shown) > width:
        droppable = [column for column in shown if column.drop_order]
        if not droppable:
            break
        shown.remove(max(droppable, key=lambda column: column.drop_order))
    widths = [_width(column) for column in shown]
    rows = zip(*([column.title, *map(sanitise_line, column.cells)] for column in shown), strict=True)
    return [_row(row, shown, widths, width) for row in rows]


def cut(text: str, width: int) -> str:
    """Cut a text to at most `width` terminal columns; a text that was cut ends in an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)).rstrip() + "…"


def _width(column: Column) -> int:
    from rich.cells import cell_len

    return max(cell_len(each) for each in (column.title, *map(sanitise_line, column.cells)))


def _least_width(columns: Sequence[Column]) -> int:
    *others, last = columns
    last_width = min(_width(last), _MIN_LAST_COLUMNS) if last.drop_order else _width(last)
    return sum(_width(each) + len(_GAP) for each in others) + last_width


def _row(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], width: int | None) -> str:
    from rich.cells import cell_len

    padded = []
    for cell, column, cell_width in zip(cells, columns, widths, strict=True):
        padding = " " * (cell_width - cell_len(cell))
        padded.append(padding + cell if column.is_number else cell + padding)
    row = _GAP.join(padded).rstrip()
    return row if width is None else cut(row, width)
