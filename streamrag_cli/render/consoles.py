"""Rich consoles that print text without interpreting it, a progress bar, and the size of a terminal."""

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def console_for(stream: TextIO, *, plain: bool) -> "Console":
    """A console on `stream` without markup, emoji codes or automatic highlighting.

    Uses colour if the terminal supports it and `NO_COLOR` is not set. With `plain`, or if `stream` is not a terminal,
    writes no control codes.
    """
    from rich.console import Console  # imports rich, 60 ms

    colour = None if plain or not stream.isatty() else "auto"
    return Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        color_system=colour,  # type: ignore[arg-type]
        force_terminal=False if plain else None,
        width=None if stream.isatty() else 100,
        legacy_windows=False,
    )


def print_line(console: "Console", text: str, *, style: str = "") -> None:
    """Print one line without wrapping it; the terminal wraps it."""
    from rich.text import Text

    console.print(Text(text, style=style), soft_wrap=True)


def with_tilde(text: str, home: str) -> str:
    """The text with the home directory at the start of paths replaced by `~`.

    >>> with_tilde("/home/ada/data: 3 MB free", "/home/ada")
    '~/data: 3 MB free'
    """
    return text.replace(f"{home}/", "~/") if home.strip("/") else text


class AskingBar:
    """A progress bar that counts answered questions. It is shown only if `moves` is set."""

    def __init__(self, err: TextIO, *, moves: bool) -> None:
        self._err = err
        self._moves = moves
        self._bar: Progress | None = None

    def move(self, done: int, total: int) -> None:
        if self._moves and self._bar is None:
            from rich.progress import Progress

            self._bar = Progress(console=console_for(self._err, plain=False), transient=True)
            self._bar.add_task("asking", total=total)
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def size_of(terminal: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal; 80 by 24 if unknown."""
    try:
        size = os.get_terminal_size(terminal.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24
