"""The keyboard in an interactive chat: keys typed during an answer are kept for the next prompt."""

import contextlib
import os
import select
import signal
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TextIO

_INPUT, _LOCAL, _CHARACTERS = 0, 3, 6  # indexes into the list of `tcgetattr`
_DISABLED: Final = b"\0"


class Keyboard:
    """Disables a terminal's echo and line editing, so that typed keys stay in its input queue until they are read.

    Ctrl-C and Ctrl-Z still work. `restore` and the end of the `with` block restore the terminal's original modes.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._descriptor = terminal.fileno()
        self._modes = termios.tcgetattr(self._descriptor)

    def __enter__(self) -> "Keyboard":
        self.silence()
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def silence(self) -> None:
        modes: list[Any] = [*self._modes[:_CHARACTERS], [*self._modes[_CHARACTERS]]]
        modes[_INPUT] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR)  # distinguish Enter from Ctrl-J
        modes[_LOCAL] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN)
        modes[_LOCAL] |= termios.NOFLSH  # Ctrl-C does not discard the keys typed before it
        modes[_CHARACTERS][termios.VMIN], modes[_CHARACTERS][termios.VTIME] = 1, 0
        modes[_CHARACTERS][termios.VQUIT] = _DISABLED
        self._set(modes)

    def restore(self) -> None:
        self._set(self._modes)

    @contextmanager
    def own_modes(self) -> Iterator[None]:
        """Within the block, restore the terminal's original modes, for another program or for input of whole lines."""
        self.restore()
        try:
            yield
        finally:
            self.silence()

    @contextmanager
    def stoppable(self, before: Callable[[Callable[[], None]], None]) -> Iterator[None]:
        """Within the block, Ctrl-Z restores the terminal's original modes and stops the process.

        On Ctrl-Z, `before` is called with a function that stops the process. It must call this function as soon as no
        output is half written.
        """
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
            yield
            return

        def handle(_number: int, _frame: FrameType | None) -> None:
            before(stop)

        def stop() -> None:
            with self.own_modes():
                signal.signal(signal.SIGTSTP, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGTSTP)  # returns when the process is continued
                signal.signal(signal.SIGTSTP, handle)

        signal.signal(signal.SIGTSTP, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def typed(self) -> bytes:
        """Return the bytes that were typed since the last read, without waiting."""
        typed = b""
        while select.select([self._descriptor], [], [], 0)[0]:
            piece = os.read(self._descriptor, 65536)
            if not piece:
                break
            typed += piece
        return typed

    def _set(self, modes: list[Any]) -> None:
        with contextlib.suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(self._descriptor, termios.TCSANOW, modes)
