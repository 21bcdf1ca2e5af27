"""Distinguishes tables in a PDF from columns of running text, and reads them row by row."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from streamrag_cli.documents.loaders.pdf_rows import CELL_CHARS, are_cells, hull, rows_of
from streamrag_cli.documents.loaders.pdf_text import LINE_BREAK_HYPHEN, Run

_MAX_CELL_LINES: Final = 8
_NUMBER: Final = re.compile(r"[-+(]?[$€£]?\d[\d.,:/ ]*[%)€$£]?\Z")


def is_table(columns: Sequence[Sequence[Run]]) -> bool:
    """Whether the cells of each row begin on the same line. In running text, that happens only by chance."""
    lines = [_starts(column) for column in columns]
    is_running = any(not line.is_start for column in lines for line in column)
    if not is_running:
        return not _was_drawn_in_columns(columns) or len(columns) > 2 or _is_numeric(columns[-1])
    if _was_drawn_in_columns(columns) and not are_cells([run for column in columns for run in column]):
        return False
    aligned = crossed = 0
    for left, right in pairwise(lines):
        by_bottom = sorted(right[1:], key=lambda line: line.hull.bottom)
        bottoms = [line.hull.bottom for line in by_bottom]
        for line in left[1:]:
            reach = 0.35 * line.hull.height
            for index in range(bisect_left(bottoms, line.hull.bottom - reach), len(by_bottom)):
                if bottoms[index] > line.hull.bottom + reach:
                    break
                aligned += line.is_start and by_bottom[index].is_start
                crossed += line.is_start != by_bottom[index].is_start
    return aligned > crossed


def _was_drawn_in_columns(columns: Sequence[Sequence[Run]]) -> bool:
    """Whether each column was drawn completely before the next one."""
    return all(max(run.order for run in a) < min(run.order for run in b) for a, b in pairwise(columns)) and all(
        len(column) > 1 for column in columns
    )


def _is_numeric(column: Sequence[Run]) -> bool:
    return 2 * sum(_NUMBER.match(run.text) is not None for run in column) > len(column)


@dataclass(frozen=True, slots=True)
class _ColumnLine:
    """A line in one column. `is_start` is true if the line begins a cell or a paragraph."""

    row: list[Run]
    hull: Run
    is_start: bool


def _starts(column: Sequence[Run]) -> list[_ColumnLine]:
    """Return the lines of a column from top to bottom, and determine which of them begin a cell or a paragraph.

    A line continues the line above if its first word did not fit there.
    """
    rows = rows_of(column)
    hulls = [hull(row)._replace(text=" ".join(run.text for run in row)) for row in rows]
    right = max(hull.x1 for hull in hulls)
    pitches = [above.bottom - below.bottom for above, below in pairwise(hulls)]
    pitch = median(pitches) if pitches else 0.0
    lines = [_ColumnLine(rows[0], hulls[0], is_start=True)]
    for (row_above, row), (above, below) in zip(pairwise(rows), pairwise(hulls), strict=True):
        is_far = above.bottom - below.bottom > 1.3 * pitch or above.bottom - below.top > 2 * below.height
        has_cells = len(row_above) > 1 or len(row) > 1
        lines.append(_ColumnLine(row, below, is_start=is_far or has_cells or not _continues(above, below, right)))
    return lines


def _continues(above: Run, below: Run, right: float) -> bool:
    if above.text.endswith((LINE_BREAK_HYPHEN, "-")):
        return True
    if len(above.text) < CELL_CHARS and above.text.count(" ") < 2:
        return False
    return not fits(below, above, right)


def fits(below: Run, above: Run, right: float) -> bool:
    """Whether the first word of `below` would fit at the end of `above`, before the edge `right`."""
    first_word = len(below.text.split(" ", 1)[0])
    width = (below.x1 - below.x0) / max(1, len(below.text))
    return above.x1 + (first_word + 1) * width < right - 0.2 * width


def table_rows(runs: Sequence[Run], columns: Sequence[Sequence[Run]]) -> Iterator[list[Run]]:
    """Yield the rows of a table. The lines of wrapped cells are joined."""
    begins = {id(run): line.is_start for column in columns for line in _starts(column) for run in line.row}
    cells: list[list[Run]] = []
    column_of = {id(run): index for index, column in enumerate(columns) for run in column}
    height = 0
    for row in rows_of(runs):
        votes = [begins[id(run)] for run in row]
        is_new = 2 * sum(votes) >= len(votes) or height >= _MAX_CELL_LINES
        if is_new and cells:
            yield [run for cell in cells for run in cell]
            cells, height = [], 0
        cells = cells or [[] for _ in columns]
        for run in row:
            cells[column_of[id(run)]].append(run)
        height += 1
    yield [run for cell in cells for run in cell]
