"""An in-memory terminal with scrollback, and rendered answers to compare on it."""

import io
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyte
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console
from rich.markdown import Markdown
from rich.style import Style
from rich.syntax import SyntaxTheme
from rich.theme import Theme

from streamrag_cli.render.markdown import MarkdownStream
from streamrag_cli.render.markdown.parsing import Html, Parser
from streamrag_cli.text import sanitise
from tests.support.reflowing_screen import ReflowingScreen

Cell = tuple[str, str, str, bool, bool, bool, bool, bool]

_PADDING: Final = re.compile(" *\n")  # padding would wrap if an emoji is wider than Rich assumes
_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
CODE_BACKGROUND: Final = "magenta"
_BLANK: Final = (" ", "default", "default", False, False, False, False, False)


class _CodeTheme(SyntaxTheme):
    """Gives all code the same background, so that it can be recognised."""

    def get_style_for_token(self, token_type: Any) -> Style:
        return Style(bgcolor=CODE_BACKGROUND)

    def get_background_style(self) -> Style:
        return Style(bgcolor=CODE_BACKGROUND)


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
    """The reference: the complete text printed by Rich, with code on `CODE_BACKGROUND`.

    With `html="shown"`, Rich gets the tokens of a parser with HTML disabled and line breaks for `<br>`. With
    `references` it gets those of streamrag's parser, because only that has citations. Text and tokens are sanitised,
    because an entity can be a control character.
    """
    styles = {
        f"markdown.citation-{n}": Style(color="cyan", link=link or None) for n, link in (references or {}).items()
    } | {"markdown.citation-unknown": Style(color="red", bold=True)}
    written = io.StringIO()
    console = Console(
        file=written, force_terminal=True, color_system="standard", legacy_windows=False, no_color=False,
        width=columns, height=lines, theme=Theme(styles),
    )  # fmt: skip
    theme: Any = _CodeTheme()
    markdown = Markdown(sanitise(text), hyperlinks=False, code_theme=theme)
    if references is not None:
        markdown.parsed = Parser(html=html, cited=references).final(sanitise(text))[0]
        markdown.inlines = Markdown.inlines | {name.removeprefix("markdown.") for name in styles}
    elif html == "shown":
        parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable("text_join")
        markdown.parsed = parser.parse(sanitise(text))
        for token in markdown.parsed:
            token.children = token.children and [part for child in token.children for part in _broken(child)]
    _make_safe(markdown.parsed)
    console.print(markdown)
    emulator = Emulator(columns, lines)
    emulator.write(_PADDING.sub("\r\n", written.getvalue()))
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
    """The first difference: "text" or "look", or "" if both show the same.

    Trailing blanks and the colours of code are ignored.
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
    """Random pieces of the text, some of one character."""
    longest = max(2, 2 * len(text) // pieces)
    at = 0
    while at < len(text):
        length = chance.choice((1, 2, chance.randint(1, longest)))
        yield text[at : at + length]
        at += length
