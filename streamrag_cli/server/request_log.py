"""The request log for the operator: one line for each question and each refused request, with the cause of a failure.

The log never contains text from a question, a source or an answer. No such text is passed to this module, and text from
the model server, which may repeat it, is left out. The lines are sent to this module's logger, whose output the command
line configures.
"""

import logging
import shlex
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamrag_cli.errors import Severity, StreamragError, class_of
from streamrag_cli.events import AskEvent, Done, Error, as_event
from streamrag_cli.model import Usage
from streamrag_cli.text import sanitise_line

log: Final = logging.getLogger(__name__)
_STATE: Final = "log_entry"
_MAX_PATH_CHARS: Final = 100
_MAX_CAUSE_CHARS: Final = 500
_NOT_QUOTING: Final = {"unreachable", "stalled", "model_loading", "redirected"}


@dataclass(slots=True, kw_only=True)
class LogEntry:
    """The fields of a log line. `outcome` is a finish reason or error code; `cause` is a message for the operator."""

    key: str = ""
    collection: str = ""
    outcome: str = ""
    cause: str = ""
    usage: Usage | None = None

    def record_error(self, error: Error | StreamragError) -> None:
        """Record the error that ended the answer."""
        event = as_event(error) if isinstance(error, StreamragError) else error
        self.outcome = event.code
        if class_of(event.exit_code).severity == Severity.ERROR:
            self.cause = _without_quotes(event)[:_MAX_CAUSE_CHARS]


def _without_quotes(event: Error) -> str:
    """The error's message without text from the model server, which may repeat the request in any encoding."""
    message = sanitise_line(event.message)
    is_quoting = class_of(event.exit_code).may_quote_a_server and event.code not in _NOT_QUOTING
    return message.partition(": ")[0] if is_quoting else message


def entry_of(scope: Scope) -> LogEntry:
    """The log entry of the request with this ASGI scope. It is created at the first call."""
    entry = scope.setdefault("state", {}).setdefault(_STATE, LogEntry())
    assert isinstance(entry, LogEntry)  # noqa: S101 - only this function sets it
    return entry


async def record_outcome(events: AsyncGenerator[AskEvent, None], entry: LogEntry) -> AsyncGenerator[AskEvent, None]:
    """Pass on `events`, and record the outcome of the answer in `entry`."""
    entry.outcome = "abandoned"
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Done):
                entry.outcome, entry.usage = event.finish_reason, event.usage
            elif isinstance(event, Error):
                entry.record_error(event)
            yield event


class RequestLog:
    """Middleware that writes a log line when a question or a failed request has ended."""

    def __init__(self, app: ASGIApp, *, is_question: Callable[[str], bool]) -> None:
        self._app = app
        self._is_question = is_question

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        entry = entry_of(scope)  # the entry must exist before any middleware copies the scope
        status, has_left = 0, False

        async def record_disconnect() -> Message:
            nonlocal has_left
            message = await receive()
            # After the reply, this message only means that the request has ended.
            has_left = has_left or (message["type"] == "http.disconnect" and status == 0)
            return message

        async def record_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, record_disconnect, record_status)
        except Exception:
            status = 500
            raise
        finally:
            if has_left and status < 400:
                status, entry.outcome = 0, entry.outcome or "abandoned"
            if status >= 400 or self._is_question(scope["path"]):
                write_line(scope, status, (time.perf_counter() - started_at) * 1000)


def write_line(scope: Scope, status: int, elapsed_ms: float) -> None:
    """Log the end of a request. `status` is 0 if the client disconnected before the reply began."""
    entry = entry_of(scope)
    if entry.cause or status >= 500:
        kind, level = "failed", logging.ERROR
    elif status >= 400:
        kind, level = "refused", logging.WARNING
    else:
        kind, level = "question", logging.INFO
    client = scope.get("client")
    # An unknown path may contain a question: some clients encode the question mark by mistake.
    path = sanitise_line(scope["path"])[:_MAX_PATH_CHARS] if entry.outcome != "not_found" else "(unknown)"
    usage = entry.usage
    values = {
        "client": client[0] if client else "",
        "key": entry.key,
        "route": f"{scope['method']} {path}",
        "collection": entry.collection,
        "status": str(status or ""),
        "outcome": entry.outcome or ("ok" if 0 < status < 400 else "internal_error" if status == 500 else ""),
        "ms": f"{elapsed_ms:.0f}",
        "tokens": f"{usage.input_tokens}+{usage.output_tokens}" if usage else "",
        "cause": entry.cause,
    }
    fields = (f"{name}={shlex.quote(sanitise_line(value))}" for name, value in values.items() if value)
    log.log(level, "%s %s", kind, " ".join(fields))
