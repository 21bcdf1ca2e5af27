"""Handles Ctrl-C and SIGTERM: the process exits within one second, with the signal's exit code.

A signal raises an exception, so that the terminal is restored and sockets are closed. If the cleanup is blocked, for
example by a write to a full pipe, the process exits when the grace period ends. Only saving work may take longer.
Signals that were already ignored at the start (`nohup`, background jobs in a script) stay ignored.
"""

import _thread
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NoReturn, TypeAlias

from streamrag_cli.errors import ExitCode

_Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None
_CODES: Final = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HUNG_UP,
}
_GRACE_S: Final = 0.8
_SAVING_S: Final = 20.0
"""The grace period while work is saved, in seconds."""
_REPORT_S: Final = 0.2


class Interrupted(BaseException):
    """Raised on a signal. `code` is the process's exit code if the signal ends it."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


class Signals:
    """This process's signal handlers. `received` is the exit code of the first signal, or None.

    Check `received` before reporting any other exception: a C extension may replace Interrupted with its own error.
    """

    def __init__(self) -> None:
        self.received: ExitCode | None = None
        self.report: Callable[[], None] = _nothing
        """Called in a separate thread before the process exits at the end of the grace period."""
        self._exit_at_s: float | None = None
        self._saving = 0
        self._deferred: ExitCode | None = None
        self._ending: frozenset[signal.Signals] = frozenset({signal.SIGINT, signal.SIGTERM})

    def raise_on_signal(self) -> None:
        """Install handlers that raise Interrupted in the main thread on every signal."""

        def unwind(code: ExitCode) -> NoReturn:
            raise Interrupted(code)

        self._handle(unwind)

    def end_on_hangup(self, *, resumes: bool = False) -> None:
        """Make SIGHUP end the process like SIGTERM. With `resumes`, Ctrl-C ends only the current answer or command.

        Ctrl-C then raises Interrupted or calls the callback that `on_signal` set, and does not set `received`.
        """
        self._ending = frozenset(_CODES) - ({signal.SIGINT} if resumes else set())
        self.raise_on_signal()

    @contextmanager
    def on_signal(self, callback: Callable[[ExitCode], None]) -> Iterator[None]:
        """Within the block, call `callback` on a signal. It must not block: the process soon exits (`_GRACE_S`)."""
        with self._handled_by(callback):
            if self._deferred:
                code, self._deferred = self._deferred, None
                callback(code)
            yield

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Raise Interrupted only at the end of the block, because an event loop would swallow it.

        If `on_signal` sets a callback before or within the block, a signal only calls this callback.
        """

        def defer(code: ExitCode) -> None:
            self._deferred = code

        try:
            with self._handled_by(defer):
                yield
        finally:
            code, self._deferred = self._deferred, None
        if code:
            raise Interrupted(code)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Like `deferred`, but the block may take `_SAVING_S` after a signal. A second signal exits immediately."""
        self._saving += 1
        self._set_exit_time()
        try:
            with self.deferred():
                yield
        finally:
            self._saving -= 1
            self._set_exit_time()

    def _set_exit_time(self) -> None:
        if self.received:
            self._exit_at_s = time.monotonic() + (_SAVING_S if self._saving else _GRACE_S)

    @contextmanager
    def _handled_by(self, callback: Callable[[ExitCode], None]) -> Iterator[None]:
        previous = self._handle(callback)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def restore_default_handlers(self) -> None:
        """Make signals end the process without output. Call this when the interpreter is about to exit."""
        self._handle(None)

    def _handle(self, callback: Callable[[ExitCode], None] | None) -> dict[signal.Signals, _Handler]:
        """Set the signal handlers and return the previous ones. If `callback` is None, set the default handlers."""

        def handle(number: int, _frame: FrameType | None) -> None:
            code = _CODES[signal.Signals(number)]
            if number in self._ending:
                if self.received and self._saving:
                    self._report_and_exit(code)
                is_first, self.received = self.received is None, self.received or code
                self._set_exit_time()
                if is_first:
                    # Not a `Timer`, because starting it acquires a lock that the interrupted code may have acquired.
                    _thread.start_new_thread(self._exit_after_grace, (code,))
            assert callback is not None  # noqa: S101 - with None, the default handler is set instead of this one
            callback(code)

        numbers = {signal.SIGINT, *self._ending}
        handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        return {number: signal.signal(number, handle if callback else signal.SIG_DFL) for number in handled}

    def _exit_after_grace(self, code: ExitCode) -> None:
        while (left_s := (self._exit_at_s or 0.0) - time.monotonic()) > 0:
            time.sleep(min(left_s, _GRACE_S))
        self._report_and_exit(code)

    def _report_and_exit(self, code: ExitCode) -> NoReturn:
        """Call `report` and exit, even if a full pipe or a lock held by the interrupted code blocks the report."""
        reported = _thread.allocate_lock()
        reported.acquire()

        def report() -> None:
            try:
                self.report()
            finally:
                reported.release()

        if self.report is not _nothing:
            _thread.start_new_thread(report, ())
            reported.acquire(timeout=_REPORT_S)
        os._exit(code)


def _nothing() -> None:
    pass
