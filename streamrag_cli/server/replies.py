"""Failures as HTTP: one shape for all of them, and one place that knows which status a failure has.

Every body is `{"error": message, "code": ..., "hint": ...}`, as an error event has it.
"""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from streamrag_cli.errors import ExitCode, StreamragError
from streamrag_cli.events import Error, as_event
from streamrag_cli.text import sanitise_line
from streamrag_cli.wire import encode

STATUS_OF: Final[Mapping[int, int]] = {
    ExitCode.USAGE: 422,
    ExitCode.CONFIGURATION: 500,
    ExitCode.MODEL_SERVER: 502,
    ExitCode.STORE: 503,
    ExitCode.NOTHING_RELEVANT: 404,
}


class JsonReply(Response):
    """JSON as all of streamrag writes it."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return encode(content).encode()


class RefusedError(Exception):
    """A request that is not answered, before anything was looked up or asked."""

    def __init__(
        self, status: int, message: str, *, code: str, hint: str = "", retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.hint = hint
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s is not None else {}
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="streamrag", charset="UTF-8"'  # a browser reads no list
        return headers

    def reply(self) -> JsonReply:
        return JsonReply(_body(self.message, self.code, self.hint), self.status, self.headers)


def reply_to(error: StreamragError) -> JsonReply:
    """An expected failure, where no stream has begun."""
    return reply_to_event(as_event(error))


def reply_to_event(error: Error) -> JsonReply:
    return JsonReply(_body(error.message, error.code, error.hint), STATUS_OF.get(error.exit_code, 500))


def _body(message: str, code: str, hint: str) -> dict[str, str]:
    return {"error": sanitise_line(message), "code": code, "hint": sanitise_line(hint)}
