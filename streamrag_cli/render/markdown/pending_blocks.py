"""Keeps final blocks live while later text may still change how they look.

There are three such changes:

- A link definition may come after a link that uses it.
- The last number of an ordered list determines the width of all its numbers.
- An image in a list or quote, or a rule at the end of a quote, changes what Rich prints above it.

A block with an undefined label, an open list or an open quote therefore stays live, together with all blocks after it,
as long as it fits on the screen. When it no longer fits, the oldest block is committed with its current look.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final

from rich.text import Text

from streamrag_cli.render.markdown.rows import Part, Row, RowRenderer
from streamrag_cli.render.markdown.slices import Preceding

_LONGEST_LIST_ROWS: Final = 300
"""A list with one-digit numbers is held back up to this length, even if it no longer fits on the screen."""


@dataclass(slots=True)
class _Unit:
    """An entry in the queue: a part, or lines of code. `height` is its number of terminal rows."""

    rows: list[Row]
    preceding: Preceding
    part: Part | None = None
    unresolved: set[str] = field(default_factory=set)
    is_open: bool = False
    lines: list[Text] = field(default_factory=list)
    height: int = 0

    @property
    def may_change(self) -> bool:
        return self.is_open or bool(self.unresolved)

    @property
    def may_widen_numbers(self) -> bool:
        last_number = self.part.last_number if self.part is not None and self.is_open else None
        return last_number is not None and last_number < 10 and len(self.rows) <= _LONGEST_LIST_ROWS


class PendingBlocks:
    """A queue of final blocks. Returns their rows in order when they can no longer change or must be committed."""

    def __init__(self, renderer: RowRenderer) -> None:
        self.last = Preceding.NOTHING  # what precedes the next block
        self._renderer = renderer
        self._units: deque[_Unit] = deque()
        self._known_definitions = 0

    @property
    def rows(self) -> list[Row]:
        return [row for unit in self._units for row in unit.rows]

    def add(self, part: Part, *, is_open: bool) -> None:
        last = self._units[-1] if self._units else None
        if part.is_continuation and last is not None and last.part is not None and last.is_open:
            self._continue(last, last.part, part, is_open=is_open)
            return
        unit = _Unit([], self.last, part=part, is_open=is_open)
        self._render(unit, part)
        self._units.append(unit)

    def add_code(self, lines: list[Text]) -> None:
        """Add lines of code, or the blank rows around a fence."""
        unit = _Unit([], self.last, lines=lines)
        self._show(unit, self._renderer.code(lines))
        self._units.append(unit)

    def resolve_links(self) -> None:
        """Render blocks with undefined labels again if new definitions have arrived."""
        definitions = self._renderer.parser.definitions
        if len(definitions) == self._known_definitions:
            return
        self._known_definitions = len(definitions)
        last = self.last
        for unit in self._units:
            if unit.part is not None and not unit.unresolved.isdisjoint(definitions):
                self._render(unit, unit.part)
        self.last = last

    def relayout(self) -> None:
        """Render all blocks again after the width has changed."""
        last = self.last
        for unit in self._units:
            if unit.part is not None:
                self._render(unit, unit.part)
            else:
                self._show(unit, self._renderer.code(unit.lines))
        self.last = last

    def take_settled(self) -> list[Row]:
        """Remove the leading blocks that can no longer change, and return their rows."""
        rows: list[Row] = []
        while self._units and not self._units[0].may_change:
            rows += self._units.popleft().rows
        return rows

    def commit_oldest(self, room: int, *, wait_for_numbers: bool = True) -> list[Row]:
        """Remove the oldest blocks until at most `room` rows are left, and return their rows.

        With `wait_for_numbers`, an ordered list that may still widen its numbers is kept even beyond `room`.
        """
        rows: list[Row] = []
        height = sum(unit.height for unit in self._units)
        while self._units and height > room:
            if wait_for_numbers and self._units[0].may_widen_numbers:
                break
            unit = self._units.popleft()
            height -= unit.height
            rows += unit.rows
            self._renderer.parser.definitions.late |= unit.unresolved
        return rows

    def _continue(self, unit: _Unit, first: Part, part: Part, *, is_open: bool) -> None:
        whole = replace(first, source=first.source + part.source, last_number=part.last_number)
        unit.part, unit.is_open = whole, is_open
        if is_open and len(str(whole.last_number)) == len(str(first.last_number)):
            rendered = self._renderer.final(part, preceding=self.last)
            self.last = rendered.last
            unit.rows += rendered.rows
            unit.height += self._renderer.live_height(rendered.rows)
            unit.unresolved |= rendered.unresolved
        else:
            self._render(unit, whole)

    def _render(self, unit: _Unit, part: Part) -> None:
        rendered = self._renderer.final(part, preceding=unit.preceding)
        unit.unresolved, self.last = rendered.unresolved, rendered.last
        self._show(unit, rendered.rows)

    def _show(self, unit: _Unit, rows: list[Row]) -> None:
        unit.rows, unit.height = rows, self._renderer.live_height(rows)
