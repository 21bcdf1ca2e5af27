"""A pyte screen that wraps rows again and keeps the cursor when it is resized, like most terminals.

pyte itself truncates rows on the right, and drops rows from the top even if the screen is empty below. It also drops
text after a joiner or variation selector, so these characters are removed here.
"""

import unicodedata
from typing import Any

import pyte
from wcwidth import wcwidth


class ReflowingScreen(pyte.HistoryScreen):
    """A screen with scrollback. Rows that were wrapped are joined again if the screen gets wider."""

    def __init__(self, columns: int, lines: int) -> None:
        self._wrapped_rows: set[int] = set()  # the `id` of rows that continue in the next row
        super().__init__(columns, lines, history=1_000_000)

    def draw(self, data: str) -> None:
        text = "".join(char for char in data if wcwidth(char) > 0 or unicodedata.combining(char))
        if self.cursor.x + 2 * len(text) <= self.columns or pyte.modes.DECAWM not in self.mode:
            super().draw(text)
            return
        for char in text:
            row, wraps = self.buffer[self.cursor.y], self.cursor.x == self.columns and wcwidth(char) > 0
            super().draw(char)
            if wraps:
                self._wrapped_rows.add(id(row))

    def linefeed(self) -> None:
        self._wrapped_rows.discard(id(self.buffer[self.cursor.y]))
        super().linefeed()

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        new_lines, new_columns = lines or self.lines, columns or self.columns
        if (new_lines, new_columns) == (self.lines, self.columns):
            return
        rows = [*self.history.top, *(self.buffer[y] for y in range(self.lines))]
        at = len(self.history.top) + self.cursor.y
        end = max([at, *(y for y, row in enumerate(rows) if _length(row))])
        wrapped, at = self._rewrapped(rows[: end + 1], at, new_columns)
        first = max(0, at - new_lines + 1)
        self.history.top.clear()
        self.history.top.extend(wrapped[:first])
        self.buffer.clear()
        for y, row in enumerate(wrapped[first : first + new_lines]):
            self.buffer[y] = row
        self.lines, self.columns = new_lines, new_columns
        self.cursor.y, self.cursor.x = at - first, min(self.cursor.x, new_columns - 1)
        self.margins = None
        self.tabstops = set(range(8, new_columns, 8))
        self.dirty.update(range(new_lines))

    def _rewrapped(self, rows: list[Any], at: int, columns: int) -> tuple[list[Any], int]:
        """Wrap the rows at the new width. Returns them, and the new index of the row that had index `at`."""
        lines: list[list[Any]] = []
        begins: list[int] = []
        continues = False
        for row in rows:
            cells = [row[x] for x in range(_length(row))]
            if continues:
                lines[-1] += cells
            else:
                lines.append(cells)
            begins.append(len(lines) - 1)
            continues = id(row) in self._wrapped_rows
        self._wrapped_rows.clear()
        wrapped: list[Any] = []
        starts: list[int] = []
        for cells in lines:
            starts.append(len(wrapped))
            parts = [cells[x : x + columns] for x in range(0, len(cells), columns)] or [[]]
            wrapped += [self._new_row(part) for part in parts]
            self._wrapped_rows.update(id(row) for row in wrapped[starts[-1] : -1])
        return wrapped, starts[begins[at]]

    def _new_row(self, cells: list[Any]) -> Any:
        row: Any = pyte.screens.StaticDefaultDict(self.default_char)
        row.update(enumerate(cells))
        return row


def _length(row: Any) -> int:
    return max((x + 1 for x, cell in row.items() if cell.data != " "), default=0)
