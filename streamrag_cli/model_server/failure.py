"""Converts the exceptions that `client` raises to this program's errors."""

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

_MAX_RETRY_AFTER_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that failed.

    `cause` is the original exception, or None if its traceback would show the API key. `status` and `server_text` come
    from the reply or from an error object in a stream; if there is neither, `status` is None.
    """

    error: StreamragError
    cause: BaseException | None = None
    status: int | None = None
    server_text: str = ""
    retry_after_s: float | None = None

    @classmethod
    def of(cls, foreign: Exception, endpoint: ModelEndpoint, *, timeout_s: float) -> "Failure":
        """Convert an exception, which must be one of `FOREIGN_ERRORS`, to a failure."""
        trace = "".join(traceback.format_exception(foreign))
        cause = foreign if errors.masked(trace, endpoint) == trace else None
        error = _to_streamrag_error(foreign, endpoint, timeout_s)
        match foreign:
            case StatusError(status=status, headers=headers, text=text):
                server_delay_s = retries.retry_after_s(headers)
                error.retry_after_s = None if server_delay_s is None else min(server_delay_s, _MAX_RETRY_AFTER_S)
                return cls(error=error, cause=cause, status=status, server_text=text, retry_after_s=server_delay_s)
            case ErrorInStreamError(error=sent):
                return cls(error=error, cause=cause, status=error_objects.status_in(sent), server_text=str(sent))
            case _:
                return cls(error=error, cause=cause)

    @property
    def is_loading(self) -> bool:
        """Whether the server is still loading the model."""
        return errors.is_loading(self.status, self.server_text)

    def wait_before_retry_s(self, retries_made: int) -> float | None:
        """Seconds to wait before a retry; None if the request must not be retried.

        Only a request whose reply reports a temporary problem is retried.
        """
        if self.status is None or not self.error.retryable:
            return None
        return retries.wait_before_retry_s(retries_made, server_delay_s=self.retry_after_s)


def _to_streamrag_error(foreign: Exception, endpoint: ModelEndpoint, timeout_s: float) -> StreamragError:
    match foreign:
        case StatusError(status=status, text=text):
            code, message = error_objects.code_and_text_in(text)
            return errors.status_error(status, code=code, text=message, endpoint=endpoint)
        case ErrorInStreamError(error=error):
            code, message = error_objects.code_and_text(error, str(error))
            if (sent := error_objects.status_in(error)) is not None:
                return errors.status_error(sent, code=code, text=message, endpoint=endpoint)
            return errors.stream_error(code=code, text=message, endpoint=endpoint)
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
