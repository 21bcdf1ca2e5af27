"""Prints an error: one line with what happened, one line with a hint."""

from typing import TextIO

from streamrag_cli.text import sanitise_line


def print_error(err: TextIO, message: str, hint: str = "") -> None:
    """Print the error on `err`, without control characters."""
    err.write(f"streamrag: {sanitise_line(message)}\n")
    if hint:
        err.write(f"hint: {sanitise_line(hint)}\n")
    err.flush()
