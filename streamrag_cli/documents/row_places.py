"""Names the place of a passage in a spreadsheet, as in `sheet Prices, rows 2, 4–9`.

The place is the passage's last heading. Each line of the passage is one of these rows, so the place of a single line
can be derived from it.
"""

import re
from collections.abc import Sequence
from typing import Final

_PLACE: Final = re.compile(
    r"(?P<sheet>(?:.* > )?sheet .*), rows (?P<rows>\d{1,7}(?:–\d{1,7})?(?:, \d{1,7}(?:–\d{1,7})?)*)", re.DOTALL
)
_MAX_RANGES: Final = 6


def rows_place(sheet: str, rows: Sequence[int]) -> str:
    """Return the place of `rows`, which are in ascending order.

    >>> rows_place("Prices", [2, 4, 5, 6]), rows_place("Prices", [7])
    ('sheet Prices, rows 2, 4–6', 'sheet Prices, row 7')
    """
    if len(rows) == 1:
        return f"sheet {sheet}, row {rows[0]}"
    ranges: list[list[int]] = []
    for row in rows:
        if ranges and row == ranges[-1][1] + 1:
            ranges[-1][1] = row
        else:
            ranges.append([row, row])
    if len(ranges) > _MAX_RANGES:
        ranges = [[rows[0], rows[-1]]]
    shown = ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in ranges)
    return f"sheet {sheet}, rows {shown}"


def place_of_line(title: str, line: int, lines: int) -> str:
    """Return the heading path `title` of a passage with only the row of its line `line`, counted from 0.

    `lines` is the number of lines in the passage. If the path does not end with a place, or its place is
    inexact, it is returned unchanged.

    >>> place_of_line("Tariffs > sheet Prices, rows 2, 4–6", 2, 4)
    'Tariffs > sheet Prices, row 5'
    """
    match = _PLACE.fullmatch(title)
    if not match:
        return title
    ranges = [tuple(map(int, each.split("–"))) for each in match["rows"].split(", ")]
    if sum(each[-1] - each[0] + 1 for each in ranges) != lines:
        return title
    for each in ranges:
        count = each[-1] - each[0] + 1
        if line < count:
            return f"{match['sheet']}, row {each[0] + line}"
        line -= count
    return title
