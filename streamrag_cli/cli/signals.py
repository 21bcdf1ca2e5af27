"""Ctrl-C and SIGTERM: the process ends within a second and says which of the two it was, whatever it is doing.

A signal unwinds the program like an exception, so that screens and sockets are put back in order. What cannot be
unwound, such as a write to a pipe that nobody empties, is left behind when the grace time is over. A signal that the
caller has told the process to ignore (`nohup`, a background job of a script) stays ignored.
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
_CODES: Final = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
_GRACE_S: Final = 0.8


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM came; `code` is what the process shall say to its shell."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


class Signals:
    """The signals of this process. `received` is the code of the first one that came, if one did.

    Look at it before you believe an error: foreign code in C turns an Interrupted that passes through it into one of
    its own.
    """

    def __init__(self) -> None:
        self.received: ExitCode | None = None

    def raise_on_signal(self) -> None:
        """From now on a signal raises Interrupted in the main thread."""

        def unwind(code: ExitCode) -> NoReturn:
            raise Interrupted(code)

        self._handle(unwind)

    @contextmanager
    def on_signal(self, act: Callable[[ExitCode], None]) -> Iterator[None]:
        """Within the block a signal calls `act`, which must not block; after the grace time the process ends anyway."""
        before = self._handle(act)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def restore_default_handlers(self) -> None:
        """The work is done and the interpreter is closing down: a signal now ends it in silence."""
        self._handle(None)

    def _handle(self, act: Callable[[ExitCode], None] | None) -> dict[signal.Signals, _Handler]:
        """Set the handlers; return those that were set before."""

        def handle(number: int, _frame: FrameType | None) -> None:
            code = _CODES[signal.Signals(number)]
            self.received = self.received or code
            # Not a `Timer`: its start takes a lock that the interrupted code may hold.
            _thread.start_new_thread(_exit_after_grace, (code,))
            assert act is not None  # noqa: S101 - with None the system's own handler is set, not this one
            act(code)

        caught = [number for number in _CODES if signal.getsignal(number) is not signal.SIG_IGN]
        return {number: signal.signal(number, handle if act else signal.SIG_DFL) for number in caught}


def _exit_after_grace(code: ExitCode) -> None:
    time.sleep(_GRACE_S)
    os._exit(code)
