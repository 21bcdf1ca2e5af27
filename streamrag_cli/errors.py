"""Base classes for all expected failures.

    StreamragError
    ├── UsageError            2   invalid command line or question
    ├── ConfigurationError    3   key missing or refused, unknown model, invalid setting
    ├── ModelServerError      4   unreachable, limits, cut off, stalled, malformed
    ├── StoreError            5   missing, empty, damaged, locked, different embedder
    ├── ResourceError         5   out of file descriptors or memory
    ├── DocumentError         6   one file cannot be read; does not stop an ingest
    └── NothingRelevantError  7   nothing in the store matches the question

An exception from another library is converted to one of these classes where the library is called. Any
other exception is a bug and leads to exit code 1. Each class defines its exit code, HTTP status, severity
and the message for a server's clients.
"""

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, ClassVar, Final


class ExitCode(IntEnum):
    OK = 0
    BUG = 1
    USAGE = 2
    CONFIGURATION = 3
    MODEL_SERVER = 4
    STORE = 5
    SOME_FILES_FAILED = 6
    NOTHING_RELEVANT = 7
    HUNG_UP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class Severity(IntEnum):
    """Levels from the module `logging`, which is slow to import and not needed by most commands."""

    WARNING = 30
    ERROR = 40


class StreamragError(Exception):
    """An expected failure: one line about what happened and, if possible, a command that fixes it.

    `code` is a stable snake_case identifier for programs; `hint` is a command or short advice.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    http_status: ClassVar[int] = 500
    severity: ClassVar[Severity] = Severity.ERROR
    """WARNING if the client caused the failure, else ERROR. The server logs the error message only for ERROR."""
    for_visitors: ClassVar[tuple[str, str]] = ("internal error", "")
    """The message and hint for a server's clients; they replace those of the exception, which may contain paths,
    addresses or commands."""
    may_quote_a_server: ClassVar[bool] = False
    """Whether the message may quote the model server's reply, and with it parts of the question."""

    def __init__(self, message: str, *, code: str, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.retryable = retryable
        self.retry_after_s: float | None = None
        """The delay before a retry that the model server requests, or None."""


class UsageError(StreamragError):
    exit_code = ExitCode.USAGE
    http_status = 422
    severity = Severity.WARNING
    for_visitors = ("the request is not valid", "")


class ConfigurationError(StreamragError):
    exit_code = ExitCode.CONFIGURATION
    for_visitors = ("the server is not configured correctly", "")
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
    # The exit code for the store, because the store is nearly always what cannot be opened.
    exit_code = ExitCode.STORE
    http_status = StoreError.http_status
    for_visitors = StoreError.for_visitors


class DocumentError(StreamragError):
    exit_code = ExitCode.SOME_FILES_FAILED


class NothingRelevantError(StreamragError):
    """Nothing in the searched documents is relevant to the question.

    `nearest` are the best-scoring sources. Retrieval first stores hits there; they are converted to sources later.
    """

    nearest: "tuple[Any, ...]" = ()
    exit_code = ExitCode.NOTHING_RELEVANT
    http_status = 404
    severity = Severity.WARNING


_STATUS_OF_CODE: Final = {
    "rate_limited": 429,
    "context_too_long": 400,
    "request_refused": 400,
    "no_such_passage": 404,
}


def class_of(exit_code: int) -> type[StreamragError]:
    """Return the error class with this exit code, or the base class. An event contains only the code, not the class."""
    return next((each for each in StreamragError.__subclasses__() if each.exit_code == exit_code), StreamragError)


def http_status_of(code: str, exit_code: int) -> int:
    """Return the HTTP status for an error that occurs before the response has started."""
    return _STATUS_OF_CODE.get(code) or class_of(exit_code).http_status


LEAVE_OUT_FILTER: Final = "leave out the filter"
"""The hint for a filtered search without results."""
_COMMAND: Final = re.compile(r"(?:^|[:,(] (?:or )?|^or )streamrag (?P<command>[a-z]+(?: .*)?)$")


_SEVERAL_COLLECTIONS: Final = frozenset({"ask", "chat", "search"})


def with_target_flags(hint: str, *, collection: str = "", store: str = "") -> str:
    """Add `-c` and `--store` to a hint that ends in a streamrag command; return any other hint unchanged.

    Several collections, joined by commas, are added only to a command that accepts them.
    """
    match = _COMMAND.search(hint)
    if not match:
        return hint
    if "," in collection and match["command"].split()[0] not in _SEVERAL_COLLECTIONS:
        collection = ""
    return with_flags(hint, match["command"], {"-c": collection, "--store": store})


def with_flags(text: str, command: str, flags: Mapping[str, str]) -> str:
    """Append to `text` those `flags` that have a value and that `command` does not contain yet."""
    import shlex  # not needed at startup otherwise

    words = command.split()
    missing = (
        (flag, each)
        for flag, value in flags.items()
        if value and flag not in words
        for each in (value.split(",") if flag == "-c" else [value])
    )
    return text + "".join(f" {flag} {shlex.quote(value)}" for flag, value in missing)
