"""The block that is still open, as it looks so far: it may be inexact, for the real one replaces it when it is final.

A frame costs the same however long the block has grown. A short block is rendered as it is; where only plain words
have come, they are put to the end of the last row; and once a block is long, its earlier rows are kept and only
its end is rendered. Of a block taller than the screen the newest rows are shown, and leave half a screen at a time.
"""

import re
from typing import Final

from streamrag_cli.render.markdown.blocks import Blocks
from streamrag_cli.render.markdown.long_blocks import LongTable, LongText
from streamrag_cli.render.markdown.parsing import parse_blocks
from streamrag_cli.render.markdown.rows import Row, RowRenderer

_SHORT_CHARS: Final = 240
_LONG_CHARS: Final = {"paragraph_open": 240, "blockquote_open": 240}
_LONG_OTHERS_CHARS: Final = 1200  # whose end may have blocks of its own, which are then shown as written
_MARKERS_ALONE: Final = re.compile(r"[ \t>]*([-+*#=|_`~: \t]*|\d{1,9}[.)]?[ \t]*|(`{3}|~{3})[^`]*)")
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ,.;'\"()/-]*")
_BEGINNING_CHARS: Final = 16
_TAIL_CHARS: Final = 12
_RESET: Final = "\x1b[0m"


class Preview:
    """Rows of the open block. `forget` it when the block has been committed or the width has changed."""

    def __init__(self, renderer: RowRenderer) -> None:
        self._renderer = renderer
        self.forget()

    def forget(self) -> None:
        self._long: LongText | LongTable | None = None
        self._source = ""
        self._rows: list[Row] = []
        self._shown_from = 0

    def rows(self, blocks: Blocks, *, after: bool, room: int) -> list[Row]:
        """At most `room` rows."""
        line = blocks.unfinished_line
        source = blocks.open_source + ("" if _MARKERS_ALONE.fullmatch(line) else line)
        if not source.strip() or not room:
            return []
        if source != self._source:
            self._rows = self._extended(source) or self._rendered(source, blocks, after=after)
            self._source = source
        head = self._long.head if isinstance(self._long, LongTable) else 0
        return self._rows[:head] + self._page(self._rows[head:], room - head) if head < room else self._rows[-room:]

    def _rendered(self, source: str, blocks: Blocks, *, after: bool) -> list[Row]:
        if self._long is not None:
            return self._long.rows(source)
        lines, _ = self._renderer.lines(source, after=after, goes_on=blocks.goes_on, start=blocks.start)
        if len(source) > _SHORT_CHARS:
            kind = _only_kind(source)
            if kind == "table_open":
                self._long = LongTable(self._renderer, source, after=after)
            elif kind and len(source) > _LONG_CHARS.get(kind, _LONG_OTHERS_CHARS):
                self._long = LongText.after(self._renderer, lines, source, kind=kind)
        return [self._renderer.row(line) for line in lines]

    def _extended(self, source: str) -> list[Row] | None:
        """The rows with plain words put to the last one; None if it takes more than that."""
        if not self._rows or not source.startswith(self._source):
            return None
        before = self._source.rstrip(" ")
        words, tail, last = source[len(before) :].rstrip(" "), before[-_BEGINNING_CHARS:], self._rows[-1]
        if isinstance(self._long, LongText) and self._long.joins_lines:
            words, tail = words.replace("\n", " "), tail.replace("\n", " ")
        else:
            line_at = before.rfind("\n") + 1
            begins = before[line_at : line_at + _BEGINNING_CHARS]  # where a mark may make a block of the line
            if len(begins) < _BEGINNING_CHARS or "#" in begins:
                return None
        if not _PLAIN.fullmatch(words) or not last.width_is_sure:
            return None
        text, end = (last.text[: -len(_RESET)], _RESET) if last.text.endswith(_RESET) else (last.text, "")
        cells = last.cells + len(words)
        if cells > self._renderer.columns or not text.endswith(tail[-_TAIL_CHARS:]):
            return None
        return [*self._rows[:-1], Row(text=text + words + end, cells=cells, width_is_sure=True)]

    def _page(self, rows: list[Row], room: int) -> list[Row]:
        if len(rows) - self._shown_from > room:
            self._shown_from = len(rows) - max(1, room // 2)
        self._shown_from = min(self._shown_from, max(0, len(rows) - 1))
        return rows[self._shown_from :]


def _only_kind(source: str) -> str:
    """What block `source` is, named as the parser names its first token; "" if there are several."""
    tops = [token.type for token in parse_blocks(source) if token.level == 0 and token.nesting >= 0]
    return tops[0] if len(tops) == 1 else ""
