"""Groups the text runs on a PDF page into rows, and classifies them by size and position."""

from collections.abc import Iterable, Sequence
from typing import Final

from streamrag_cli.documents.loaders.pdf_text import Run

CELL_CHARS: Final = 20
"""The minimum length of a line of running text. Shorter text is probably a table cell."""


def rows_of(runs: Iterable[Run]) -> list[list[Run]]:
    """Group the runs into rows. The rows are sorted from top to bottom, and the runs in a row from left to right."""
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: -(run.bottom + run.top)):
        if rows and is_next_to(rows[-1][0], run):
            rows[-1].append(run)
        else:
            rows.append([run])
    for row in rows:
        row.sort(key=lambda run: run.x0)
    return rows


def is_next_to(first: Run, second: Run) -> bool:
    """Whether both runs are on the same line."""
    overlap = min(first.top, second.top) - max(first.bottom, second.bottom)
    return overlap > 0.5 * min(first.height, second.height)


def is_level(first: Run, second: Run) -> bool:
    """Whether the runs overlap vertically, even if they are on different lines, as in separate columns."""
    overlap = min(first.top, second.top) - max(first.bottom, second.bottom)
    return overlap > 0.3 * min(first.height, second.height)


def hull(row: Sequence[Run]) -> Run:
    """Return the run with the longest text in the row, with its left and right edges set to those of the row."""
    widest = max(row, key=lambda run: len(run.text))
    return widest._replace(x0=row[0].x0, x1=max(run.x1 for run in row), order=row[0].order)


def body_height(runs: Sequence[Run]) -> float:
    """Return the line height of the most common text size."""
    chars: dict[float, int] = {}
    for run in runs:
        size = round(run.height, 1)
        chars[size] = chars.get(size, 0) + len(run.text)
    return max(chars, key=lambda size: chars[size], default=0.0)


def are_cells(runs: Sequence[Run]) -> bool:
    """Whether most runs are too short to be running text, so that they are probably table cells."""
    return 2 * sum(len(run.text) < CELL_CHARS for run in runs) > len(runs)


def goes_up(above: Run, run: Run) -> bool:
    """Whether `run` is about a line or more above `above`, the run drawn before it. An exponent does not count."""
    return run.bottom > above.bottom + 0.9 * max(run.height, above.height)
