"""Everything that can go wrong and is not a bug.

    StreamragError
    ├── UsageError            2   the command line or the question makes no sense
    ├── ConfigurationError    3   key missing or refused, no such model, a bad setting
    ├── ModelServerError      4   unreachable, limits, cut off, stalled, malformed
    ├── StoreError            5   missing, empty, damaged, locked, another embedding
    ├── ResourceError         5   the system has no descriptors or memory left for this process
    ├── DocumentError         6   one file could not be read; never stops an ingest
    └── NothingRelevantError  7   the store holds nothing on the question

A foreign library's exception is translated into one of these once, at the edge where the library
is called. Whatever else is raised is a bug: exit code 1.
"""

import re
from enum import IntEnum
from typing import ClassVar, Final


class ExitCode(IntEnum):
    """What the process says to the shell that started it."""

    OK = 0
    BUG = 1
    USAGE = 2
    CONFIGURATION = 3
    MODEL_SERVER = 4
    STORE = 5
    SOME_FILES_FAILED = 6
    NOTHING_RELEVANT = 7
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class StreamragError(Exception):
    """An expected failure: one line of what happened and, where one exists, a command that mends it.

    `code` is a stable snake_case word for programs; `hint` is a command or a short advice.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, message: str, *, code: str, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.retryable = retryable
        self.retry_after_s: float | None = None
        """How long a server asks to wait, if it does."""


class UsageError(StreamragError):
    exit_code = ExitCode.USAGE


class ConfigurationError(StreamragError):
    exit_code = ExitCode.CONFIGURATION


class ModelServerError(StreamragError):
    exit_code = ExitCode.MODEL_SERVER


class StoreError(StreamragError):
    exit_code = ExitCode.STORE


class ResourceError(StreamragError):
    exit_code = ExitCode.STORE  # what it kept from being opened is, but for the built-in model, the store


class DocumentError(StreamragError):
    exit_code = ExitCode.SOME_FILES_FAILED


class NothingRelevantError(StreamragError):
    exit_code = ExitCode.NOTHING_RELEVANT


_COMMAND: Final = re.compile(r"(?:^|[:,(] (?:or )?|^or )streamrag (?P<command>[a-z]+(?: .*)?)$")


def aimed(hint: str, *, collection: str = "", store: str = "") -> str:
    """A hint that ends in a command of streamrag, for this collection of this store; any other hint as it is."""
    import shlex  # nothing else at the start of a command needs it

    found = _COMMAND.search(hint)
    if not found:
        return hint
    words = found["command"].split()
    missing = [(flag, value) for flag, value in (("-c", collection), ("--store", store)) if flag not in words]
    return hint + "".join(f" {flag} {shlex.quote(value)}" for flag, value in missing if value)
