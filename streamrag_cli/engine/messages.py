"""What a client and its engine say to each other: one JSON object a line, each with all that it holds.

So what a client shows does not depend on where the answer was made.
"""

from dataclasses import dataclass
from typing import Final, Literal

from streamrag_cli.codec import from_full, read_line
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings

LONGEST_LINE_BYTES: Final = 256_000_000
BEAT_S: Final = 0.5
"""An engine that answers sends an empty line this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client wants. `question` and `settings` are there for `ask` and `search`."""

    wants: Literal["ask", "search", "status", "stop"]
    question: Question | None = None
    settings: Settings | None = None


def read_request(line: bytes) -> Request:
    """Raises DecodeError."""
    return from_full(Request, read_line(line))
