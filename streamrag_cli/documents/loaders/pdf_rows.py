"""Runs of a PDF's text as rows, and what their sizes and places say."""

from collections.abc import Iterable, Sequence
from typing import Final

from streamrag_cli.documents.loaders.pdf_text import Run

CELL_CHARS: Final = 20
"""Shorter text is rather a table's cell than a line of running text."""


def rows_of(runs: Iterable[Run]) -> list[list[Run]]:
    """Runs side by side as one row, from top to bottom, each row from left to right."""
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: -(run.bottom + run.top)):
        if rows and is_beside(rows[-1][0], run):
            rows[-1].append(run)
        else:
            rows.append([run])
    for row in rows:
        row.sort(key=lambda run: run.x0)
    return rows


def is_beside(first: Run, second: Run) -> bool:
    """Whether both are on one line."""
    overlap = min(first.top, second.top) - max(first.bottom, second.bottom)
    return overlap > 0.5 * min(first.height, second.height)


def is_level(first: Run, second: Run) -> bool:
    """Whether they overlap in height, though their lines may differ, as in columns with lines of their own."""
    overlap = min(first.top, second.top) - max(first.bottom, second.bottom)
    return overlap > 0.3 * min(first.height, second.height)


def hull(row: Sequence[Run]) -> Run:
    """The row's longest run, made as wide as the row."""
    widest = max(row, key=lambda run: len(run.text))
    return widest._replace(x0=row[0].x0, x1=max(run.x1 for run in row), order=row[0].order)


def body_height(runs: Sequence[Run]) -> float:
    """The height of a line of the size in which most of the text is set."""
    chars: dict[float, int] = {}
    for run in runs:
        size = round(run.height, 1)
        chars[size] = chars.get(size, 0) + len(run.text)
    return max(chars, key=lambda size: chars[size], default=0.0)


def are_cells(runs: Sequence[Run]) -> bool:
    """Whether most are too short for lines of running text; a table may have been drawn column by column."""
    return 2 * sum(len(run.text) < CELL_CHARS for run in runs) > len(runs)


def goes_up(above: Run, run: Run) -> bool:
    """Whether `run` is about a line higher than what was drawn before it, and no exponent."""
    return run.bottom > above.bottom + 0.9 * max(run.height, above.height)
