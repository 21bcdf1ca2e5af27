"""Computes the shortest output that updates the screen.

The screen contains committed rows, which never change. Below them is the live region, which is always shorter than the
screen. The cursor is at the beginning of the row below the live region. A frame is one string, which is written in one
call. It moves the cursor up only to the first row that differs, and never clears the screen.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from streamrag_cli.render.markdown.rows import Row

_BEGIN: Final = "\x1b[?2026h"  # synchronized output; terminals that do not support it ignore it
_END: Final = "\x1b[?2026l"
_CUT_LONG_ROWS: Final = "\x1b[?7l"
_WRAP_LONG_ROWS: Final = "\x1b[?7h"
_ERASE_TO_END_OF_ROW: Final = "\x1b[K"
_ERASE_BELOW: Final = "\x1b[J"
_RESET: Final = "\x1b[0m"
_ECHOED_CELLS: Final = 2  # a terminal echoes ^C at the cursor


class Screen:
    """Tracks a terminal's live region."""

    to_beginning: ClassVar = "\r"
    """Moves the cursor to the beginning of its row."""

    def __init__(self, columns: int, lines: int) -> None:
        self._columns = columns
        self._lines = lines
        self._live: list[Row] = []
        self._stale_rows = 0  # rows above the cursor that a resize has left behind

    @property
    def live_room(self) -> int:
        """The maximum number of live rows."""
        return max(0, self._lines - 1)

    def resize(self, columns: int, lines: int) -> None:
        """Record the new terminal size. Assumes that the terminal wraps rows that are now too long, as most do."""
        narrower = columns < self._columns
        self._columns, self._lines = columns, lines
        if narrower or self._height(self._live) > self.live_room or self._stale_rows:
            self._stale_rows += sum(max(1, -(-row.cells // max(1, columns))) for row in self._live)
            self._live = []

    def frame(self, committed: Sequence[Row], live: Sequence[Row]) -> str:
        """The output that commits `committed` and shows `live` below it; "" if nothing changes."""
        rows = [*committed, *live]
        old = self._live
        same = 0
        for before, after in zip(old, rows, strict=False):
            if (before is not after and before != after) or not (after.width_is_sure or same >= len(committed)):
                break
            same += 1
        self._live = list(live)
        if same == len(old) == len(rows) and not self._stale_rows:
            return ""
        moves = self._to_row(self._height(old[same:]))
        if any(row.cells > self._columns for row in (*old[same:], *rows[same:])):
            return "".join((_BEGIN, moves, *self._wrapped(rows[same:], live=len(live)), _ERASE_BELOW, _END))
        if not all(row.width_is_sure for row in committed[same:]):
            moves, old = moves + _ERASE_BELOW, []  # a row that the terminal wraps would keep cells of the old row below
        new = enumerate(rows[same:], same)
        written = [self._written(row, at, len(committed), old, first=at == same) for at, row in new]
        below = _ERASE_BELOW if len(rows) < len(old) else ""
        return "".join((_BEGIN, moves, *written, below, _END))

    def _height(self, rows: Sequence[Row]) -> int:
        return sum(row.live_height(self._columns) for row in rows)

    def _wrapped(self, rows: Sequence[Row], *, live: int) -> Iterator[str]:
        """The output for `rows` if the terminal wraps some of them, or has wrapped some of the rows they replace."""
        # A wide character that does not fit into a row leaves a cell of the old text.
        if any(len(row.plain) != row.cells or not row.width_is_sure for row in rows if row.cells > self._columns):
            yield _ERASE_BELOW
        for at, row in enumerate(rows, live - len(rows)):
            text = f"{_CUT_LONG_ROWS}{row.text}{_WRAP_LONG_ROWS}" if at >= 0 and not row.width_is_sure else row.text
            fills_row = row.cells >= self._columns and (row.cells % self._columns == 0 or not row.width_is_sure)
            yield f"{text}{'' if fills_row else _ERASE_TO_END_OF_ROW}\r\n"

    def _to_row(self, up: int) -> str:
        stale, self._stale_rows = min(self._stale_rows, self.live_room), 0
        if stale:
            return f"\r\x1b[{stale}A{_ERASE_BELOW}"
        return f"\r\x1b[{up}A" if up else "\r"

    def _written(self, row: Row, at: int, committed: int, old: Sequence[Row], *, first: bool) -> str:
        before = old[at] if at < len(old) else None
        text = row.text
        if not row.width_is_sure and at >= committed:
            text = f"{_CUT_LONG_ROWS}{text}{_WRAP_LONG_ROWS}"
        if before is None:
            erase = _ERASE_TO_END_OF_ROW if at == len(old) and row.cells < _ECHOED_CELLS else ""
            return f"{text}{erase}\r\n"
        sure = before.width_is_sure and row.width_is_sure
        added = _added(before.text, row.text) if first and sure and before.cells else None
        if added is not None:
            return f"\x1b[{before.cells}C{added}\r\n"
        # After a full-width row, the cursor is on its last cell, which erasing would remove.
        covered = sure and row.cells >= before.cells
        erase = "" if covered or row.cells >= self._columns else _ERASE_TO_END_OF_ROW
        return f"{text}{erase}\r\n"


class Appending(Screen):
    """Only appends committed rows, and never moves the cursor."""

    to_beginning: ClassVar = ""

    def frame(self, committed: Sequence[Row], live: Sequence[Row]) -> str:
        del live
        return "".join(f"{row.text}\n" for row in committed)


def _added(before: str, after: str) -> str | None:
    """The text to append to the row `before` to turn it into `after`; None if `after` does not start with it."""
    if after.startswith(before):
        return after[len(before) :]
    prefix = before.removesuffix(_RESET)
    if prefix == before or not after.startswith(prefix):
        return None
    style = prefix[prefix.rindex("\x1b[") :]
    return style[: style.index("m") + 1] + after[len(prefix) :]
