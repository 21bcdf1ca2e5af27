"""Finds the final part of a growing Markdown text: the blocks that no later text can change.

Only complete lines are parsed, and only by Markdown's block rules. These parts of the text are final:

- every block except the last one
- the last block, if it is a heading, or a paragraph, table or quote followed by a blank line
- every item of a list except the last, every child of a quote except the last, and every complete line of a code fence

Final parts are removed from the source, so that the rest stays short. A long block is parsed again only if it has
grown by a quarter or may have ended.

Link targets and the width of list numbers in final blocks may still change; see `pending_blocks`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from markdown_it.token import Token

from streamrag_cli.render.markdown.fence import Fence
from streamrag_cli.render.markdown.parsing import Parser
from streamrag_cli.render.markdown.rows import Part
from streamrag_cli.text import sanitise_line

_PARSED_ALWAYS_CHARS: Final = 1000
_LONGEST_BLOCK_CHARS: Final = 100_000
_ONE_LINE_BLOCKS: Final = frozenset({"heading_open", "hr"})
_ENDED_BY_BLANK: Final = frozenset({"paragraph_open", "table_open", "blockquote_open", "definition"})
LISTS: Final = frozenset({"bullet_list_open", "ordered_list_open"})
_BEGINS_ITEM: Final = re.compile(r"(?:[-+*]|\d{1,9}[.)]) [^\W_]")
_LONGEST_MARKER_CHARS: Final = 12
_MAY_START_A_BLOCK: Final = re.compile(r"[ \t]|#|>|[-+*](?:[ \t]|$)|\d{1,9}[.)]|`{3}|~{3}|[-=_*|:][-=_*|: \t]*$")


@dataclass(frozen=True, slots=True)
class Finished:
    """Final blocks. If `is_open`, they belong to a list or quote that may continue."""

    part: Part
    is_open: bool


@dataclass(frozen=True, slots=True)
class FenceOpened:
    language: str


@dataclass(frozen=True, slots=True)
class FenceLines:
    """Lines of code with their newlines. The last one is not blank, because renderers drop blank lines at the end."""

    code: str


@dataclass(frozen=True, slots=True)
class FenceClosed:
    """The end of a fence, by its closing marker or by the end of the text."""


Piece: TypeAlias = Finished | FenceOpened | FenceLines | FenceClosed


class Blocks:
    """Splits arriving text into pieces that can no longer change.

    The rest is in `open_source` and `unfinished_line`.
    """

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self.open_source = ""  # complete lines
        self.unfinished_line = ""
        self.kind = ""  # type of the first token of the last block in `open_source`
        self.is_continuation = False
        self.start: int | None = None
        self._fence: Fence | None = None
        self._parsed_chars = 0
        self._begins_item: bool | None = None  # whether the unfinished line begins a list item; None if not yet known

    def feed(self, text: str) -> Iterator[Piece]:
        """Add sanitised text of any size and yield the pieces that are now final."""
        head, newline, tail = text.rpartition("\n")
        if newline:
            lines = self.unfinished_line + head + newline
            self.unfinished_line, self._begins_item = tail, None
            yield from self._take(lines)
        else:
            self.unfinished_line += text
        if self.kind in LISTS and self.open_source and self._begins_item is None:
            yield from self._cut_before_item(self.unfinished_line)
        if len(self.open_source) + len(self.unfinished_line) > _LONGEST_BLOCK_CHARS:
            yield from self._cut_long_block()

    def _cut_before_item(self, line: str) -> Iterator[Finished]:
        """Yield the previous list item as soon as `line` clearly begins another one."""
        if _BEGINS_ITEM.match(line):
            self._begins_item = True
            self.open_source += f"{line}\n"
            yield from self._final(self._parser.blocks(self.open_source))
            self.open_source = self.open_source[: -len(line) - 1]
            self._parsed_chars = len(self.open_source)
        elif len(line) > _LONGEST_MARKER_CHARS:
            self._begins_item = False

    def _cut_long_block(self) -> Iterator[Piece]:
        """Split the open block if it is so long that rendering it would take seconds."""
        if self._fence is not None:
            line, self.unfinished_line = f"{self.unfinished_line}\n", ""
            yield from self._take(line)
            return
        if not self.open_source:
            self.open_source, self.unfinished_line = f"{self.unfinished_line}\n", ""
        yield self._cut(self.open_source)
        self.kind, self._parsed_chars = "", 0

    def finish(self) -> Iterator[Piece]:
        """End the text and yield the rest of it."""
        if self.unfinished_line:
            yield from self.feed("\n")
        if self._fence is not None:
            self._fence = None
            yield FenceClosed()
        elif self.open_source.strip():
            yield self._cut(self.open_source)
        self.open_source = ""

    def fence_shows(self, line: str) -> str | None:
        """The code in the unfinished line; None as long as the line may still become the end of the fence."""
        fence = self._fence
        if fence is None or not line.strip() or not line.strip().strip(fence.marker):
            return None
        return fence.without_indent(line)

    def _take(self, lines: str) -> Iterator[Piece]:
        while lines:
            if self._fence is not None:
                code, lines, closed = self._fence.code_in(lines)
                if code:
                    yield FenceLines(code)
                if closed:
                    self._fence = None
                    yield FenceClosed()
                continue
            self.open_source += lines
            if self._can_skip_parsing(lines):
                return
            tokens = self._parser.blocks(self.open_source)
            yield from self._final(tokens)
            lines = ""
            if self.kind == "fence":
                yield FenceOpened(self._open_fence(tokens[-1]))
                lines, self.open_source = self.open_source.partition("\n")[2], ""
        self._parsed_chars = len(self.open_source)

    def _can_skip_parsing(self, lines: str) -> bool:
        """Whether the new lines clearly continue a long open block."""
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
            case "html_block":
                return all(line.strip() and ">" not in line for line in each)
            case _:
                return all(line.startswith("  ") for line in each)

    def _final(self, tokens: list[Token]) -> Iterator[Finished]:
        """Yield the final blocks and remove them from `open_source`, which then begins with the open part."""
        tops = [token for token in tokens if token.level == 0 and token.nesting >= 0]
        self.kind = tops[-1].type if tops else ""
        if not tops:
            self.open_source = ""
            return
        last = tops[-1]
        first_line = _line(last)
        begins = tops[-2] if _may_be_a_title(tops) else last
        if begins is not tops[0]:
            yield self._cut(self._lines_before(begins, 0))
            self._parsed_chars = 0
        else:
            self.open_source = self.open_source[len(self._lines_before(begins, 0)) :]
        if self.kind in _ONE_LINE_BLOCKS or (self.kind in _ENDED_BY_BLANK and self._ends_in_blank_line()):
            yield self._cut(self.open_source)
            self.kind = ""
        elif self.kind in LISTS:
            items = [t for t in tokens[tokens.index(last) :] if t.type == "list_item_open" and t.level == 1]
            start = self.start if self.start is not None else int(last.attrs.get("start", 1))
            is_ordered = self.kind == "ordered_list_open"
            yield from self._cut_children(items, first_line, last_number=start + len(items) if is_ordered else None)
            if is_ordered:
                self.start = start + len(items) - 1
        elif self.kind == "blockquote_open":
            children = [t for t in tokens[tokens.index(last) :] if t.level == 1 and t.nesting >= 0]
            yield from self._cut_children(children, first_line)

    def _ends_in_blank_line(self) -> bool:
        return not self.open_source[:-1].rpartition("\n")[2].strip(" \t")

    def _cut_children(
        self, children: list[Token], first_line: int, *, last_number: int | None = None
    ) -> Iterator[Finished]:
        if len(children) > 1:
            yield self._cut(self._lines_before(children[-1], first_line), is_open=True, last_number=last_number)
            self.is_continuation = True

    def _lines_before(self, token: Token, first_line: int) -> str:
        count = _line(token) - first_line
        return "".join(f"{line}\n" for line in self.open_source.split("\n")[:count])

    def _cut(self, source: str, *, is_open: bool = False, last_number: int | None = None) -> Finished:
        part = Part(source, is_continuation=self.is_continuation, start=self.start, last_number=last_number)
        self.open_source = self.open_source[len(source) :]
        self.is_continuation, self.start = False, None
        return Finished(part, is_open)

    def _open_fence(self, token: Token) -> str:
        opener = self.open_source.partition("\n")[0]
        indent = len(opener) - len(opener.lstrip(" "))
        self._fence = Fence(marker=token.markup[0], length=len(token.markup), indent_columns=indent)
        self.kind = ""
        return sanitise_line(token.info).strip().partition(" ")[0] or "text"


def _line(token: Token) -> int:
    return token.map[0] if token.map else 0


def _may_be_a_title(tops: list[Token]) -> bool:
    """Whether the last block is a paragraph that may become the title of the link definition before it."""
    if len(tops) < 2 or (tops[-2].type, tops[-1].type) != ("definition", "paragraph_open"):
        return False
    return tops[-2].map is not None and tops[-2].map[1] == _line(tops[-1])
