"""Writes the server's log to stderr in a background thread, so that a blocked stderr cannot delay requests.

If the thread's queue is full, lines are dropped, and the number of dropped lines is logged later.
"""

import contextlib
import logging
import os
import queue
import threading
import time
import traceback
from types import TracebackType
from typing import Final, TypeAlias

from streamrag_cli.cli.logging_setup import SafeFormatter
from streamrag_cli.cli.process import Process
from streamrag_cli.server.request_log import log as requests

_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_LEVELS: Final = {"all": logging.INFO, "errors": logging.ERROR, "off": logging.CRITICAL + 1}
_INTERNAL: Final = ("streamrag_cli", "uvicorn.error", "asyncio")
_QUEUED_LINES: Final = 10_000
_FLUSH_S: Final = 0.5
_CANNOT_ACCEPT: Final = (
    "socket.accept() out of system resource",
    "Exception in callback BaseSelectorEventLoop._start_serving(",  # it tries again after the server has been closed
)
"""Messages that asyncio logs while no file descriptor is free, with a traceback and up to 2,048 times per second."""
_CANNOT_ACCEPT_EVERY_S: Final = 60.0


def start_log(level: str, process: Process) -> logging.Handler:
    """Start logging to stderr; `level` is `all`, `errors` or `off`.

    With --debug, internal errors are not added, because `configure_library_logging` already prints them.
    """
    handler = _BackgroundHandler(process.err.fileno())
    handler.setLevel(_LEVELS[level])
    handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)s %(message)s", process.environment))
    requests.setLevel(logging.INFO)
    requests.propagate = False
    requests.addHandler(handler)
    if not process.debug:
        internal = _ErrorForwarder(handler)
        for name in _INTERNAL:
            logging.getLogger(name).addHandler(internal)
    return handler


class _LineFormatter(SafeFormatter):
    """Adds timestamps with a UTC offset, and omits exception messages, because they may contain a question."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        local = time.localtime(record.created)
        offset = time.strftime("%z", local)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{int(record.msecs):03}{offset[:3]}:{offset[3:]}"

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802
        error = ei[1]
        parts: list[str] = []
        while error is not None:
            frames = "".join(traceback.format_tb(error.__traceback__))
            parts.insert(0, f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n".join(parts) + "\n(message omitted because it may contain a question; run with --debug to see it)"


class _BackgroundHandler(logging.Handler):
    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[str] = queue.Queue(_QUEUED_LINES)
        self._dropped = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Wait until all lines are written, but at most 0.5 s."""
        deadline_s = time.monotonic() + _FLUSH_S
        while self._lines.unfinished_tasks and time.monotonic() < deadline_s:
            time.sleep(0.002)

    def _write(self) -> None:
        while True:
            text = self._lines.get() + "\n"
            if self._dropped:
                text += f"log lines dropped because stderr was blocked: {self._dropped}\n"
                self._dropped = 0
            with contextlib.suppress(OSError):  # a full disk or a closed pipe must not stop the server
                os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))
            self._lines.task_done()


class _ErrorForwarder(logging.Handler):
    """Forwards errors from internal loggers to the server's handler.

    Clients without access can use up all file descriptors, so this error is forwarded as one line per minute.
    """

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__(logging.ERROR)
        self._handler = handler
        self._cannot_accept_at_s = -_CANNOT_ACCEPT_EVERY_S

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < self._handler.level:
            return
        fields = record.__dict__ | {"msg": f"{record.name}: {record.msg}"}
        if str(record.msg).startswith(_CANNOT_ACCEPT):
            now_s = time.monotonic()
            if now_s - self._cannot_accept_at_s < _CANNOT_ACCEPT_EVERY_S:
                return
            self._cannot_accept_at_s = now_s
            fields |= {"msg": "no more connections are accepted: too many open files", "exc_info": None}
        self._handler.emit(logging.makeLogRecord(fields))
