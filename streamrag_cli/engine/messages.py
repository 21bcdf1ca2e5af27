"""Messages between a client and its engine: one JSON object per line.

Objects are sent with all their fields, so that a client shows the same output as without an engine.
"""

from dataclasses import dataclass
from typing import Final, Literal

from streamrag_cli.codec import from_full, read_line
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings

LONGEST_LINE_BYTES: Final = 256_000_000
BEAT_S: Final = 0.5
"""The interval in seconds between the empty lines that an engine sends as heartbeats while it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request from a client. `question` and `settings` are set for `ask` and `search`."""

    wants: Literal["ask", "search", "status", "stop"]
    question: Question | None = None
    settings: Settings | None = None


def read_request(line: bytes) -> Request:
    """Decode the request in a line. Raises DecodeError."""
    return from_full(Request, read_line(line))
