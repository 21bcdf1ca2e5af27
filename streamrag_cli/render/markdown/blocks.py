"""Which part of a growing Markdown text is final: its lines can be shown for good, whatever follows.

Only complete lines are parsed, by block rules alone. All before the first line of the last block is final, and so
are a heading, and a paragraph, table or quote with a blank line after it. A list is final up to its last item, a
quote up to its last child, and of a code fence every line. What is final leaves the source, so the rest stays
short; where one block grows long, it is parsed again only when it has grown by a quarter.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from markdown_it.token import Token

from streamrag_cli.render.markdown.parsing import parse_blocks
from streamrag_cli.text import sanitise_line

_PARSED_ALWAYS_CHARS: Final = 1000
_ENDED_AT_ONCE: Final = frozenset({"heading_open", "hr"})
_ENDED_BY_BLANK: Final = frozenset({"paragraph_open", "table_open", "blockquote_open"})
_LISTS: Final = frozenset({"bullet_list_open", "ordered_list_open"})
_MAY_START_A_BLOCK: Final = re.compile(r"[ \t]|#|>|[-+*](?:[ \t]|$)|\d{1,9}[.)]|`{3}|~{3}|[-=_*|:][-=_*|: \t]*$")


@dataclass(frozen=True, slots=True)
class Finished:
    """Blocks that are complete. With `goes_on` the first is the rest of a list or quote already begun.

    `start` is the number of its first item, where that is an ordered list.
    """

    source: str
    goes_on: bool
    start: int | None


@dataclass(frozen=True, slots=True)
class FenceOpened:
    language: str


@dataclass(frozen=True, slots=True)
class FenceLines:
    """Lines of code, each with its newline; never blank ones at the end, which a renderer drops."""

    code: str


@dataclass(frozen=True, slots=True)
class FenceClosed:
    """No more code, whether the fence was closed or the text ended."""


Piece: TypeAlias = Finished | FenceOpened | FenceLines | FenceClosed


@dataclass(slots=True)
class _Fence:
    marker: str
    length: int
    indent_columns: int
    blank_lines: str = ""

    def is_closed_by(self, line: str) -> bool:
        return re.fullmatch(rf" {{0,3}}{re.escape(self.marker)}{{{self.length},}}[ \t]*\n?", line) is not None

    def without_indent(self, line: str) -> str:
        column = at = 0
        while column < self.indent_columns and line[at : at + 1] in {" ", "\t"}:
            column += 4 - column % 4 if line[at] == "\t" else 1
            at += 1
        return " " * (column - self.indent_columns) + line[at:]


class Blocks:
    """Takes the text, gives its final parts in order. The rest is in `open_source` and `unfinished_line`."""

    def __init__(self) -> None:
        self.open_source = ""  # complete lines
        self.unfinished_line = ""
        self.kind = ""  # of the last block in `open_source`, as the parser names its first token
        self.goes_on = False
        self.start: int | None = None
        self._fence: _Fence | None = None
        self._parsed_chars = 0

    def feed(self, text: str) -> Iterator[Piece]:
        """Take sanitised text, in pieces of any size."""
        head, newline, tail = text.rpartition("\n")
        if not newline:
            self.unfinished_line += text
            return
        lines = self.unfinished_line + head + newline
        self.unfinished_line = tail
        yield from self._take(lines)

    def finish(self) -> Iterator[Piece]:
        """The text has ended: all of it is final."""
        if self.unfinished_line:
            yield from self.feed("\n")
        if self._fence is not None:
            self._fence = None
            yield FenceClosed()
        elif self.open_source.strip():
            yield self._cut(self.open_source)
        self.open_source = ""

    def fence_shows(self, line: str) -> str | None:
        """What of the unfinished line is code; None while it may become the end of the fence."""
        fence = self._fence
        if fence is None or not line.strip() or not line.strip().strip(fence.marker):
            return None
        return fence.without_indent(line)

    def _take(self, lines: str) -> Iterator[Piece]:
        while lines:
            if self._fence is not None:
                code, lines, closed = self._fence_code(self._fence, lines)
                if code:
                    yield FenceLines(code)
                if closed:
                    self._fence = None
                    yield FenceClosed()
                continue
            self.open_source += lines
            if self._need_not_parse(lines):
                return
            tokens = parse_blocks(self.open_source)
            yield from self._final(tokens)
            lines = ""
            if self.kind == "fence":
                yield FenceOpened(self._open_fence(tokens[-1]))
                lines, self.open_source = self.open_source.partition("\n")[2], ""
        self._parsed_chars = len(self.open_source)

    def _need_not_parse(self, lines: str) -> bool:
        known = self._parsed_chars
        if known < _PARSED_ALWAYS_CHARS or len(self.open_source) > known * 1.25:
            return False
        each = lines.split("\n")[:-1]
        match self.kind:
            case "paragraph_open":
                return all(line and not _MAY_START_A_BLOCK.match(line) for line in each)
            case "table_open":
                return all(line.startswith("|") for line in each)
            case "blockquote_open":
                return all(line.startswith(">") for line in each)
            case _:
                return all(line.startswith("  ") for line in each)

    def _final(self, tokens: list[Token]) -> Iterator[Finished]:
        """Cut off what is final, so that `open_source` begins with the open block or, in a list, its open item."""
        tops = [token for token in tokens if token.level == 0 and token.nesting >= 0]
        self.kind = tops[-1].type if tops else ""
        if not tops:
            self.open_source = ""
            return
        last = tops[-1]
        first_line = _line(last)
        if len(tops) > 1:
            yield self._cut(self._lines_before(last, 0))
            self._parsed_chars = 0
        else:
            self.open_source = self.open_source[len(self._lines_before(last, 0)) :]
        if self.kind in _ENDED_AT_ONCE or (self.kind in _ENDED_BY_BLANK and self._ends_in_blank_line()):
            yield self._cut(self.open_source)
            self.kind = ""
        elif self.kind in _LISTS:
            items = [t for t in tokens[tokens.index(last) :] if t.type == "list_item_open" and t.level == 1]
            start = self.start if self.start is not None else int(last.attrs.get("start", 1))
            yield from self._cut_children(items, first_line)
            if self.kind == "ordered_list_open":
                self.start = start + len(items) - 1
        elif self.kind == "blockquote_open":
            children = [t for t in tokens[tokens.index(last) :] if t.level == 1 and t.nesting >= 0]
            yield from self._cut_children(children, first_line)

    def _ends_in_blank_line(self) -> bool:
        return not self.open_source[:-1].rpartition("\n")[2].strip(" \t")

    def _cut_children(self, children: list[Token], first_line: int) -> Iterator[Finished]:
        if len(children) > 1:
            yield self._cut(self._lines_before(children[-1], first_line))
            self.goes_on = True

    def _lines_before(self, token: Token, first_line: int) -> str:
        count = _line(token) - first_line
        return "".join(f"{line}\n" for line in self.open_source.split("\n")[:count])

    def _cut(self, source: str) -> Finished:
        cut = Finished(source=source, goes_on=self.goes_on, start=self.start)
        self.open_source = self.open_source[len(source) :]
        self.goes_on, self.start = False, None
        return cut

    def _open_fence(self, token: Token) -> str:
        opener = self.open_source.partition("\n")[0]
        indent = len(opener) - len(opener.lstrip(" "))
        self._fence = _Fence(marker=token.markup[0], length=len(token.markup), indent_columns=indent)
        self.kind = ""
        return sanitise_line(token.info).strip().partition(" ")[0] or "text"

    def _fence_code(self, fence: _Fence, lines: str) -> tuple[str, str, bool]:
        """The code in `lines`, the lines after the fence, and whether it ends in them."""
        code: list[str] = []
        each = lines.split("\n")[:-1]
        for at, line in enumerate(each):
            if fence.is_closed_by(line):
                return "".join(code), "".join(f"{rest}\n" for rest in each[at + 1 :]), True
            content = fence.without_indent(line) + "\n"
            fence.blank_lines += content
            if not content.isspace():
                code.append(fence.blank_lines)
                fence.blank_lines = ""
        return "".join(code), "", False


def _line(token: Token) -> int:
    return token.map[0] if token.map else 0
