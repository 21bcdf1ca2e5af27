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
is called. Whatever else is raised is a bug: exit code 1. Each class has its exit code, HTTP status,
severity and wording for visitors.
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


class Severity(IntEnum):
    """The levels of `logging`, which takes too long to import for a command that logs nothing."""

    WARNING = 30
    ERROR = 40


class StreamragError(Exception):
    """An expected failure: one line of what happened and, where one exists, a command that fixes it.

    `code` is a stable snake_case word for programs; `hint` is a command or a short advice.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    http_status: ClassVar[int] = 500
    severity: ClassVar[Severity] = Severity.ERROR
    """WARNING if the client caused it: the cause is not logged for the operator."""
    for_visitors: ClassVar[tuple[str, str]] = ("internal error", "")
    """The message and hint that visitors of a server see instead: without paths, addresses and commands."""
    may_quote_a_server: ClassVar[bool] = False
    """Whether its message may quote the model server, and so parts of the question."""

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
    http_status = 422
    severity = Severity.WARNING


class ConfigurationError(StreamragError):
    exit_code = ExitCode.CONFIGURATION
    for_visitors = ("the server is not set up correctly", "")
    may_quote_a_server = True


class ModelServerError(StreamragError):
    exit_code = ExitCode.MODEL_SERVER
    http_status = 502
    for_visitors = ("the model did not answer", "try again later")
    may_quote_a_server = True


class StoreError(StreamragError):
    exit_code = ExitCode.STORE
    http_status = 503
    for_visitors = ("the documents cannot be searched at the moment", "try again later")


class ResourceError(StreamragError):
    exit_code = ExitCode.STORE  # what it kept from being opened is, but for the built-in model, the store
    http_status = StoreError.http_status
    for_visitors = StoreError.for_visitors


class DocumentError(StreamragError):
    exit_code = ExitCode.SOME_FILES_FAILED


class NothingRelevantError(StreamragError):
    exit_code = ExitCode.NOTHING_RELEVANT
    http_status = 404
    severity = Severity.WARNING


_STATUS_OF_CODE: Final = {"rate_limited": 429, "context_too_long": 400, "request_refused": 400}


def class_of(exit_code: int) -> type[StreamragError]:
    """The class with this exit code, which is all that an event keeps of it; the base class if there is none."""
    return next((each for each in StreamragError.__subclasses__() if each.exit_code == exit_code), StreamragError)


def http_status_of(code: str, exit_code: int) -> int:
    """The status to send if the response has not started."""
    return _STATUS_OF_CODE.get(code) or class_of(exit_code).http_status


_COMMAND: Final = re.compile(r"(?:^|[:,(] (?:or )?|^or )streamrag (?P<command>[a-z]+(?: .*)?)$")


def with_target_flags(hint: str, *, collection: str = "", store: str = "") -> str:
    """A hint that ends in a command of streamrag, for this collection of this store; any other hint as it is."""
    import shlex  # nothing else at the start of a command needs it

    found = _COMMAND.search(hint)
    if not found:
        return hint
    words = found["command"].split()
    missing = [(flag, value) for flag, value in (("-c", collection), ("--store", store)) if flag not in words]
    return hint + "".join(f" {flag} {shlex.quote(value)}" for flag, value in missing if value)
