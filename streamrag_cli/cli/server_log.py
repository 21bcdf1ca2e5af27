"""A server's log on stderr. A terminal that is stopped or a pipe that nobody empties holds up no request.

Lines wait for stderr in a queue of their own thread. If it is full, lines are dropped, and their number is said later.
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
_WAITING_LINES: Final = 10_000
_FLUSH_S: Final = 0.5


def start_log(wanted: str, process: Process) -> logging.Handler:
    """Write a server's log to stderr: `all`, `errors` or `off`. With --debug internal errors are written already."""
    handler = _BackgroundHandler(process.err.fileno())
    handler.setLevel(_LEVELS[wanted])
    handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)s %(message)s", process.environment))
    requests.setLevel(logging.INFO)
    requests.propagate = False
    requests.addHandler(handler)
    if not process.debug:
        internal = _ErrorsOf(handler)
        for name in _INTERNAL:
            logging.getLogger(name).addHandler(internal)
    return handler


class _LineFormatter(SafeFormatter):
    """Adds times with their offset from UTC. Leaves out the message of an exception, which may repeat a question."""

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
        return "\n".join(parts) + "\n(the message is left out, since it may repeat a question; --debug prints it)"


class _BackgroundHandler(logging.Handler):
    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[str] = queue.Queue(_WAITING_LINES)
        self._dropped = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Wait until all is written, half a second at most."""
        deadline_s = time.monotonic() + _FLUSH_S
        while self._lines.unfinished_tasks and time.monotonic() < deadline_s:
            time.sleep(0.002)

    def _write(self) -> None:
        while True:
            text = self._lines.get() + "\n"
            if self._dropped:
                text += f"{self._dropped} lines before this one were dropped: stderr was not read\n"
                self._dropped = 0
            with contextlib.suppress(OSError):  # a full disk or a closed pipe ends no server
                os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))
            self._lines.task_done()


class _ErrorsOf(logging.Handler):
    """Passes errors on to the server's handler; what is less is nobody's business."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__(logging.ERROR)
        self._handler = handler

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= self._handler.level:
            record = logging.makeLogRecord({**record.__dict__, "msg": f"{record.name}: {record.msg}"})
            self._handler.emit(record)
