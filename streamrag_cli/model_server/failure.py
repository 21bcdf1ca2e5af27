"""What a failed request means, in our words: the only place where the exceptions of `client` are read."""

import json
import traceback
from dataclasses import dataclass

from streamrag_cli.errors import StreamragError
from streamrag_cli.model_server import errors, retries
from streamrag_cli.model_server.client import (
    BROKEN_CONNECTION,
    WHOLE_REPLY_LIMITS,
    ErrorInStreamError,
    ReplyTooSlowError,
    StatusError,
)
from streamrag_cli.model_server.endpoint import ModelEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that failed.

    `cause` is the foreign exception, or None where it would show the key. `status` is None where no reply came, and
    `said` is the reply's text.
    """

    error: StreamragError
    cause: BaseException | None = None
    status: int | None = None
    said: str = ""
    retry_after_s: float | None = None

    @classmethod
    def of(cls, foreign: Exception, endpoint: ModelEndpoint, *, timeout_s: float) -> "Failure":
        """One of `FOREIGN_ERRORS` in our words."""
        told = "".join(traceback.format_exception(foreign))
        cause = foreign if errors.masked(told, endpoint) == told else None
        error = _translated(foreign, endpoint, timeout_s)
        if not isinstance(foreign, StatusError):
            return cls(error=error, cause=cause)
        asked_s = retries.retry_after_s(foreign.headers)
        return cls(error=error, cause=cause, status=foreign.status, said=foreign.text, retry_after_s=asked_s)

    def wait_before_retry_s(self, retries_made: int) -> float | None:
        """Seconds to wait before asking again, or None: only a reply that says the problem will pass is a reason to."""
        if self.status is None or not self.error.retryable:
            return None
        return retries.wait_before_retry_s(retries_made, asked_s=self.retry_after_s)


def _translated(foreign: Exception, endpoint: ModelEndpoint, timeout_s: float) -> StreamragError:
    match foreign:
        case StatusError(status=status, text=text):
            code, said = errors.code_and_text(_parsed(text), text)
            return errors.status_error(status, code=code, text=said, endpoint=endpoint)
        case ErrorInStreamError(error=error):
            code, said = errors.code_and_text(error, str(error))
            return errors.stream_error(code=code, text=said, endpoint=endpoint)
        case _ if isinstance(foreign, BROKEN_CONNECTION):
            return errors.connection_problem(foreign, timeout_s, endpoint)
        case ReplyTooSlowError():
            return errors.dripped(WHOLE_REPLY_LIMITS * timeout_s, timeout_s, endpoint)
        case TimeoutError():
            return errors.stalled(timeout_s, endpoint)
        case _:
            return errors.not_a_reply(endpoint)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
