"""Renders the open block, which is the last block of the text, as it looks so far. The final block replaces it.

A frame's cost does not depend on the block's length. A short block is rendered completely, plain words are
appended to the last row, and a long block is rendered only at its end. If a block is taller than the screen, its newest
rows are shown, scrolling by half a screen at a time.
"""

import re
from typing import Final

from streamrag_cli.render.markdown.blocks import LISTS, Blocks
from streamrag_cli.render.markdown.long_blocks import LongTable, LongText, can_be_continued
from streamrag_cli.render.markdown.rows import Part, Row, RowRenderer, plain_row
from streamrag_cli.render.markdown.slices import Preceding

_LONG_WORDS_CHARS: Final = 40
_LONG_TABLE_CHARS: Final = 240
_TEXT_BLOCKS: Final = frozenset({"paragraph_open", "blockquote_open"})
_LONG_OTHERS_CHARS: Final = 1200  # nested blocks at the end are then shown as source text
_ALWAYS_LONG_CHARS: Final = 2400
_ONLY_MARKERS: Final = re.compile(r"[ \t>]*([-+*#=|_`~: \t]*|\d{1,9}[.)]?[ \t]*|(`{3}|~{3})[^`]*)")
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ,.;'\"()/-]*")
_BEGINNING_CHARS: Final = 16
_TAIL_CHARS: Final = 12
_RESET: Final = "\x1b[0m"


class Preview:
    """Caches the rows of the open block. Call `forget` when the block is committed or the width changes."""

    def __init__(self, renderer: RowRenderer) -> None:
        self._renderer = renderer
        self.forget()

    def forget(self) -> None:
        self._long: LongText | LongTable | None = None
        self._source = ""
        self._rows: list[Row] = []
        self._shown_from = 0

    def rows(self, blocks: Blocks, *, preceding: Preceding) -> list[Row]:
        """All rows of the block, possibly more than fit on the screen."""
        line = blocks.unfinished_line
        source = blocks.open_source + ("" if _ONLY_MARKERS.fullmatch(line) or self._defines(line, blocks) else line)
        if not source.strip():
            return []
        if source != self._source:
            self._rows = self._extended(source) or self._rendered(source, blocks, preceding=preceding)
            self._source = source
        return self._rows

    def page(self, pending: list[Row], rows: list[Row], room: int) -> list[Row]:
        """The newest rows of the pending blocks and the open block, at most `room`. A long table keeps its header."""
        rows = [*pending, *rows] if pending else rows
        head = self._long.head if isinstance(self._long, LongTable) and not pending else 0
        if head >= room:
            return rows[-room:] if room else []
        return rows[:head] + self._newest(rows[head:], room - head)

    def _defines(self, line: str, blocks: Blocks) -> bool:
        return blocks.kind in {"", "definition"} and self._renderer.parser.definitions.is_hidden_definition(line)

    def _rendered(self, source: str, blocks: Blocks, *, preceding: Preceding) -> list[Row]:
        if not self._is_still_long(source, blocks):
            self._long = None
        if self._long is not None:
            return self._long.rows(source)
        part = Part(source, is_continuation=blocks.is_continuation, start=blocks.start)
        lines, kind = self._renderer.preview(part, preceding=preceding)
        if kind == "table_open" and len(source) > _LONG_TABLE_CHARS:
            self._long = LongTable(self._renderer, source, preceding=preceding)
        elif kind and lines and len(source) > self._long_chars(kind, source) and _may_be_long(source):
            indent = _indent_cells(kind, source, blocks.start)
            self._long = LongText(self._renderer, lines, source, kind=kind, indent=indent)
        return [self._renderer.row(line) for line in lines]

    def _is_still_long(self, source: str, blocks: Blocks) -> bool:
        """Whether the block still has the type for which `_long` was created."""
        long = self._long
        if isinstance(long, LongText):
            return blocks.kind != "table_open" and not (long.is_one_line and "\n" in source)
        return True

    def _long_chars(self, kind: str, source: str) -> int:
        """The number of characters above which a block of this kind counts as long."""
        if kind in _TEXT_BLOCKS or (kind in LISTS and "\n" not in source):
            return _LONG_WORDS_CHARS if "|" not in source else _LONG_TABLE_CHARS
        return _LONG_OTHERS_CHARS

    def _extended(self, source: str) -> list[Row] | None:
        """The rows, with the new words appended to the last row; None if the words contain markup or do not fit."""
        if not self._rows or not source.startswith(self._source):
            return None
        before = self._source.rstrip(" ")
        words, tail, last = source[len(before) :].rstrip(" "), before[-_BEGINNING_CHARS:], self._rows[-1]
        if isinstance(self._long, LongText) and self._long.joins_lines:
            words, tail = words.replace("\n", " "), tail.replace("\n", " ")
        else:
            line_at = before.rfind("\n") + 1
            begins = before[line_at : line_at + _BEGINNING_CHARS]  # a marker here may start a block
            if len(begins) < _BEGINNING_CHARS or "#" in begins:
                return None
        if not _PLAIN.fullmatch(words) or not last.width_is_sure:
            return None
        text, end = (last.text[: -len(_RESET)], _RESET) if last.text.endswith(_RESET) else (last.text, "")
        cells = last.cells + len(words)
        if cells > self._renderer.prose_columns or not text.endswith(tail[-_TAIL_CHARS:]):
            return None
        return [*self._rows[:-1], Row(text=text + words + end, cells=cells, width_is_sure=True)]

    def _newest(self, rows: list[Row], room: int) -> list[Row]:
        if len(rows) - self._shown_from > room:
            self._shown_from = len(rows) - max(1, room // 2)
        self._shown_from = min(self._shown_from, max(0, len(rows) - 1))
        return self._fitting(rows[self._shown_from :], room)

    def _fitting(self, rows: list[Row], room: int) -> list[Row]:
        """Shorten the rows if long lines of code, which the terminal wraps, make them higher than `room`.

        Only the end of such a line is shown, and the first rows are left out. A line that is cut here is shown
        completely when it is committed.
        """
        columns = self._renderer.columns
        if all(row.cells <= columns for row in rows):
            return rows
        tallest = max(1, room // 2)
        rows = [
            plain_row(row.plain[-tallest * columns // 2 :]) if row.live_height(columns) > tallest else row
            for row in rows
        ]
        while self._renderer.live_height(rows) > room:
            rows = rows[1:]
        return rows


def _indent_cells(kind: str, source: str, start: int | None) -> int:
    match kind:
        case "paragraph_open" | "code_block":
            return 0
        case "blockquote_open":
            return 2
        case "ordered_list_open":
            digits = re.match(r"\s*(\d+)", source)
            return len(str(int(digits[1] if start is None and digits else start or 1) + 1)) + 2
        case _:
            return 3


def _may_be_long(source: str) -> bool:
    return can_be_continued(source) or len(source) > _ALWAYS_LONG_CHARS
