"""Renders only the end of long open blocks, and keeps the earlier rows."""

import re
from typing import Final, Literal, TypeAlias

from rich.segment import Segment
from rich.text import Text

from streamrag_cli.render.markdown.blocks import LISTS
from streamrag_cli.render.markdown.rows import Part, Row, RowRenderer
from streamrag_cli.render.markdown.slices import Preceding

Line: TypeAlias = list[Segment]

_SETTLED_CHARS: Final = 24
_LONGEST_UNSETTLED_CHARS: Final = 600
_PAIRED: Final = ("**", "*", "`", "__", "_", "~~")
_QUOTE_MARKS: Final = re.compile(r"^[ \t]*>[> \t]*", re.MULTILINE)
_LAID_OUT_AGAIN_ROWS: Final = 60
_GAP_CELLS: Final = 2  # between two columns, as in Rich's simple box
_CELL_BORDER: Final = re.compile(r"(?<!\\)\|")


class LongText:
    """A long paragraph, which may be inside a quote or a list.

    Settled rows are kept. The row after them is wrapped again together with the text that is not settled yet.
    """

    def __init__(self, renderer: RowRenderer, lines: list[Line], source: str, *, kind: str, indent: int) -> None:
        self._renderer = renderer
        self._room = renderer.prose_columns - indent * (2 if kind == "blockquote_open" else 1)
        self._prefix = _prefix(kind, indent)
        self._is_quote = kind == "blockquote_open"
        self._keeps_lines = kind not in {"paragraph_open", "blockquote_open"}
        last = Text.assemble(*((segment.text, segment.style or "") for segment in lines[-1]))
        self._settled = [renderer.row(line) for line in lines[:-1]]
        self._last_prefix, self._last = last[:indent], last[indent:]
        self._last.rstrip()
        self._taken_chars = len(source.rstrip())
        self.joins_lines = kind == "paragraph_open"
        self.is_one_line = kind in LISTS and "\n" not in source

    def rows(self, source: str) -> list[Row]:
        unsettled = source[self._taken_chars :]
        lines = self._wrapped(unsettled)
        rows = [self._row(line, self._prefix if number else self._last_prefix) for number, line in enumerate(lines)]
        shown = self._settled + rows
        if _may_be_settled(unsettled):
            self._settled += rows[:-1]
            if len(lines) > 1:
                self._last_prefix = Text(self._prefix)
            self._last = lines[-1].copy()
            self._last.rstrip()
            self._taken_chars = len(source.rstrip())
        return shown

    def _wrapped(self, source: str) -> list[Text]:
        if self._is_quote:
            source = _QUOTE_MARKS.sub("", source)
        text = self._last.copy()
        for number, line in enumerate(source.split("\n") if self._keeps_lines else (source,)):
            text.append_text(Text("\n")) if number else None
            text.append_text(self._renderer.inline(line))
        return self._renderer.wrapped(text, self._room)

    def _row(self, line: Text, prefix: Text | str) -> Row:
        return self._renderer.text_row(Text.assemble(prefix, line))


class LongTable:
    """A long table, whose columns keep their widths until a wider cell arrives.

    If all columns fit, a row is built directly from its cells. Otherwise, Rich lays out each new row together with the
    rows that have the widest cells, which are then removed from the result. `head` is the number of header rows.
    """

    def __init__(self, renderer: RowRenderer, source: str, *, preceding: Preceding) -> None:
        self._renderer = renderer
        names, marks = source.split("\n")[:2]
        self._header = f"{names}\n{marks}\n"
        self._justified = [_justified(mark) for mark in _cells(marks)]
        self._taken_chars = len(self._header)
        self._preceding = preceding
        self._widest = [(0, "")] * len(self._justified)
        self._body: list[Row] = []
        self._note_widths(names)
        self.head = len(self._rows(self._header))
        self._size()

    def rows(self, source: str) -> list[Row]:
        complete, newline, unfinished = source[self._taken_chars :].rpartition("\n")
        if newline:
            self._take(complete.split("\n"), source)
        return self._head_rows + self._body + (self._laid_out([unfinished]) if unfinished else [])

    def _take(self, lines: list[str], source: str) -> None:
        self._taken_chars = source.rindex("\n") + 1
        wider = [line for line in lines if self._note_widths(line)]
        if wider:
            self._size()
            lines = source[len(self._header) : self._taken_chars].split("\n")[:-1][-_LAID_OUT_AGAIN_ROWS:]
            self._body = []
        self._body += self._laid_out(lines)

    def _note_widths(self, line: str) -> bool:
        """Record the cells of `line` that are the widest in their column. Return False if there are none."""
        before = self._widest.copy()
        for column, cell in enumerate(self._words(line)):
            if cell.cell_len > self._widest[column][0]:
                self._widest[column] = (cell.cell_len, line)
        return self._widest != before

    def _words(self, line: str) -> list[Text]:
        return [self._renderer.inline(cell.strip()) for cell in _cells(line)[: len(self._widest)]]

    def _size(self) -> None:
        sized_by = dict.fromkeys(line for _, line in self._widest if line and line not in self._header)
        self._template = "\n".join((self._header.rstrip("\n"), *sized_by))
        template = self._rows(self._template)
        self._sizing_rows = len(template)
        self._head_rows = template[: self.head]
        self._fits = sum(width + _GAP_CELLS for width, _ in self._widest) <= self._renderer.columns

    def _laid_out(self, lines: list[str]) -> list[Row]:
        if self._fits and not any("<br" in line.lower() for line in lines):
            return [self._side_by_side(line) for line in lines]
        return self._rows("\n".join((self._template, *lines)))[self._sizing_rows :]

    def _side_by_side(self, line: str) -> Row:
        row = Text(" ")
        for cell, (width, _), justified in zip(self._words(line), self._widest, self._justified, strict=False):
            cell.align(justified, width)
            row.append_text(cell).append(" " * _GAP_CELLS)
        return self._renderer.text_row(row)

    def _rows(self, source: str) -> list[Row]:
        return [self._renderer.row(line) for line in self._renderer.preview(Part(source), preceding=self._preceding)[0]]


def _cells(line: str) -> list[str]:
    return _CELL_BORDER.split(line.strip().removeprefix("|").removesuffix("|"))


def _justified(mark: str) -> Literal["left", "center", "right"]:
    if not mark.strip().endswith(":"):
        return "left"
    return "center" if mark.strip().startswith(":") else "right"


def _prefix(kind: str, indent: int) -> str:
    return "▌ " if kind == "blockquote_open" else " " * indent


def _may_be_settled(source: str) -> bool:
    return len(source) > _LONGEST_UNSETTLED_CHARS or (len(source) >= _SETTLED_CHARS and can_be_continued(source))


def can_be_continued(source: str) -> bool:
    """Whether more words can follow `source` without changing its look: no markup is open or may have just begun."""
    return source.rstrip()[-1:].isalnum() and _is_closed(source)


def _is_closed(source: str) -> bool:
    """Whether all markup seems closed."""
    for mark in _PAIRED:
        if source.count(mark) % 2:
            return False
        source = source.replace(mark, "")
    in_address = source.rfind("](") > source.rfind(")") or source.rfind("<") > source.rfind(">")
    return source.count("[") == source.count("]") and not in_address
