"""Prints the answer as plain text, to a pipe or to a terminal that cannot redraw."""

from typing import TextIO

from streamrag_cli.events import AskEvent, Citations, Done, Error, Token
from streamrag_cli.render.status_output import StatusOutput


class PlainText:
    """Writes each token as it arrives, and a newline after the last one.

    With `stream=False`, writes the answer when it is complete.
    """

    def __init__(self, out: TextIO, status: StatusOutput, *, stream: bool) -> None:
        self._out = out
        self._status = status
        self._stream = stream
        self._pending: list[str] = []
        self._wrote = False

    def handle(self, event: AskEvent) -> None:
        match event:
            case Token(text=text) if self._stream:
                self._write(text)
            case Token(text=text):
                self._pending.append(text)
            case Citations() | Done() | Error():
                self._end()
                self._status.handle(event)
            case _:
                if self._wrote:
                    self._out.flush()  # a pipe is block-buffered: keep the order
                self._status.handle(event)

    def close(self) -> None:
        self._end()
        self._status.close()

    def _end(self) -> None:
        if self._pending:
            self._write("".join(self._pending))
            self._pending = []
        if self._wrote:
            self._write("\n")
            self._wrote = False

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
        self._wrote = True
