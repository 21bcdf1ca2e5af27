"""Final blocks that are kept live for a while, because what is still to come may change how they look.

Three things may. A link definition may come after its use. The last number of an ordered list decides how much room
all its numbers get. And a picture in a list or quote, or a rule at the end of a quote, changes what Rich puts above
it. So a block with a label that has no definition waits, a list or quote waits until it ends, and what follows waits
with them, as long as there is room on the screen. What has to give way is committed as it looks by then.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final

from rich.text import Text

from streamrag_cli.render.markdown.rows import Part, Row, RowRenderer
from streamrag_cli.render.markdown.slices import Above

_LONGEST_LIST_ROWS: Final = 300  # of a list with numbers of one digit, which is kept back beyond the screen


@dataclass(slots=True)
class _Unit:
    """A part, or lines of code."""

    rows: list[Row]
    above: Above
    part: Part | None = None
    missed: set[str] = field(default_factory=set)
    is_open: bool = False
    lines: list[Text] = field(default_factory=list)

    @property
    def may_change(self) -> bool:
        return self.is_open or bool(self.missed)

    @property
    def may_widen_numbers(self) -> bool:
        last_number = self.part.last_number if self.part is not None and self.is_open else None
        return last_number is not None and last_number < 10 and len(self.rows) <= _LONGEST_LIST_ROWS


class PendingBlocks:
    """Takes final blocks in order; gives their rows, in order, when they are settled or must give way."""

    def __init__(self, renderer: RowRenderer) -> None:
        self.last = Above.NOTHING  # what a block that follows will be below
        self._renderer = renderer
        self._units: deque[_Unit] = deque()
        self._known_definitions = 0

    @property
    def rows(self) -> list[Row]:
        return [row for unit in self._units for row in unit.rows]

    def add(self, part: Part, *, is_open: bool) -> None:
        last = self._units[-1] if self._units else None
        if part.goes_on and last is not None and last.part is not None and last.is_open:
            self._continue(last, last.part, part, is_open=is_open)
            return
        unit = _Unit([], self.last, part=part, is_open=is_open)
        self._render(unit, part)
        self._units.append(unit)

    def add_code(self, lines: list[Text]) -> None:
        """Lines of code, and the blank rows around them."""
        self._units.append(_Unit(self._renderer.code(lines), self.last, lines=lines))

    def mend(self) -> None:
        """Look again at what had no definition, if there are new ones."""
        definitions = self._renderer.parser.definitions
        if len(definitions) == self._known_definitions:
            return
        self._known_definitions = len(definitions)
        last = self.last
        for unit in self._units:
            if unit.part is not None and not unit.missed.isdisjoint(definitions):
                self._render(unit, unit.part)
        self.last = last

    def relayout(self) -> None:
        """The width has changed."""
        last = self.last
        for unit in self._units:
            if unit.part is not None:
                self._render(unit, unit.part)
            else:
                unit.rows = self._renderer.code(unit.lines)
        self.last = last

    def settled(self) -> list[Row]:
        """Take what nothing can change any more."""
        rows: list[Row] = []
        while self._units and not self._units[0].may_change:
            rows += self._units.popleft().rows
        return rows

    def commit_oldest(self, room: int, *, wait_for_numbers: bool = True) -> list[Row]:
        """Take the oldest until no more than `room` rows are left; a list with few items so far may have more."""
        rows: list[Row] = []
        height = sum(len(unit.rows) for unit in self._units)
        while self._units and height > room:
            if wait_for_numbers and self._units[0].may_widen_numbers:
                break
            unit = self._units.popleft()
            height -= len(unit.rows)
            rows += unit.rows
            self._renderer.parser.definitions.late |= unit.missed
        return rows

    def _continue(self, unit: _Unit, begun: Part, part: Part, *, is_open: bool) -> None:
        whole = replace(begun, source=begun.source + part.source, last_number=part.last_number)
        unit.part, unit.is_open = whole, is_open
        if is_open and len(str(whole.last_number)) == len(str(begun.last_number)):
            rendered = self._renderer.final(part, above=Above.BLOCK)
            unit.rows += rendered.rows
            unit.missed |= rendered.missed
        else:
            self._render(unit, whole)

    def _render(self, unit: _Unit, part: Part) -> None:
        rendered = self._renderer.final(part, above=unit.above)
        unit.rows, unit.missed, self.last = rendered.rows, rendered.missed, rendered.last
