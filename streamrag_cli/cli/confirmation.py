"""Asks the user for confirmation."""

import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from streamrag_cli.cli.process import Process
from streamrag_cli.text import sanitise_line

if TYPE_CHECKING:
    from streamrag_cli.ingest.roots import Confirmation


def confirmation_for(
    process: Process, *, yes: bool, paused: Callable[[], AbstractContextManager[object]] = nullcontext
) -> "Confirmation":
    """Return a function that obtains confirmation: from `--yes`, or from the user if stdin and stderr are terminals.

    The question is shown within the context manager `paused`, which must prevent any other output to the terminal.
    """
    from streamrag_cli.ingest.roots import Confirmation
    from streamrag_cli.render.consoles import size_of

    def ask(question: str) -> bool:
        with paused():
            columns = size_of(process.err)[0] - 1
            lines = textwrap.wrap(f"{sanitise_line(question)} [y/N]", columns, break_on_hyphens=False)
            process.err.write("\n".join(lines) + " ")
            process.err.flush()
            return process.stdin.readline().strip().lower() in {"y", "yes"}

    can_ask = process.stdin.isatty() and process.err.isatty()
    return Confirmation(granted=yes, ask=ask if can_ask else None)
