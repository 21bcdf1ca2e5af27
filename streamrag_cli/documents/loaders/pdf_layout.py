"""Determines the reading order of a page's text runs.

A gutter is a vertical strip without text between many pairs of neighbouring runs. Text that crosses it, such as a
headline over two columns, divides the page into parts. In a table, the cells of a row begin on the same line; such a
part is read row by row. Other parts are running text and are read column by column.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, Literal, TypeAlias

from streamrag_cli.documents.loaders.pdf_rows import (
    are_cells,
    body_height,
    goes_up,
    hull,
    is_level,
    is_next_to,
    rows_of,
)
from streamrag_cli.documents.loaders.pdf_tables import is_table, table_rows
from streamrag_cli.documents.loaders.pdf_text import GAP, Page, Run

MAX_RUNS: Final = 3000
"""The maximum number of runs that are sorted. A page with more runs is probably a drawing, or hostile."""

_Kind: TypeAlias = Literal["plain", "columns", "table"]

_PARAGRAPH_GAP: Final = 0.5
_FEW_RUNS: Final = 16
_NOTES: Final = 0.4
"""The share of a page's height, at the bottom, in which footnotes are searched for."""

_FEW_CHANGES: Final = 0.25
NOTE_SIZE: Final = 0.88
"""The maximum size of footnotes at the end of a column, relative to the size of the body text."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text. `right` is the right edge of the line's column or block."""

    text: str
    run: Run
    right: float


def reading_order(page: Page) -> list[Line]:
    """Return the lines of a page in reading order, with footnotes last."""
    runs = list(page.runs)
    if page.is_right_to_left or len(runs) > MAX_RUNS or _is_in_order(runs):
        blocks = [[[run] for run in runs]]
    else:
        blocks = list(_blocks(runs))
    body: list[Line] = []
    notes: list[Line] = []
    largest_note = NOTE_SIZE * body_height(runs)
    highest_note = page.bottom + _NOTES * (page.top - page.bottom)
    for block in blocks:
        right = max((row[-1].x1 for row in block), default=0.0)
        lines = [Line(" ".join(run.text for run in row), hull(row), right) for row in block]
        last = len(lines)
        while last and lines[last - 1].run.height < largest_note and lines[last - 1].run.top < highest_note:
            last -= 1
        body.extend(lines[:last])
        notes.extend(lines[last:])
    return body + notes


def _is_in_order(runs: Sequence[Run]) -> bool:
    """Whether the drawing order is the reading order: downwards, with jumps up only to the right of earlier text."""
    drawn: list[Run] = []
    first = 0
    for index, (above, run) in enumerate(pairwise(runs), start=1):
        drawn.append(above)
        if is_level(above, run) and abs(run.x0 - above.x1) > GAP * max(run.height, above.height):
            return False
        if goes_up(above, run):
            if are_cells(drawn[first:]) or any(
                other.bottom < run.top and other.x1 > run.x0 + run.height for other in drawn
            ):
                return False
            first = index
    return True


def _blocks(runs: list[Run]) -> Iterator[list[list[Run]]]:
    """Yield the rows in reading order: one list for each column, and one for each full-width part."""
    gutter = _best_gutter(runs)
    if gutter is None:
        yield _rows_as_drawn(runs)
        return
    if _was_drawn_by_column(runs, gutter):
        yield _in_drawn_order(runs)
        return
    plain: list[Run] = []
    for part, kind in _kinds(runs, gutter):
        if kind == "plain":
            plain.extend(part)
            continue
        yield from _undivided(plain, len(runs))
        plain = []
        if kind == "table":
            yield list(table_rows(part, _columns(part, gutter)))
        else:
            yield from _blocks([run for run in part if run.x0 < gutter])
            yield from _blocks([run for run in part if run.x0 >= gutter])
    yield from _undivided(plain, len(runs))


def _kinds(runs: list[Run], gutter: float) -> Iterator[tuple[list[Run], _Kind]]:
    """Yield the parts of a page from top to bottom: columns and tables divided by `gutter`, and plain text."""
    for part, is_divided in _parts(runs, gutter):
        if not is_divided:
            yield part, "plain"
            continue
        bands = _bands(part)
        kinds: list[_Kind | None] = [
            _kind_of(_columns(band, gutter)) if _has_two_sides(band, gutter) else None for band in bands
        ]
        if not any(kinds):
            yield part, _kind_of(_columns(part, gutter))
            continue
        columns: list[Run] = []
        for index, (band, kind) in enumerate(zip(bands, kinds, strict=True)):
            after = next(filter(None, kinds[index + 1 :]), None)
            continues = after == "columns" or (after is None and not _is_larger(band, columns))
            if kind == "columns" or (kind is None and columns and continues):
                columns.extend(band)
                continue
            if columns:
                yield columns, "columns"
                columns = []
            yield band, kind or "plain"
        if columns:
            yield columns, "columns"


def _is_larger(band: Sequence[Run], columns: Sequence[Run]) -> bool:
    """Whether the text in `band` is so large that it must be a heading for the text after the columns."""
    return bool(columns) and max(run.height for run in band) > 1.2 * body_height(columns)


def _bands(runs: Sequence[Run]) -> list[list[Run]]:
    """Divide the runs at every empty horizontal strip that is higher than one line."""
    bands: list[list[Run]] = []
    bottom = height = 0.0
    for row in rows_of(runs):
        if not bands or bottom - max(run.top for run in row) > min(row[0].height, height):
            bands.append([])
            bottom = min(run.bottom for run in row)
        bands[-1].extend(row)
        height = row[0].height
        bottom = min(bottom, *(run.bottom for run in row))
    return bands


def _undivided(runs: list[Run], total: int) -> Iterator[list[list[Run]]]:
    if len(runs) < total:
        if runs:
            yield from _blocks(runs)
    else:
        yield _rows_as_drawn(runs)


def _rows_as_drawn(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the rows in drawing order if it runs downwards, which keeps formulas together; else by position."""
    in_order = sorted(runs, key=lambda run: run.order)
    leaps = [run.bottom - above.top for above, run in pairwise(in_order) if goes_up(above, run)]
    is_mixed = len(leaps) >= max(1, _FEW_CHANGES * len(runs)) or any(leap > in_order[0].height for leap in leaps)
    return rows_of(runs) if is_mixed else _in_drawn_order(runs)


def _was_drawn_by_column(runs: Sequence[Run], gutter: float) -> bool:
    """Whether nearly all text on the left of the gutter was drawn before the text on the right."""
    if are_cells(runs):
        return False
    left = [run.order for run in runs if run.x1 <= gutter]
    right = [run.order for run in runs if run.x0 >= gutter]
    sides = [side for _, side in sorted([(order, 0) for order in left] + [(order, 1) for order in right])]
    changes = sum(before != after for before, after in pairwise(sides))
    return changes <= max(1, _FEW_CHANGES * min(len(left), len(right))) and median(left) < median(right)


def _in_drawn_order(runs: Sequence[Run]) -> list[list[Run]]:
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: run.order):
        if rows and is_next_to(rows[-1][-1], run) and run.x0 > rows[-1][-1].x0:
            rows[-1].append(run)
        else:
            rows.append([run])
    return rows


def _best_gutter(runs: Sequence[Run]) -> float | None:
    """Return the x coordinate of the centre of the vertical strip between the most pairs of neighbouring runs.

    Returns None if there are fewer than 2 such pairs, or fewer than 3 on a page with more than 16 runs.
    """
    gaps = list(_gaps(runs))
    events = sorted([(start, 1) for start, _ in gaps] + [(end, -1) for _, end in gaps])
    best, depth = (1, 0.0, 0.0), 0
    for (position, step), (following, _) in pairwise(events):
        depth += step
        best = max(best, (depth, following - position, (position + following) / 2))
    return best[2] if best[0] >= (2 if len(runs) <= _FEW_RUNS else 3) else None


def _gaps(runs: Sequence[Run]) -> Iterator[tuple[float, float]]:
    """Yield the start and end of the space between each run and the nearest run to its right at the same height."""
    by_top = sorted(runs, key=lambda run: -run.top)
    tops = [-run.top for run in by_top]
    tallest = max((run.height for run in runs), default=0.0)
    for run in by_top:
        nearest = None
        for index in range(bisect_left(tops, -run.top - tallest), len(by_top)):
            other = by_top[index]
            if other.top < run.bottom:
                break
            if is_level(run, other) and other.x0 > run.x0:
                if other.x0 < run.x1 - 0.1 * run.height:
                    if other is not run:
                        nearest = None
                        break
                elif nearest is None or other.x0 < nearest:
                    nearest = other.x0
        if nearest is not None and nearest - run.x1 > GAP * run.height:
            yield run.x1, nearest


def _parts(runs: Sequence[Run], gutter: float) -> list[tuple[list[Run], bool]]:
    """Return the parts from top to bottom, as (runs, is divided) pairs. Undivided parts cross the gutter."""
    parts: list[tuple[list[Run], bool]] = []
    for row in rows_of(runs):
        is_divided = all(run.x1 <= gutter or run.x0 >= gutter for run in row)
        if parts and parts[-1][1] == is_divided:
            parts[-1][0].extend(row)
        else:
            parts.append((list(row), is_divided))
    for (part, is_divided), (following, _) in pairwise(parts):
        if is_divided:
            following[:0] = _take_heading_from_end(part, gutter)
    return [(part, is_divided and _has_two_sides(part, gutter)) for part, is_divided in parts if part]


def _take_heading_from_end(part: list[Run], gutter: float) -> list[Run]:
    """Remove a heading from the end of `part` and return it: lines on the left, separated by a paragraph gap.

    Such a heading belongs to the following text, which crosses the gutter. The heading may be too short to cross it.
    """
    rows = rows_of(part)
    for count in range(1, min(3, len(rows) - 1) + 1):
        row, above = rows[-count], rows[-count - 1]
        if any(run.x0 >= gutter for run in row):
            return []
        if above[0].bottom - row[0].top > _PARAGRAPH_GAP * row[0].height and any(run.x0 >= gutter for run in above):
            taken = [run for each in rows[-count:] for run in each]
            part[:] = [run for each in rows[:-count] for run in each]
            return taken
    return []


def _has_two_sides(runs: Sequence[Run], gutter: float) -> bool:
    """Whether at least two lines on one side of the gutter are next to text on the other side."""
    left = [run for run in runs if run.x0 < gutter]
    right = [run for run in runs if run.x0 >= gutter]
    if not left or not right:
        return False
    bottom = max(min(run.bottom for run in side) for side in (left, right))
    top = min(max(run.top for run in side) for side in (left, right))
    return any(sum(run.top > bottom and run.bottom < top for run in side) > 1 for side in (left, right))


def _columns(runs: Sequence[Run], gutter: float) -> list[list[Run]]:
    """Divide the runs into columns at `gutter` and at every other vertical strip that no run crosses."""
    columns: list[list[Run]] = []
    for side in ([run for run in runs if run.x0 < gutter], [run for run in runs if run.x0 >= gutter]):
        right = -float("inf")
        start = len(columns)
        for run in sorted(side, key=lambda run: run.x0):
            if len(columns) == start or run.x0 - right > GAP * run.height:
                columns.append([])
            columns[-1].append(run)
            right = max(right, run.x1)
    return columns


def _kind_of(columns: Sequence[Sequence[Run]]) -> _Kind:
    return "table" if is_table(columns) else "columns"
