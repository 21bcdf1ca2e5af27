"""Tables in which only free text is wrapped, and their form in a pipe."""

import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TextIO

from streamrag_cli.text import sanitise_line

_GAP: Final = 2
_LEAST_FIRST_COLUMNS: Final = 16
_FEWEST_COLUMNS: Final = 2
"""Columns that are kept even if names must be shortened for them."""
_LEAST_LAST_COLUMNS: Final = 24
_INDENT: Final = "    "


def write_tabbed(out: TextIO, rows: Sequence[Sequence[str]]) -> None:
    """Write a line per row, with tabs between the cells and no header."""
    out.writelines("\t".join(map(sanitise_line, row)) + "\n" for row in rows)
    out.flush()


def local_time(moment: str) -> str:
    """Format an ISO 8601 time in the time zone of this machine, to the minute; "" is returned unchanged."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}" if moment else ""


def print_rows(
    out: TextIO,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table on a terminal. The columns `right` are aligned to the right; `styles` maps cells to styles.

    If a row does not fit, columns are dropped from the right, except a column of free text, which is wrapped, or on a
    narrow terminal printed below its row. The first column, a path or name, is shortened on the left.
    """
    from rich.cells import cell_len
    from rich.text import Text

    from streamrag_cli.render.consoles import console_for
    from streamrag_cli.render.source_rows import cut, shortened_path

    console = console_for(out, plain=False)
    room = console.width - 1
    cells = [[sanitise_line(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    has_text = heads[-1] == "reason"
    texts: list[str] = []
    if has_text:
        text_columns, texts = widths.pop(), [heads[-1], *(row[-1] for row in cells)]
        widths[0] = min(widths[0], max(room // 2, _LEAST_FIRST_COLUMNS))
        left = sum(widths) + _GAP * len(widths)
        is_below = room - left < min(text_columns, _LEAST_LAST_COLUMNS)
    else:
        while len(widths) > 1 and sum(widths[1:]) + _GAP * (len(widths) - 1) > room - min(
            widths[0], _least_first_columns(cells, room, has_names=len(widths) > _FEWEST_COLUMNS)
        ):
            widths.pop()
        widths[0] = min(widths[0], max(room - sum(widths[1:]) - _GAP * (len(widths) - 1), 1))
    for number, row in enumerate([list(heads), *cells]):
        line = Text(style="bold" if number == 0 else "")
        for column, width in enumerate(widths):
            cell = shortened_path(row[column], width) if column == 0 else cut(row[column], width)
            padding = " " * max(width - cell_len(cell), 0)
            if column:
                line.append(" " * _GAP)
            text = padding + cell if column in right else cell + padding
            line.append(text, style=(styles or {}).get(row[column], "") if number else "")
        below = [line]
        if texts and is_below:
            below += [
                Text(f"{_INDENT}{each}", style=line.style) for each in _wrapped(texts[number], room - len(_INDENT))
            ]
        elif texts:
            first, *others = _wrapped(texts[number], room - left) or [""]
            line.append(f"{' ' * _GAP}{first}")
            below += [Text(f"{' ' * left}{each}") for each in others]
        for each in below:
            each.rstrip()
            console.print(each, soft_wrap=True)


def _least_first_columns(rows: Sequence[Sequence[str]], room: int, *, has_names: bool) -> int:
    """The least width of the first column. With `has_names`, only names that are longer than `room` are shortened."""
    from rich.cells import cell_len

    names = (cell_len(row[0].rpartition("/")[2]) + 2 * ("/" in row[0]) for row in rows)
    return max(_LEAST_FIRST_COLUMNS, room // 2, *(name for name in names if has_names and name <= room))


def _wrapped(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, max(columns, 1), break_on_hyphens=False)
