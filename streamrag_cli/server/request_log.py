"""What the operator sees: one line for each question and each refusal, and why an answer failed.

Never a word of a question, a source or an answer: none is passed in here, and what a model's server says, which may
repeat any of them, is left out. The lines go to this module's logger; where they are written is the command line's
decision.
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
_QUOTES_NOBODY: Final = {"unreachable", "stalled", "model_loading", "redirected"}


@dataclass(slots=True, kw_only=True)
class LogEntry:
    """What is known of one request. `outcome` is a finish reason or an error code; `cause` is for the operator."""

    key: str = ""
    collection: str = ""
    outcome: str = ""
    cause: str = ""
    usage: Usage | None = None

    def fail(self, error: Error | StreamragError) -> None:
        """Note what ended the answer."""
        event = as_event(error) if isinstance(error, StreamragError) else error
        self.outcome = event.code
        if class_of(event.exit_code).severity == Severity.ERROR:
            self.cause = _own_words(event)[:_MAX_CAUSE_CHARS]


def _own_words(event: Error) -> str:
    """The message without what a model's server said: that may be any part of what it was sent, in any encoding."""
    message = sanitise_line(event.message)
    is_quoting = class_of(event.exit_code).may_quote_a_server and event.code not in _QUOTES_NOBODY
    return message.partition(": ")[0] if is_quoting else message


def entry_of(scope: Scope) -> LogEntry:
    """The entry of the request with this scope."""
    entry = scope.setdefault("state", {}).setdefault(_STATE, LogEntry())
    assert isinstance(entry, LogEntry)  # noqa: S101 - nobody else writes there
    return entry


async def record_outcome(events: AsyncGenerator[AskEvent, None], entry: LogEntry) -> AsyncGenerator[AskEvent, None]:
    """The same events; how they end is put down in `entry`."""
    entry.outcome = "abandoned"
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Done):
                entry.outcome, entry.usage = event.finish_reason, event.usage
            elif isinstance(event, Error):
                entry.fail(event)
            yield event


class RequestLog:
    """Middleware that writes the line when a request has ended. `asks` says which paths are questions."""

    def __init__(self, app: ASGIApp, *, asks: Callable[[str], bool]) -> None:
        self._app = app
        self._asks = asks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        entry_of(scope)  # before anything copies the scope
        status = 0

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watching)
        except Exception:
            status = 500
            raise
        finally:
            if status >= 400 or self._asks(scope["path"]):
                write_line(scope, status, (time.perf_counter() - started_at) * 1000)


def write_line(scope: Scope, status: int, elapsed_ms: float) -> None:
    """Log the end of a request. A status of 0 is a client that left before there was one."""
    entry = entry_of(scope)
    if entry.cause or status >= 500:
        kind, level = "failed", logging.ERROR
    elif status >= 400:
        kind, level = "refused", logging.WARNING
    else:
        kind, level = "question", logging.INFO
    client = scope.get("client")
    # A path that is no route may hold a question: clients encode the question mark by mistake.
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
    said = (f"{name}={shlex.quote(sanitise_line(value))}" for name, value in values.items() if value)
    log.log(level, "%s %s", kind, " ".join(said))
