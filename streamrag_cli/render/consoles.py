"""Rich consoles that print text literally, the choice of colour, a progress bar, and the terminal size."""

import os
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Final, Literal, TextIO, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


ColorChoice: TypeAlias = Literal["auto", "always", "never"]

_FORCE_VARIABLES: Final = ("FORCE_COLOR", "CLICOLOR_FORCE")
_NOT_SET: Final = frozenset({"", "0", "false"})
_DUMB_TERMINALS: Final = frozenset({"dumb", "unknown"})


def color_choice(environment: Mapping[str, str]) -> ColorChoice:
    """Return when to use colour, according to the variables `NO_COLOR`, `FORCE_COLOR` and `CLICOLOR_FORCE`.

    >>> color_choice({}), color_choice({"FORCE_COLOR": "1"}), color_choice({"FORCE_COLOR": "1", "NO_COLOR": "1"})
    ('auto', 'always', 'never')
    """
    if environment.get("NO_COLOR"):
        return "never"
    is_forced = any(environment.get(name, "").lower() not in _NOT_SET for name in _FORCE_VARIABLES)
    return "always" if is_forced else "auto"


def choose_color(choice: ColorChoice, environment: MutableMapping[str, str]) -> None:
    """Set the colour variables, which Rich and prompt_toolkit also read, according to `choice`."""
    for name in ("NO_COLOR", *_FORCE_VARIABLES):
        environment.pop(name, None)
    if choice != "auto":
        environment["NO_COLOR" if choice == "never" else "FORCE_COLOR"] = "1"


def is_dumb(terminal_type: str) -> bool:
    """Whether a terminal of this type (the variable `TERM`) cannot move its cursor."""
    return terminal_type.lower() in _DUMB_TERMINALS


def has_forced_color(*, plain: bool) -> bool:
    """Whether to use colour even in a pipe."""
    return not plain and color_choice(os.environ) == "always"


def console_for(stream: TextIO, *, plain: bool) -> "Console":
    """Return a console on `stream` without markup, emoji codes or automatic highlighting.

    The console counts as a terminal (`is_terminal`) if `stream` is a terminal, `TERM` is not dumb and `plain` is False.
    Only a terminal gets alignment, links and, if supported, colour. `NO_COLOR` and `FORCE_COLOR` change only colour.
    """
    from rich.console import Console  # imports rich, 60 ms

    is_terminal = stream.isatty() and not plain and not is_dumb(os.environ.get("TERM", ""))
    colour = "auto" if is_terminal else "standard" if has_forced_color(plain=plain) else None
    return Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        color_system=colour,  # type: ignore[arg-type]
        force_terminal=is_terminal,
        width=None if stream.isatty() else 100,
        legacy_windows=False,
    )


def print_line(console: "Console", text: str, *, style: str = "", label: str = "") -> None:
    """Print one line after a bold label. A terminal wraps it between words, but copied text has no extra newlines."""
    from rich.text import Text

    line = Text(f"{label}{text}" if not console.is_terminal else at_words(f"{label}{text}", console.width), style=style)
    line.stylize("bold", 0, len(label))
    console.print(line, soft_wrap=True)


def at_words(line: str, columns: int) -> str:
    """Add spaces to a line so that a terminal with this width wraps it between words instead of within them.

    >>> at_words("to connect one: streamrag ask", 20)
    'to connect one:     streamrag ask'
    """
    from rich.cells import cell_len

    parts: list[str] = []
    used = 0
    for number, word in enumerate(line.split(" ")):
        width = cell_len(word)
        gap = 1 if number else 0
        if used and used + gap + width >= columns > width:
            gap, used = columns - used, 0
        else:
            used += gap
        parts.append(" " * gap + word)
        used = (used + width) % columns
    return "".join(parts)


def with_tilde(text: str, home: str) -> str:
    """Replace the home directory at the start of paths in `text` by `~`.

    >>> with_tilde("/home/ada/data: 3 MB free", "/home/ada")
    '~/data: 3 MB free'
    """
    return text.replace(f"{home}/", "~/") if home.strip("/") else text


class AskingBar:
    """A progress bar that counts answered questions. It is shown only on a terminal, and only if `moves` is True."""

    def __init__(self, err: TextIO, *, moves: bool) -> None:
        self._err = err
        self._moves = moves
        self._bar: Progress | None = None

    def move(self, done: int, total: int) -> None:
        if self._moves and self._bar is None and (console := console_for(self._err, plain=False)).is_terminal:
            from rich.progress import Progress

            self._bar = Progress(console=console, transient=True)
            self._bar.add_task("asking", total=total)
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def size_of(terminal: TextIO) -> tuple[int, int]:
    """Return the columns and lines of a terminal; 80 and 24 if they are unknown."""
    try:
        size = os.get_terminal_size(terminal.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24
