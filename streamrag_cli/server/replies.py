"""HTTP replies for failures: status, body, and headers, including whether a client may retry.

Every body is `{"error": message, "code": ..., "hint": ...}`, as in an error event. Under `/v1` it has OpenAI's format.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response

from streamrag_cli.codec import encode
from streamrag_cli.errors import StreamragError, http_status_of
from streamrag_cli.events import Error, as_event
from streamrag_cli.model_server.retries import LONGEST_RETRY_AFTER_S
from streamrag_cli.server.public import public_error, public_refusal
from streamrag_cli.text import sanitise_line

OPENAI_PREFIX: Final = "/v1"
_FREE_OF_COST: Final = frozenset({"unreachable", "store_busy", "store_unreachable", "server_shutdown"})
_MAX_CLIENT_WAIT_S: Final = 60  # OpenAI's clients ignore a longer Retry-After and retry immediately
_DO_NOT_RETRY: Final = {"x-should-retry": "false"}
"""A header for OpenAI's clients, which would otherwise retry twice after a status of 429 or 5xx."""


class JsonReply(Response):
    """A JSON reply, encoded by `codec.encode`."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return encode(content).encode()


@dataclass(eq=False)
class RefusedError(Exception):
    """A request that is refused before any search or model call. `param` is the invalid field, if there is one."""

    status: int
    message: str
    code: str = field(kw_only=True)
    hint: str = field(default="", kw_only=True)
    retry_after_s: int | None = field(default=None, kw_only=True)
    param: str | None = field(default=None, kw_only=True)

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s is not None else {}
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="streamrag", charset="UTF-8"'  # browsers parse only one scheme
        return headers

    def reply(self, path: str = "") -> JsonReply:
        """The reply, in the format that the API at `path` uses."""
        message, hint = public_refusal(self.code, self.message, self.hint)
        body = _body(path, message, self.code, hint, status=self.status, param=self.param)
        return JsonReply(body, self.status, self.headers)


def reply_to(
    error: StreamragError, path: str = "", *, status: int | None = None, for_operator: bool = False
) -> JsonReply:
    """The reply to an expected failure, with the message and hint that clients may see."""
    return reply_to_event(public_error(as_event(error), for_operator=for_operator), path, status=status)


def reply_to_event(error: Error, path: str = "", *, status: int | None = None) -> JsonReply:
    """The reply for an answer that failed before anything was sent. `error` must already be public."""
    status = status or http_status_of(error.code, error.exit_code)
    status = 400 if status == 422 and is_openai(path) else status  # OpenAI's status for an invalid request
    return JsonReply(_body(path, error.message, error.code, error.hint, status=status), status, _headers(error))


def openai_error(message: str, code: str, hint: str, *, status: int, param: str | None = None) -> dict[str, Any]:
    """A failure in OpenAI's format, which its clients convert into their own exceptions."""
    kind = "rate_limit_error" if status == 429 else "invalid_request_error" if status < 500 else "server_error"
    text = sanitise_line(f"{message}; {hint}" if hint else message)
    return {"error": {"message": text, "type": kind, "param": param, "code": code}}


def is_openai(path: str) -> bool:
    return path == OPENAI_PREFIX or path.startswith(f"{OPENAI_PREFIX}/")


def _body(path: str, message: str, code: str, hint: str, *, status: int, param: str | None = None) -> dict[str, Any]:
    if is_openai(path):
        return openai_error(message, code, hint, status=status, param=param)
    return {"error": sanitise_line(message), "code": code, "hint": sanitise_line(hint)}


def _headers(error: Error) -> dict[str, str]:
    """`Retry-After`, and `x-should-retry: false` if a retry is useless, costs money again, or was already made here."""
    wait_s = error.retry_after_s
    headers = {} if wait_s is None else {"Retry-After": str(math.ceil(wait_s))}
    was_not_retried = wait_s is not None and LONGEST_RETRY_AFTER_S < wait_s <= _MAX_CLIENT_WAIT_S
    may_retry = error.retryable and (error.code in _FREE_OF_COST or was_not_retried)
    return headers if may_retry else headers | _DO_NOT_RETRY
