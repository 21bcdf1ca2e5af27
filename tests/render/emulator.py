"""A terminal in memory: what a person would see, every cell of it, with scrollback."""

import io
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyte
from rich.console import Console
from rich.style import Style
from rich.theme import Theme

from streamrag_cli.render.markdown import MarkdownStream
from streamrag_cli.render.markdown.parsing import parse
from streamrag_cli.render.markdown.rows import StreamableMarkdown
from streamrag_cli.text import sanitise
from tests.reflowing_screen import ReflowingScreen

Cell = tuple[str, str, str, bool, bool, bool, bool, bool]

_PADDING: Final = re.compile(" *\n")  # which goes over the edge where an emoji is wider than Rich believes
_BLANK: Final = (" ", "default", "default", False, False, False, False, False)


class Emulator:
    """A terminal that takes what is written to it; `writes` are the frames as they came."""

    def __init__(self, columns: int, lines: int) -> None:
        self.writes: list[str] = []
        self.screen = ReflowingScreen(columns, lines)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self.writes.append(text)
        self._stream.feed(text)
        return len(text)

    def flush(self) -> None:
        """Everything is shown at once."""

    @property
    def cells(self) -> list[list[Cell]]:
        """All rows with the look of each cell, without blanks at the ends of rows and of the whole."""
        rows = [[*self._row(row)] for row in (*self.screen.history.top, *self._on_screen())]
        return _without_end(rows, [])

    @property
    def text(self) -> list[str]:
        """All rows as text."""
        return ["".join(cell[0] for cell in row) for row in self.cells]

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


def rendered_at_once(
    text: str, *, columns: int, lines: int = 24, references: Mapping[int, str] | None = None
) -> Emulator:
    """The reference: Rich prints the whole text, with its own console and its own way of writing."""
    written = io.StringIO()
    styles = {
        f"markdown.citation-{n}": Style(color="cyan", link=link or None) for n, link in (references or {}).items()
    }
    console = Console(
        file=written,
        force_terminal=True,
        color_system="standard",
        legacy_windows=False,
        markup=False,
        highlight=False,
        emoji=False,
        no_color=False,
        width=columns,
        height=lines,
        theme=Theme(styles | {"markdown.citation-unknown": Style(color="red", bold=True)}),
    )
    console.print(StreamableMarkdown(parse(sanitise(text), references), cited=references or ()))
    emulator = Emulator(columns, lines)
    emulator.write(_PADDING.sub("\r\n", written.getvalue()))
    return emulator


def streamed(
    text: str, *, columns: int, lines: int, seed: int, references: Mapping[int, str] | None = None, pieces: int = 60
) -> Emulator:
    """The same text in about so many random pieces at random times."""
    chance = random.Random(seed)
    emulator = Emulator(columns, lines)
    stream = MarkdownStream(emulator, columns=columns, lines=lines, references=references)  # type: ignore[arg-type]
    now_s = 0.0
    for piece in cut(text, chance, pieces):
        now_s += chance.choice((0.0, 0.001, 0.02, 0.06, 0.2))
        if stream.due_s is not None and stream.due_s < now_s:
            stream.tick(stream.due_s)
        stream.feed(piece, now_s)
    stream.finish()
    return emulator


def cut(text: str, chance: random.Random, pieces: int) -> Iterator[str]:
    """Random pieces, some of one character."""
    longest = max(2, 2 * len(text) // pieces)
    at = 0
    while at < len(text):
        length = chance.choice((1, 2, chance.randint(1, longest)))
        yield text[at : at + length]
        at += length
