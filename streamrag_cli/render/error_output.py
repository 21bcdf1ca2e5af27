"""Prints errors (one line about what happened, and one line with a hint) and notes."""

from collections.abc import Iterable
from typing import TextIO

from streamrag_cli.render.consoles import at_words, size_of
from streamrag_cli.text import sanitise_line


def print_error(err: TextIO, message: str, hint: str = "") -> None:
    """Print the error on `err`, without control characters."""
    for line in (f"streamrag: {sanitise_line(message)}", f"hint: {sanitise_line(hint)}" if hint else ""):
        if line:
            err.write(f"{_at_words(line, err)}\n")
    err.flush()


def print_notes(err: TextIO, messages: Iterable[str]) -> None:
    """Print each message on a line after `note: `."""
    err.writelines(f"{_at_words(f'note: {message}', err)}\n" for message in messages)
    err.flush()


def _at_words(line: str, err: TextIO) -> str:
    if not err.isatty():
        return line
    columns = size_of(err)[0]
    return at_words(line, columns) if len(line) >= columns // 2 else line
