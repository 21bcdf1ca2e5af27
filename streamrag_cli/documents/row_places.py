"""Names a passage's place in a spreadsheet, as in `sheet Prices, rows 2, 4–9`.

The place is the passage's last heading. Each line of the passage is one of these rows, so the place of a single line
can be derived from it.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_PLACE: Final = re.compile(
    r"(?P<sheet>(?:.* > )?sheet .*), rows (?P<rows>\d{1,7}(?:–\d{1,7})?(?:, \d{1,7}(?:–\d{1,7})?)*)", re.DOTALL
)
_WRITTEN: Final = re.compile(
    r"sheet (?P<sheet>.+?)(?:, rows? (?P<rows>\d{1,7}(?:[–-]\d{1,7})?(?:, ?\d{1,7}(?:[–-]\d{1,7})?)*))?", re.DOTALL
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
    """Return a passage's heading path `title` with only the row that its line `line`, counted from 0, contains.

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


class Rows(NamedTuple):
    """Rows of a sheet, or the whole sheet if there are no ranges."""

    sheet: str
    ranges: tuple[range, ...]

    def overlaps(self, other: "Rows") -> bool:
        return any(max(a.start, b.start) < min(a.stop, b.stop) for a in self.ranges for b in other.ranges)


def parse_place(place: str) -> Rows | None:
    """The rows that a place names, or None if it is not a place.

    >>> parse_place("sheet Prices, rows 2, 4–6"), parse_place("sheet Old, new"), parse_place("Prices")
    (Rows(sheet='Prices', ranges=(range(2, 3), range(4, 7))), Rows(sheet='Old, new', ranges=()), None)
    """
    match = _WRITTEN.fullmatch(place)
    if not match:
        return None
    ranges = [re.split("[–-]", each.strip()) for each in (match["rows"] or "").split(",") if each]
    return Rows(match["sheet"], tuple(range(int(each[0]), int(each[-1]) + 1) for each in ranges))
