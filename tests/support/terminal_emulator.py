"""An in-memory terminal with scrollback, and functions that render answers on it for comparison."""

import io
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import pyte
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console
from rich.markdown import CodeBlock, Markdown, TableElement
from rich.segment import Segment
from rich.style import Style
from rich.theme import Theme

from streamrag_cli.render.markdown import MarkdownStream
from streamrag_cli.render.markdown.parsing import UNBREAKABLE_SPACE, Html, Parser
from streamrag_cli.render.markdown.rows import PROSE_COLUMNS
from streamrag_cli.render.markdown.theme import MARKDOWN_STYLES
from streamrag_cli.text import sanitise
from tests.support.reflowing_screen import ReflowingScreen

Cell = tuple[str, str, str, bool, bool, bool, bool, bool]

_PADDING: Final = re.compile(" *\n")  # padding would wrap if an emoji is wider than Rich assumes
_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
CODE_BACKGROUND: Final = "magenta"
_BLANK: Final = (" ", "default", "default", False, False, False, False, False)


_FIRST_MARK: Final = 0xF0000
_MARKED: Final = re.compile(f"(.*)([{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + 0xFFFD)}]).*")
_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")


class _Marks(CodeBlock):
    """Shows a private character instead of each line of code; `_with_code` replaces it."""

    lines: list[str]

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> "_Marks":
        element = cls("text", "default")
        element.lines = markdown.code  # type: ignore[attr-defined]
        return element

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Segment]:
        for line in str(self.text).rstrip().split("\n"):
            yield Segment(chr(_FIRST_MARK + len(self.lines)) + "\n")
            self.lines.append(line)


class _TableWithoutEdge(TableElement):
    """A table without the blank rows that are the edge of its box."""

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Segment]:
        for table in super().__rich_console__(console, options):
            for line in console.render_lines(table, options, pad=False)[1:-1]:
                yield from [*line, Segment.line()]


def _with_code(written: str, code: list[str]) -> Iterator[str]:
    """Put each line of code at the left edge, on `CODE_BACKGROUND`, without wrapping it.

    In a list or quote, a blank row separates it from text.
    """
    after_code = after_text = False
    for row in written.split("\n"):
        marked = _MARKED.fullmatch(row)
        text = marked[1] if marked else row
        has_text = _STYLE.sub("", text).strip(" ▌") != ""
        is_inner_code = marked is not None and _STYLE.sub("", text) != ""
        if (after_code and has_text) or (after_text and is_inner_code and not has_text):
            yield ""
        if has_text or not marked:
            yield f"{text}\x1b[0m" if marked else text
        if marked:
            yield f"\x1b[45m{code[ord(marked[2]) - _FIRST_MARK].expandtabs(4)}\x1b[0m"
        after_code, after_text = is_inner_code, has_text and not is_inner_code


def _without_repeated_addresses(children: list[Token]) -> list[Token]:
    """Show a link whose text is its address as one token."""
    shown: list[Token] = []
    for token in children:
        shown.append(token)
        if token.type == "link_close":
            start = max(at for at, each in enumerate(shown) if each.type == "link_open")
            inside = shown[start + 1 : -1]
            text = "".join(each.content for each in inside)
            address, text_address = unquote(str(shown[start].attrs["href"])), unquote(text)
            is_text = all(each.type.startswith("text") for each in inside)
            if is_text and address in {text_address, f"{text_address}/", f"mailto:{text_address}"}:
                shown[start:] = [Token("address", "link_url", 0, content=text)]
    return shown


class Emulator:
    """A terminal that can be written to like a file; `writes` are the frames in order."""

    def __init__(self, columns: int, lines: int) -> None:
        self.writes: list[str] = []
        self.screen = ReflowingScreen(columns, lines)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self.writes.append(text)
        self._stream.feed(text)
        return len(text)

    def flush(self) -> None:
        """Does nothing: writes are shown immediately."""

    @property
    def cells(self) -> list[list[Cell]]:
        """The cells of all rows with their style, without trailing blanks and trailing empty rows."""
        rows = [[*self._row(row)] for row in (*self.screen.history.top, *self._on_screen())]
        return _without_end(rows, [])

    @property
    def text(self) -> list[str]:
        """All rows as text, without trailing blanks and trailing empty rows."""
        return _without_end(["".join(cell[0] for cell in row).rstrip(" ") for row in self.cells], "")

    def _on_screen(self) -> Iterator[Any]:
        return (self.screen.buffer[y] for y in range(self.screen.lines))

    def _row(self, row: Any) -> list[Cell]:
        cells = [_look(row[x]) for x in range(self.screen.columns)]
        return _without_end(cells, _BLANK)


def _look(char: Any) -> Cell:
    if not char.data.strip(" ") and not (char.underscore or char.reverse or char.strikethrough):
        return (char.data, "default", char.bg, False, False, False, False, False)
    return (
        char.data, char.fg, char.bg, char.bold, char.italics, char.underscore, char.strikethrough, char.reverse,
    )  # fmt: skip


def _without_end(items: list[Any], blank: Any) -> list[Any]:
    while items and items[-1] == blank:
        items.pop()
    return items


def rendered_whole(
    text: str,
    *,
    columns: int,
    lines: int = 24,
    html: Html = "dropped",
    references: Mapping[int, str] | None = None,
) -> Emulator:
    """The reference: the complete text printed by Rich, with code on `CODE_BACKGROUND` at the left edge
    and tables without the edge of their box.

    With `html="shown"`, Rich gets the tokens of a parser with HTML disabled and line breaks for `<br>`. With
    `references` it gets those of streamrag's parser, because only that has citations. Text and tokens are sanitised,
    because an entity can be a control character.
    """
    citation_styles = {
        f"markdown.citation-{n}": Style(color="cyan", link=link or None) for n, link in (references or {}).items()
    } | {"markdown.citation-unknown": Style(color="red", bold=True)}
    written = io.StringIO()
    console = Console(
        file=written, force_terminal=True, color_system="standard", legacy_windows=False, no_color=False,
        width=min(columns, PROSE_COLUMNS), height=lines, theme=Theme(MARKDOWN_STYLES | citation_styles),
    )  # fmt: skip
    markdown: Any = Markdown(sanitise(text), hyperlinks=False)
    markdown.elements = Markdown.elements | {"fence": _Marks, "code_block": _Marks, "table_open": _TableWithoutEdge}
    markdown.code = []
    markdown.inlines = Markdown.inlines | {"link_url"} | {name.removeprefix("markdown.") for name in citation_styles}
    if references is not None:
        markdown.parsed = Parser(html=html, cited=references).final(sanitise(text))[0]
    elif html == "shown":
        parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable("text_join")
        markdown.parsed = parser.parse(sanitise(text))
        for token in markdown.parsed:
            token.children = token.children and [part for child in token.children for part in _broken(child)]
    for token in markdown.parsed:
        token.children = token.children and _without_repeated_addresses(token.children)
    _make_safe(markdown.parsed)
    console.print(markdown)
    emulator = Emulator(columns, lines)
    rows = "\n".join(_with_code(written.getvalue(), markdown.code)).replace(UNBREAKABLE_SPACE, " ")
    emulator.write(_PADDING.sub("\r\n", rows))
    return emulator


def _make_safe(tokens: list[Token]) -> None:
    for token in tokens:
        token.content = sanitise(token.content)
        for name in ("href", "src"):
            if name in token.attrs:
                token.attrs[name] = sanitise(str(token.attrs[name]))
        _make_safe(token.children or [])


def _broken(token: Token) -> Iterator[Token]:
    if token.type != "text":
        token.type = token.type.removesuffix("_special")  # an escaped character is text
        yield token
        return
    for number, part in enumerate(_BREAK.split(token.content)):
        if number:
            yield Token("hardbreak", "br", 0)
        yield Token("text", "", 0, content=part)


def difference(shown: Emulator, expected: Emulator) -> str:
    """The first difference between two terminals: "text" or "look", or "" if both show the same.

    Trailing blanks and colours in code are ignored.
    """
    if shown.text != expected.text:
        return "text"
    for row, expected_row in zip(shown.cells, expected.cells, strict=False):
        for cell, expected_cell in zip(row, expected_row, strict=False):
            if cell != expected_cell and expected_cell[2] != CODE_BACKGROUND:
                return "look"
    return ""


def streamed(
    text: str,
    *,
    columns: int,
    lines: int,
    seed: int,
    references: Mapping[int, str] | None = None,
    pieces: int = 60,
    html: Html = "dropped",
) -> Emulator:
    """The text streamed in about `pieces` random pieces at random times."""
    chance = random.Random(seed)
    emulator = Emulator(columns, lines)
    stream = MarkdownStream(emulator, columns=columns, lines=lines, references=references, html=html)  # type: ignore[arg-type]
    now_s = 0.0
    for piece in cut(text, chance, pieces):
        now_s += chance.choice((0.0, 0.001, 0.02, 0.06, 0.2))
        if stream.due_s is not None and stream.due_s < now_s:
            stream.tick(stream.due_s)
        stream.feed(piece, now_s)
    stream.finish()
    return emulator


def cut(text: str, chance: random.Random, pieces: int) -> Iterator[str]:
    """Cut the text into random pieces, some of them with a single character."""
    longest = max(2, 2 * len(text) // pieces)
    at = 0
    while at < len(text):
        length = chance.choice((1, 2, chance.randint(1, longest)))
        yield text[at : at + length]
        at += length
