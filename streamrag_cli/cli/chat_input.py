"""Reads the questions for a chat: from a file or pipe, or from a terminal without line editing."""

import os
import select
from typing import Final, Protocol, TextIO

from streamrag_cli.cli.keyboard import Keyboard
from streamrag_cli.cli.process import Process
from streamrag_cli.cli.signals import Interrupted
from streamrag_cli.cli.streams import pipe_of
from streamrag_cli.errors import UsageError
from streamrag_cli.text import sanitise

PROMPT: Final = "> "
YES_OR_NO: Final = "[y/N] "
LEAVE_HINT: Final = "press Ctrl-D to quit"
MAX_LINE_BYTES: Final = 1_000_000
"""The maximum length of a line. Longer lines are cut, so that a file without line breaks does not fill the memory."""
_BYTE_ORDER_MARK: Final = "\ufeff"
_END_OF_INPUT, _ERASE, _KILL = b"\x04", b"\x7f\x08", b"\x15"


class ChatInput(Protocol):
    """The source of a chat's questions."""

    def read(self) -> str | None:
        """Return the next text, which may be blank or have several lines; None at the end of the input.

        May raise Interrupted. Raises UsageError `stdin_unreadable`.
        """

    def confirms(self, question: str) -> bool:
        """Ask a yes-or-no question. Only `y` and `yes` confirm."""

    def add_to_history(self, text: str) -> None:
        """Add the text to the inputs that users can recall at the prompt, if there is a history."""


def is_yes(answer: str | None) -> bool:
    return (answer or "").strip().lower() in {"y", "yes"}


class PipedLines:
    """Reads one text per line of a file or pipe, as soon as the line is complete."""

    def __init__(self, process: Process) -> None:
        self._stdin = process.stdin.fileno()
        self._out = pipe_of(process.out)
        self._buffer = b""
        self._ended = False
        self._is_first = True

    def read(self) -> str | None:
        """Read a line. Raises BrokenPipeError if the reader of stdout closes its pipe during the wait."""
        line = self._line()
        if line is None:
            return None
        text = line.rstrip(b"\r\n").decode("utf-8", "replace")
        if self._is_first:
            self._is_first = False
            text = text.removeprefix(_BYTE_ORDER_MARK)
        return text

    def confirms(self, question: str) -> bool:  # noqa: ARG002 - it cannot be answered
        return False

    def add_to_history(self, text: str) -> None:
        """Do nothing, because a pipe has no history."""

    def _line(self) -> bytes | None:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0 and not self._ended:
            searched = len(self._buffer)
            piece = self._piece()
            self._ended = not piece
            is_inside = searched <= MAX_LINE_BYTES or b"\n" in piece
            self._buffer += piece if is_inside else b""
        if end < 0:
            line, self._buffer = self._buffer, b""
            return line or None
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line

    def _piece(self) -> bytes:
        poll = select.poll()
        poll.register(self._stdin, select.POLLIN)
        if self._out is not None:
            poll.register(self._out, 0)
        try:
            while self._stdin not in (ready := dict(poll.poll())):
                if self._out in ready:
                    raise BrokenPipeError
            return os.read(self._stdin, 65536)
        except BlockingIOError:  # another process has read the data
            return self._piece()
        except BrokenPipeError:
            raise
        except OSError as error:
            hint = "streamrag chat < questions.txt"
            raise UsageError(f"cannot read stdin: {error.strerror}", code="stdin_unreadable", hint=hint) from None


class PlainLines:
    """Reads one text per line that is typed on a terminal. The only key for editing is Backspace.

    This class is for screen readers and for terminals that cannot move the cursor. Lines that were typed during an
    answer are read next; an unfinished line is shown again at the prompt.
    """

    def __init__(self, process: Process, prompt_on: TextIO | None, keyboard: Keyboard) -> None:
        self._process = process
        self._out = prompt_on
        self._keyboard = keyboard
        self._lines: list[bytes] = []
        self._begun = b""
        self._was_interrupted = False

    def read(self) -> str | None:
        return self._read(PROMPT)

    def confirms(self, question: str) -> bool:
        return is_yes(self._read(f"{question} {YES_OR_NO}"))

    def _read(self, prompt: str) -> str | None:
        self._take(self._keyboard.typed())
        if not self._lines:
            with self._keyboard.own_modes():
                self._wait_for_line(prompt)
        elif self._lines[0] != _END_OF_INPUT:
            self._show(f"{prompt}{self._lines[0].decode('utf-8', 'replace')}\n")
        line = self._lines.pop(0)
        self._was_interrupted = False
        if line == _END_OF_INPUT:
            return None
        return line.decode("utf-8", "replace")

    def add_to_history(self, text: str) -> None:
        """Do nothing, because there is no history without line editing."""

    def _wait_for_line(self, prompt: str) -> None:
        self._show(prompt + self._begun.decode("utf-8", "replace"))
        while not self._lines:
            try:
                typed = os.read(self._process.stdin.fileno(), 65536)
            except Interrupted:
                if self._process.signals.received:
                    raise
                self._show(f"\n{LEAVE_HINT}\n{prompt}" if self._was_interrupted else f"\n{prompt}")
                self._was_interrupted, self._begun = True, b""
                continue
            except OSError:  # the terminal was closed
                typed = b""
            if not typed:
                self._show("\n")
                self._lines.append(_END_OF_INPUT)
            self._take(typed)

    def _take(self, typed: bytes) -> None:
        """Split typed bytes into lines, and apply the editing keys that the terminal would otherwise apply."""
        for key in (typed[at : at + 1] for at in range(len(typed))):
            if key in {b"\n", b"\r"}:
                self._lines.append(self._begun)
                self._begun = b""
            elif key in _ERASE:
                self._begun = self._begun.decode("utf-8", "ignore")[:-1].encode()
            elif key == _KILL:
                self._begun = b""
            elif key == _END_OF_INPUT:
                if not self._begun:
                    self._lines.append(_END_OF_INPUT)
            else:
                self._begun += key

    def _show(self, text: str) -> None:
        if self._out is not None:
            self._out.write(sanitise(text))
            self._out.flush()
