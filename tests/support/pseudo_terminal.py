"""Runs programs on a pseudo-terminal and emulates what it shows."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyte

from tests.support.command_line import LIMIT_S, CommandLine
from tests.support.reflowing_screen import ReflowingScreen


class Terminal:
    """A pseudo-terminal with an emulator. `raw` is everything that the program has written to it.

    Tests that read the output themselves use `master`.
    """

    def __init__(self, *, columns: int = 80, rows: int = 60) -> None:
        self.raw = b""
        self._lines: list[str] | None = None  # what is shown, until the screen changes
        self._screen = ReflowingScreen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size; the kernel sends SIGWINCH to the program."""
        self._lines = None
        self._screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    @property
    def lines(self) -> list[str]:
        """The lines of scrollback and screen, without trailing blanks and trailing empty lines."""
        if self._lines is None:  # it takes milliseconds, and the wait methods ask 50 times a second
            self._lines = self._rendered()
        return self._lines.copy()

    def _rendered(self) -> list[str]:
        history = ["".join(row[x].data for x in range(self._screen.columns)) for row in self._screen.history.top]
        shown = [line.rstrip() for line in (*history, *self._screen.display)]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def words(self) -> str:
        """The text of all lines without white space, so that it does not depend on wrapping."""
        return "".join("".join(self.lines).split())

    @property
    def cursor_is_visible(self) -> bool:
        return not self._screen.cursor.hidden

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self.slave)

    def wait_for(self, expected: str, *, limit_s: float = LIMIT_S) -> None:
        """Read until `expected` is shown."""
        self._read_while(lambda: not any(expected in line for line in self.lines), limit_s)

    def wait_until(self, condition: Callable[[list[str]], bool], *, limit_s: float = LIMIT_S) -> None:
        """Read until `condition` is true of the lines."""
        self._read_while(lambda: not condition(self.lines), limit_s)

    def wait_for_end(self, process: subprocess.Popen[bytes], *, limit_s: float = LIMIT_S) -> int:
        """Read until the process has ended; return its exit code."""
        self._read_while(lambda: process.poll() is None, limit_s)
        while self.read(0):
            pass
        return process.wait()

    def _read_while(self, condition: Callable[[], bool], limit_s: float) -> None:
        deadline_s = time.monotonic() + limit_s
        while condition():
            assert time.monotonic() < deadline_s, self.lines
            self.read(0.02)

    def read(self, wait_s: float) -> bool:
        """Read the available output, waiting at most `wait_s` for it; return whether there was any."""
        if not select.select([self.master], [], [], wait_s)[0]:
            return False
        piece = os.read(self.master, 65536)
        self.raw += piece
        self._lines = None
        self._stream.feed(piece)
        return True


@contextmanager
def on_terminal(
    user: CommandLine, *arguments: str, columns: int = 80, rows: int = 60, stdout: int | None = None
) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    """Start `streamrag` on a new terminal, which is also its stdout unless `stdout` is passed."""
    terminal = Terminal(columns=columns, rows=rows)
    try:
        with user.on_terminal(terminal.slave, *arguments, stdout=stdout) as process:
            try:
                yield terminal, process
            finally:
                process.kill()
    finally:
        terminal.close()


def shown(user: CommandLine, *arguments: str, columns: int = 80, rows: int = 60) -> Terminal:
    """Run `streamrag` on a terminal until it ends. Fails if its exit code is not 0."""
    with on_terminal(user, *arguments, columns=columns, rows=rows) as (terminal, process):
        assert terminal.wait_for_end(process) == 0, terminal.lines
        return terminal
