"""How every failure reads: one line of what happened, one line with a command that mends it."""

from typing import TextIO

from streamrag_cli.text import sanitise_line


def print_error(err: TextIO, message: str, hint: str = "") -> None:
    """Write the failure to `err`, whatever is in it."""
    err.write(f"streamrag: {sanitise_line(message)}\n")
    if hint:
        err.write(f"hint: {sanitise_line(hint)}\n")
    err.flush()
