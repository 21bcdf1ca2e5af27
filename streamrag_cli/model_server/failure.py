"""What a failed request means, in our words: the only place where the exceptions of `client` are read."""

import json
import traceback
from dataclasses import dataclass
from typing import Final

from streamrag_cli.errors import StreamragError
from streamrag_cli.model_server import error_objects, errors, retries
from streamrag_cli.model_server.client import (
    BROKEN_CONNECTION,
    WHOLE_REPLY_LIMITS,
    ErrorInStreamError,
    NotAReplyError,
    ReplyTooSlowError,
    StatusError,
)
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.model_server.network_policy import RedirectedError

_LONGEST_PASSED_ON_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that failed.

    `cause` is the foreign exception, or None where it would show the key. `status` is None where no reply came, and
    `said` is the reply's text, or that of an error inside it; so is `status`.
    """

    error: StreamragError
    cause: BaseException | None = None
    status: int | None = None
    said: str = ""
    retry_after_s: float | None = None

    @classmethod
    def of(cls, foreign: Exception, endpoint: ModelEndpoint, *, timeout_s: float) -> "Failure":
        """One of `FOREIGN_ERRORS` in our words."""
        trace = "".join(traceback.format_exception(foreign))
        cause = foreign if errors.masked(trace, endpoint) == trace else None
        error = _translated(foreign, endpoint, timeout_s)
        match foreign:
            case StatusError(status=status, headers=headers, text=text):
                asked_s = retries.retry_after_s(headers)
                error.retry_after_s = None if asked_s is None else min(asked_s, _LONGEST_PASSED_ON_S)
                return cls(error=error, cause=cause, status=status, said=text, retry_after_s=asked_s)
            case ErrorInStreamError(error=sent):
                return cls(error=error, cause=cause, status=error_objects.status_in(sent), said=str(sent))
            case _:
                return cls(error=error, cause=cause)

    @property
    def is_loading(self) -> bool:
        """Whether the server is still reading the model into memory."""
        return errors.is_loading(self.status, self.said)

    def wait_before_retry_s(self, retries_made: int) -> float | None:
        """Seconds to wait before asking again, or None: only a reply that says the problem will pass is a reason to."""
        if self.status is None or not self.error.retryable:
            return None
        return retries.wait_before_retry_s(retries_made, asked_s=self.retry_after_s)


def _translated(foreign: Exception, endpoint: ModelEndpoint, timeout_s: float) -> StreamragError:
    match foreign:
        case StatusError(status=status, text=text):
            code, said = error_objects.code_and_text(_parsed(text), text)
            return errors.status_error(status, code=code, text=said, endpoint=endpoint)
        case ErrorInStreamError(error=error):
            code, said = error_objects.code_and_text(error, str(error))
            if (sent := error_objects.status_in(error)) is not None:
                return errors.status_error(sent, code=code, text=said, endpoint=endpoint)
            return errors.stream_error(code=code, text=said, endpoint=endpoint)
        case NotAReplyError(text=text):
            return errors.not_a_reply(endpoint, text)
        case RedirectedError():
            return errors.redirected(foreign, endpoint)
        case _ if isinstance(foreign, BROKEN_CONNECTION):
            return errors.connection_problem(foreign, timeout_s, endpoint)
        case ReplyTooSlowError():
            return errors.reply_too_slow(WHOLE_REPLY_LIMITS * timeout_s, timeout_s, endpoint)
        case TimeoutError():
            return errors.stalled(timeout_s, endpoint)
        case _:
            return errors.not_a_reply(endpoint)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
