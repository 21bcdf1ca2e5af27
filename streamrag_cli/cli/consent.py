"""Asks a person on the terminal whether to go on."""

from streamrag_cli.cli.process import Process
from streamrag_cli.ingest.consent import Consent
from streamrag_cli.text import sanitise_line


def consent_of(process: Process, *, yes: bool) -> Consent:
    """Given with `--yes`; asked for if both stdin and stderr are a terminal."""

    def ask(question: str) -> bool:
        process.err.write(f"{sanitise_line(question)} [y/N] ")
        process.err.flush()
        return process.stdin.readline().strip().lower() in {"y", "yes"}

    can_ask = process.stdin.isatty() and process.err.isatty()
    return Consent(given=yes, ask=ask if can_ask else None)
