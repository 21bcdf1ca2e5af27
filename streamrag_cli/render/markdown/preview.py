"""The block that is still open, as it looks so far: it may be inexact, for the real one replaces it when it is final.

A frame costs the same however long the block has grown. A short block is rendered as it is; where only plain words
have come, they are put to the end of the last row; and once a block is long, its earlier rows are kept and only
its end is rendered. Of a block taller than the screen the newest rows are shown, and leave half a screen at a time.
"""

import re
from typing import Final

from streamrag_cli.render.markdown.blocks import LISTS, Blocks
from streamrag_cli.render.markdown.long_blocks import LongTable, LongText, can_be_continued
from streamrag_cli.render.markdown.rows import Part, Row, RowRenderer
from streamrag_cli.render.markdown.slices import Above

_LONG_WORDS_CHARS: Final = 40
_LONG_TABLE_CHARS: Final = 240
_WORDS_ALONE: Final = frozenset({"paragraph_open", "blockquote_open"})
_LONG_OTHERS_CHARS: Final = 1200  # whose end may have blocks of its own, which are then shown as written
_LONG_ANYHOW_CHARS: Final = 2400
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

    def rows(self, blocks: Blocks, *, above: Above) -> list[Row]:
        """All rows of the block, more perhaps than there is room for."""
        line = blocks.unfinished_line
        source = blocks.open_source + ("" if _MARKERS_ALONE.fullmatch(line) or self._defines(line, blocks) else line)
        if not source.strip():
            return []
        if source != self._source:
            self._rows = self._extended(source) or self._rendered(source, blocks, above=above)
            self._source = source
        return self._rows

    def page(self, above: list[Row], rows: list[Row], room: int) -> list[Row]:
        """What of `above` and of the open block's rows is shown in `room` rows: the newest, and a table's head."""
        rows = [*above, *rows] if above else rows
        head = self._long.head if isinstance(self._long, LongTable) and not above else 0
        if head >= room:
            return rows[-room:] if room else []
        return rows[:head] + self._newest(rows[head:], room - head)

    def _defines(self, line: str, blocks: Blocks) -> bool:
        return blocks.kind in {"", "definition"} and self._renderer.parser.definitions.is_hidden_definition(line)

    def _rendered(self, source: str, blocks: Blocks, *, above: Above) -> list[Row]:
        if not self._goes_on(source, blocks):
            self._long = None
        if self._long is not None:
            return self._long.rows(source)
        part = Part(source, goes_on=blocks.goes_on, start=blocks.start)
        lines, kind = self._renderer.preview(part, above=above)
        if kind == "table_open" and len(source) > _LONG_TABLE_CHARS:
            self._long = LongTable(self._renderer, source, above=above)
        elif kind and lines and len(source) > self._long_chars(kind, source) and _may_be_long(source):
            indent = _indent_cells(kind, source, blocks.start)
            self._long = LongText(self._renderer, lines, source, kind=kind, indent=indent)
        return [self._renderer.row(line) for line in lines]

    def _goes_on(self, source: str, blocks: Blocks) -> bool:
        """Whether the long block is still what it seemed to be."""
        long = self._long
        if isinstance(long, LongText):
            return blocks.kind != "table_open" and not (long.is_one_line and "\n" in source)
        return True

    def _long_chars(self, kind: str, source: str) -> int:
        """From how many characters on such a block is long."""
        if kind in _WORDS_ALONE or (kind in LISTS and "\n" not in source):
            return _LONG_WORDS_CHARS if "|" not in source else _LONG_TABLE_CHARS
        return _LONG_OTHERS_CHARS

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

    def _newest(self, rows: list[Row], room: int) -> list[Row]:
        if len(rows) - self._shown_from > room:
            self._shown_from = len(rows) - max(1, room // 2)
        self._shown_from = min(self._shown_from, max(0, len(rows) - 1))
        return rows[self._shown_from :]


def _indent_cells(kind: str, source: str, start: int | None) -> int:
    match kind:
        case "paragraph_open":
            return 0
        case "blockquote_open":
            return 2
        case "code_block":
            return 1
        case "ordered_list_open":
            digits = re.match(r"\s*(\d+)", source)
            return len(str(int(digits[1] if start is None and digits else start or 1) + 1)) + 2
        case _:
            return 3


def _may_be_long(source: str) -> bool:
    return can_be_continued(source) or len(source) > _LONG_ANYHOW_CHARS
