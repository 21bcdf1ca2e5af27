"""Writes a table row as text on one line: `- product: cleat; price: 4`.

Each line is self-contained, so it can be found and quoted without the rest of the table. Values in unnamed columns
are written without a name, and empty cells are omitted.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

SNIFFED_ROWS: Final = 50
"""The number of rows at the beginning of a table that are used to find its header."""
MAX_COLUMN_CHARS: Final = 160
"""The maximum length of a column name. It is repeated in every row, so the text may be much larger than the file."""
_PREAMBLE_ROWS: Final = 10

_NUMBER: Final = re.compile(r"[-+]?[$€£]?[ ]?\d[\d.,' ]*(?:[eE][-+]?\d+)?[ ]?[%€$£]?")
_DATE: Final = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T].*)?")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_MAX_NAME_CHARS: Final = 80
_SPACES: Final = re.compile(r"\s+")


def row_text(columns: Sequence[str], cells: Sequence[str]) -> str:
    """Return a row as one line of text, or "" if all its cells are empty.

    >>> row_text(["product", "price", ""], ["cleat", "4", "new"])
    '- product: cleat; price: 4; new'
    """
    shown: list[str] = []
    for number, cell in enumerate(cells):
        value = _SPACES.sub(" ", cell).strip()
        if value:
            name = columns[number][:MAX_COLUMN_CHARS] if number < len(columns) else ""
            shown.append(f"{name}: {value}" if name else value)
    return f"- {'; '.join(shown)}" if shown else ""


def column_names(row: Sequence[str]) -> list[str]:
    """Return the column names in a header row, each on one line and without a trailing colon."""
    return [_SPACES.sub(" ", cell).strip().rstrip(":").rstrip() for cell in row]


def header_candidate(rows: Sequence[Sequence[str]]) -> int:
    """Return the index of the row that is the header if the table has one; -1 if no row can be the header.

    A title and notes may precede the header. They have at most half of the usual number of filled cells.
    """
    filled = [sum(1 for cell in cells if cell.strip()) for cells in rows[:SNIFFED_ROWS]]
    usual = Counter(filled).most_common(1)[0][0] if filled else 0
    return next((at for at, count in enumerate(filled[:_PREAMBLE_ROWS]) if count * 2 > usual), -1)


def looks_like_header(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether `row` is a header for the rows `below` it.

    Column names are short, mostly different, and not numbers or dates, except years above other numbers. A row of words
    above rows of words counts as a header, because tables without a header are rare.
    """
    names = [cell.strip() for cell in row]
    while names and not names[-1]:
        names.pop()
    filled = [name for name in names if name]
    if not below or len(filled) < max(1, (len(names) + 1) // 2) or len(set(filled)) * 2 < len(filled):
        return False
    if any(len(name) > _MAX_NAME_CHARS for name in filled) or all(is_value(name) for name in filled):
        return False
    return all(not is_value(name) or _is_year_above(number, name, below) for number, name in enumerate(names) if name)


def _is_year_above(column: int, name: str, below: Sequence[Sequence[str]]) -> bool:
    cells = [row[column].strip() for row in below if column < len(row)]
    return _YEAR.fullmatch(name) is not None and any(cell and not _YEAR.fullmatch(cell) for cell in cells)


def is_value(cell: str) -> bool:
    """Whether a cell is a number or a date."""
    word = cell.strip()[:_MAX_NAME_CHARS]
    return bool(_NUMBER.fullmatch(word) or _DATE.fullmatch(word))


def has_values_below(grid: Sequence[Sequence[str]], *, from_column: int = 1) -> bool:
    """Whether a column with an index of at least `from_column` has only numbers or dates below the first row."""
    return any(
        all(is_value(row[column]) for row in grid[1:] if column < len(row) and row[column])
        for column in range(from_column, len(grid[0]))
        if any(column < len(row) and row[column] for row in grid[1:])
    )
