"""Writes the cells of a table as text: one line per row, with the column names if there is a header."""

from collections.abc import Sequence
from typing import Final

from streamrag_cli.documents.loaders.rows import column_names, is_value, looks_like_header, row_text

MAX_COLUMNS: Final = 1000


def grid_text(grid: Sequence[Sequence[str]], head: int) -> str:
    """Write the rows of `grid`, one per line. Empty rows are omitted.

    The first `head` rows are the header, whose column names are repeated in the other rows. If all rows below the
    header are empty, the text is the header.
    """
    names = _names(grid[:head])
    lines = (row_text(names, cells) if names else _cells_line(cells) for cells in grid[head:])
    return "\n".join(line for line in lines if line) or " | ".join(filter(None, names))


def head_rows(grid: Sequence[Sequence[str]], *, is_marked: bool) -> int:
    """Return 1 if the first row looks like a header, else 0. `is_marked` means that it is formatted as a header."""
    if not looks_like_header(grid[0], grid[1:]):
        return 0
    # Two-column tables often have names and values but no header.
    return 1 if len(grid[0]) > 2 or is_marked or _has_values_below(grid) else 0


def _names(rows: Sequence[Sequence[str]]) -> list[str]:
    """Join the column names of all header rows. Except in the last row, a cell names each column that it spans."""
    names: list[list[str]] = []
    for index, row in enumerate(rows):
        above = ""
        for column, text in enumerate(column_names(row)):
            if column == len(names):
                names.append([])
            above = text or (above if index < len(rows) - 1 else "")
            if above and above not in names[column]:
                names[column].append(above)
    return [" ".join(words) for words in names]


def _cells_line(cells: Sequence[str]) -> str:
    return " | ".join(cells) if any(cells) else ""


def _has_values_below(grid: Sequence[Sequence[str]]) -> bool:
    """Whether one of the columns after the first contains only numbers or dates below the first row."""
    return any(
        all(is_value(row[column]) for row in grid[1:] if column < len(row) and row[column])
        for column in range(1, len(grid[0]))
        if any(column < len(row) and row[column] for row in grid[1:])
    )
