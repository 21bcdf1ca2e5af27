"""Asks a person on the terminal whether to go on."""

import sys

from streamrag_cli.ingest.consent import Consent
from streamrag_cli.text import sanitise_line


def consent_of(*, yes: bool) -> Consent:
    """Given with `--yes`; asked for if both stdin and stderr are a terminal."""
    can_ask = sys.stdin.isatty() and sys.stderr.isatty()
    return Consent(given=yes, ask=_ask if can_ask else None)


def _ask(question: str) -> bool:
    sys.stderr.write(f"{sanitise_line(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
