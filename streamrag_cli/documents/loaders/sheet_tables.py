"""Finds the tables in a block of a sheet's rows, and the names of their columns.

A block consists of the rows between two empty rows. Empty columns divide it into tables, each with its own header. A
table without a header continues the table above it if both have the same columns.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from streamrag_cli.documents.loaders.rows import (
    SNIFFED_ROWS,
    column_names,
    has_values_below,
    header_candidate,
    looks_like_header,
)
from streamrag_cli.documents.loaders.sheet_rows import Area, Row, Sheet

_MAX_HEADER_ROWS: Final = 4


class Table(NamedTuple):
    """The columns `first` to `last` of a block, and the names of the columns that have one.

    The header consists of the rows of the block from index `header_start` to before `header_end`; both are 0 without a
    header. The names apply to the rows after the header.
    """

    first: int
    last: int
    header_start: int
    header_end: int
    names: dict[int, str]

    @property
    def has_header(self) -> bool:
        return self.header_end > 0


def tables_of(block: Sequence[Row], sheet: Sheet, above: Sequence[Table]) -> list[Table]:
    """Return the tables in a block from left to right. `above` are the tables of the block above it."""
    groups: list[_Group] = []
    group_of: dict[int, _Group] = {}
    for column in sorted({column for row in block for column in row.columns}):
        if column - 1 not in group_of:
            groups.append(_Group(column))
        group_of[column] = groups[-1]
        groups[-1].last = column
    for index, row in enumerate(block):
        for column, text in zip(row.columns, row.texts, strict=True):
            group_of[column].add(index, column, text)
    merged = [area for area in sheet.merged if area.last_column > area.first_column]
    wide = {(area.first_row, area.first_column): area for area in merged}
    return [_table(group, block, sheet, wide, above) for group in groups]


class _Group:
    """Adjacent columns with text, and their cells in the first rows that contain text."""

    def __init__(self, first: int) -> None:
        self.first = self.last = first
        self.indices: list[int] = []
        self.grid: list[list[str]] = []

    def add(self, index: int, column: int, text: str) -> None:
        if self.indices[-1:] != [index]:
            if len(self.indices) > SNIFFED_ROWS:
                return
            self.indices.append(index)
            self.grid.append([""] * (self.last - self.first + 1))
        self.grid[-1][column - self.first] = text


def _table(
    group: _Group, block: Sequence[Row], sheet: Sheet, wide: dict[tuple[int, int], Area], above: Sequence[Table]
) -> Table:
    inherited = next((each for each in above if _continues(group, each)), None)
    is_bold = [block[index].is_bold for index in group.indices]
    numbers = [block[index].number for index in group.indices]
    start = next((at for at, number in enumerate(numbers[:-1]) if _overlaps(sheet.headers.get(number), group)), -1)
    if start < 0:
        start = header_candidate(group.grid)
        if not _is_header(group.grid, is_bold, start, is_continued=inherited is not None):
            names = inherited.names if inherited else {}
            return Table(group.first, group.last, 0, 0, names)
    end = start + 1
    while end - start < _MAX_HEADER_ROWS and end + 1 < len(numbers):
        spans = [wide.get((numbers[end - 1], column)) for column in range(group.first, group.last + 1)]
        if not any(area and area.last_row == area.first_row for area in spans):
            break
        if not looks_like_header(group.grid[end], group.grid[end + 1 :]):
            break
        end += 1
    names = _names(group, numbers, start, end, wide)
    return Table(group.first, group.last, group.indices[start], group.indices[end - 1] + 1, names)


def _continues(group: _Group, table: Table) -> bool:
    """Whether the columns of `group` are at least half of the table's columns, and none are outside the table."""
    is_inside = table.first <= group.first and group.last <= table.last
    return is_inside and 2 * (group.last - group.first + 1) >= table.last - table.first + 1


def _overlaps(columns: tuple[int, int] | None, group: _Group) -> bool:
    return columns is not None and columns[0] <= group.last and group.first <= columns[1]


def _is_header(grid: Sequence[Sequence[str]], is_bold: Sequence[bool], at: int, *, is_continued: bool) -> bool:
    """Whether the row `at` is a header.

    A bold row above a row that is not bold is a header. Tables with one or two columns are often lists, or names with
    values. Their first row is a header only if a column below it contains only numbers or dates. The same applies to a
    table that may continue the table above it (`is_continued`).
    """
    if at < 0 or at + 1 >= len(grid):
        return False
    filled = sum(1 for cell in grid[at] if cell)
    if is_bold[at] and not is_bold[at + 1] and filled * 2 > len(grid[at]):
        return True
    if not looks_like_header(grid[at], grid[at + 1 :]):
        return False
    if len(grid[at]) > 2 and not is_continued:
        return True
    return has_values_below(grid[at:], from_column=min(1, len(grid[at]) - 1))


def _names(
    group: _Group, numbers: Sequence[int], start: int, end: int, wide: dict[tuple[int, int], Area]
) -> dict[int, str]:
    """Join the names of all header rows by column. Except in the last row, a merged cell names all its columns."""
    words: dict[int, list[str]] = {}
    for at in range(start, end):
        for offset, name in enumerate(column_names(group.grid[at])):
            column = group.first + offset
            area = wide.get((numbers[at], column)) if at < end - 1 else None
            last = min(area.last_column, group.last) if area else column
            for each in range(column, last + 1):
                if name and name not in words.setdefault(each, []):
                    words[each].append(name)
    return {column: " ".join(each) for column, each in words.items() if each}
