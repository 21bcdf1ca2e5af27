"""Builds a document's text from inline text and block boundaries, like the layout of a browser.

White space is collapsed, blocks are separated by a blank line, and table rows become one line with ` | ` between cells.
Code blocks are fenced, as in Markdown.
"""

import re
from dataclasses import dataclass, field

from streamrag_cli.documents.loaders.lines import closed_term
from streamrag_cli.documents.outline import Heading, clean_heading

_TICKS = re.compile(r"`{3,}")
_SPACES = re.compile(r"[ \t\n\f]+")


@dataclass(slots=True)
class Flow:
    """The finished lines of text and the open line, which is not finished yet.

    `line` is the line of the file, counted from 1, on which the last piece of text ended. A piece of text whose line is
    unknown begins there.
    """

    preformatted: int = 0
    line: int = 1
    _lines: list[str] = field(default_factory=list)
    _line_numbers: list[int] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)
    _open_number: int = 1
    _length: int = 0
    _blank_due: bool = False
    _after_term: str = ""  # the separator after the open line if it is a term whose definition follows
    _marker: str = ""
    _rows: list[int] = field(default_factory=list)
    _in_blocks: list[bool] = field(default_factory=list)
    _headings: list[Heading] = field(default_factory=list)
    _heading: tuple[int, int, int] | None = None
    _fence: str | None = None  # the opening fence, written before the first line of code
    _code_at: int | None = None  # the index of the line with the open fence

    def add(self, text: str, line: int | None) -> None:
        """Add inline text that begins on `line` in the file or, if it is None, where the last piece of text ended."""
        self.line = line if line is not None and line >= self.line else self.line
        if self.preformatted and not self._rows:
            first, *rest = text.split("\n")
            self._append(first, self.line)
            for each in rest:
                self.end_line(None)
                self.line += 1
                self._append(each, self.line)
            return
        folded = _SPACES.sub(" ", text)
        if folded.strip(" "):
            self._after_term = ""
            before = text[: len(text) - len(text.lstrip(" \t\n\f"))].count("\n")
            self._append(folded, self.line + before)
        elif folded and self._open:
            self._append(" ", self.line)
        self.line += text.count("\n")

    @property
    def offset(self) -> int:
        """The offset in the text at which the open line begins or, if no line is open, the next line will begin."""
        return self._length

    def skip_to(self, line: int) -> None:
        """Skip hidden content that ends on `line`."""
        self.line = max(self.line, line)

    def end_line(self, line: int | None) -> None:
        """Add a line break inside a block."""
        self.line = max(self.line, line or 0)
        if self._rows or self._heading is not None:
            self._append(" ", self.line)
        elif self.preformatted:
            self._emit("".join(self._open).rstrip())
        else:
            self._flush()

    def end_block(self, *, tight: bool) -> None:
        """End the open line. Unless the block is `tight`, a blank line precedes the next text."""
        if self._rows:
            self._append(" ", self.line)
            return
        self._flush()
        self._blank_due = self._blank_due or not tight

    def close_term(self, separator: str) -> None:
        """End a term in a definition list. The next text follows on the same line, after `separator`.

        A block that is not a paragraph still begins on a new line.
        """
        term = "".join(self._open).rstrip()
        if self._rows or self.preformatted or not term:
            self.end_block(tight=True)
            return
        self._open = [closed_term(term, separator), " "]
        self._after_term = separator

    def begin_block(self, *, tight: bool, follows_term: bool) -> None:
        """End the open line before a block, unless it is a term followed by its definition or by another term."""
        if not (self._after_term and (follows_term or self._after_term == ",")):
            self.end_block(tight=tight)

    def mark(self, marker: str) -> None:
        """Put `marker`, such as `- `, before the next line of text."""
        self._marker = marker

    def open_table(self, *, in_blocks: bool) -> None:
        """Begin a table with one line per row, or with one block per cell if `in_blocks`."""
        self._in_blocks.append(in_blocks)

    def close_table(self) -> None:
        self._in_blocks.pop()

    def open_row(self) -> None:
        """Begin a table row. Its text is written on one line, unless the cells of the table are blocks."""
        if self._in_blocks and self._in_blocks[-1]:
            return
        if self._rows:
            self._flush()
        self._rows.append(0)

    def open_cell(self) -> None:
        if self._in_blocks and self._in_blocks[-1]:
            self.end_block(tight=False)
        elif self._rows:
            if self._rows[-1]:
                self._append(" | ", self.line)
            self._rows[-1] += 1

    def close_row(self) -> None:
        if self._in_blocks and self._in_blocks[-1]:
            self.end_block(tight=False)
        elif self._rows:
            self._flush()
            self._rows.pop()

    def open_preformatted(self, *, is_code: bool, language: str = "") -> None:
        """Begin preformatted text, in which white space is kept. Code is fenced, except in a table row."""
        self.preformatted += 1
        if is_code and self.preformatted == 1 and not self._rows:
            self._fence = f"```{language}"

    def close_preformatted(self) -> None:
        self.preformatted -= 1
        if self.preformatted:
            return
        self._fence = None
        if self._code_at is None:
            return
        while not self._lines[-1]:
            self._lines.pop()
            self._line_numbers.pop()
            self._length -= 1
        runs = _TICKS.findall("\n".join(self._lines[self._code_at + 1 :]))
        extra = "`" * (max(map(len, runs), default=2) - 2)
        self._lines[self._code_at] = extra + self._lines[self._code_at]
        self._length += len(extra)
        self._put(f"```{extra}", self._line_numbers[-1])
        self._code_at = None
        self._blank_due = True

    def open_heading(self, level: int) -> None:
        if self._rows:
            self._flush()
        self._heading = (level, len(self._lines), self._length)
        self._marker = f"{'#' * level} "

    def close_heading(self) -> None:
        self._flush()
        if self._heading is None:
            return
        level, first_line, start = self._heading
        self._heading, self._marker = None, ""
        text = clean_heading(" ".join(self._lines[first_line:]).lstrip("# "))
        self._headings.append(Heading(start=start, level=level, text=text))
        self._blank_due = True

    def finish(self) -> tuple[str, list[Heading], list[int]]:
        """Return the text, its headings, and for each line of the text its line number in the file."""
        self._flush()
        return "\n".join(self._lines), self._headings, self._line_numbers or [1]

    def _append(self, piece: str, line: int) -> None:
        if piece and not self._open:
            self._open_number = line
        if piece:
            self._open.append(piece)

    def _flush(self) -> None:
        self._after_term = ""
        text = "".join(self._open)
        text = text.rstrip() if self.preformatted else _SPACES.sub(" ", text).strip(" ")
        if self._rows:
            text = "" if not text.strip("| ") else text.removeprefix("| ")
        if text:
            self._emit(text)
        self._open.clear()

    def _emit(self, text: str) -> None:
        if not text and (self._blank_due or self._fence is not None or not self._lines):
            return
        if self._blank_due:
            self._blank_due = False
            if self._lines:
                self._put("", self._open_number)
        if self._fence is not None:
            self._code_at, self._marker = len(self._lines), ""
            self._put(self._fence, self._open_number)
            self._fence = None
        self._put(self._marker + text if text else text, self._open_number)
        if text:
            self._marker = ""
        self._open.clear()
        self._open_number = self.line

    def _put(self, line: str, number: int) -> None:
        self._lines.append(line)
        self._line_numbers.append(max(number, self._line_numbers[-1] if self._line_numbers else 1))
        self._length += len(line) + 1
