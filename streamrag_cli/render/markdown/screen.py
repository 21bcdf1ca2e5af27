"""What is on the screen, and the fewest bytes that change it into what should be.

Above is what has been committed, which is never touched again; below it is the live region, always shorter than
the screen; the cursor waits at the beginning of the row after. A frame is one text, to be written at once. It
moves up only as far as the first row that differs, and never clears the screen.
"""

from collections.abc import Sequence
from typing import Final

from streamrag_cli.render.markdown.rows import Row

_BEGIN: Final = "\x1b[?2026h"  # a terminal that knows these shows the whole frame at once, and others ignore them
_END: Final = "\x1b[?2026l"
_CUT_LONG_ROWS: Final = "\x1b[?7l"
_WRAP_LONG_ROWS: Final = "\x1b[?7h"
_ERASE_TO_END_OF_ROW: Final = "\x1b[K"
_ERASE_BELOW: Final = "\x1b[J"
_RESET: Final = "\x1b[0m"
_ECHOED_CELLS: Final = 2  # of the ^C that a terminal shows where the cursor waits


class Screen:
    """Remembers the live region of a terminal of this size."""

    def __init__(self, columns: int, lines: int) -> None:
        self._columns = columns
        self._lines = lines
        self._live: list[Row] = []
        self._stale_rows = 0  # rows above the cursor that a resize has left behind

    @property
    def live_room(self) -> int:
        """How many rows the live region may have."""
        return max(0, self._lines - 1)

    def resize(self, columns: int, lines: int) -> None:
        """The terminal has another size, and has wrapped the rows that were too long for it, as most do."""
        narrower = columns < self._columns
        self._columns, self._lines = columns, lines
        if narrower or len(self._live) > self.live_room or self._stale_rows:
            self._stale_rows += sum(max(1, -(-row.cells // max(1, columns))) for row in self._live)
            self._live = []

    def frame(self, committed: Sequence[Row], live: Sequence[Row]) -> str:
        """What to write so that `committed` stands for good and `live` below it; "" when nothing changes."""
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
        moves = self._to_row(len(old) - same)
        new = enumerate(rows[same:], same)
        written = [self._written(row, at, len(committed), old, first=at == same) for at, row in new]
        below = _ERASE_BELOW if len(rows) < len(old) else ""
        return "".join((_BEGIN, moves, *written, below, _END))

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
        # Where a row ends at the edge, the cursor is on its last cell, which erasing would take.
        covered = sure and row.cells >= before.cells
        erase = "" if covered or row.cells >= self._columns else _ERASE_TO_END_OF_ROW
        return f"{text}{erase}\r\n"


def _added(before: str, after: str) -> str | None:
    """What to write at the end of the row `before` to make it `after`; None where it does not go on from there."""
    if after.startswith(before):
        return after[len(before) :]
    begun = before.removesuffix(_RESET)
    if begun == before or not after.startswith(begun):
        return None
    style = begun[begun.rindex("\x1b[") :]
    return style[: style.index("m") + 1] + after[len(begun) :]
