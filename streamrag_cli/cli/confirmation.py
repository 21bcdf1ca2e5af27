"""Asks the user for confirmation."""

from typing import TYPE_CHECKING

from streamrag_cli.cli.process import Process
from streamrag_cli.text import sanitise_line

if TYPE_CHECKING:
    from streamrag_cli.ingest.roots import Confirmation


def confirmation_for(process: Process, *, yes: bool) -> "Confirmation":
    """The user's confirmation: granted by `--yes`, or requested if stdin and stderr are terminals."""
    from streamrag_cli.ingest.roots import Confirmation

    def ask(question: str) -> bool:
        process.err.write(f"{sanitise_line(question)} [y/N] ")
        process.err.flush()
        return process.stdin.readline().strip().lower() in {"y", "yes"}

    can_ask = process.stdin.isatty() and process.err.isatty()
    return Confirmation(granted=yes, ask=ask if can_ask else None)
