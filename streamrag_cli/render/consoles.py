"""Rich consoles that never interpret what they are given."""

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def console_for(stream: TextIO, *, plain: bool) -> "Console":
    """A console on `stream` without markup, emoji codes or guessing at highlights.

    Colour follows `NO_COLOR` and the terminal; off a terminal, or with `plain`, not one control code is written.
    """
    from rich.console import Console  # 60 ms

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
