"""The answer as text and nothing else: what a pipe gets, and a terminal that cannot redraw."""

from typing import TextIO

from streamrag_cli.events import AskEvent, Citations, Done, Error, Token
from streamrag_cli.render.status_output import StatusOutput


class PlainText:
    """Writes each token as it comes, and one newline after the last.

    With `stream=False` the whole answer is written at the end, in one piece.
    """

    def __init__(self, out: TextIO, side: StatusOutput, *, stream: bool) -> None:
        self._out = out
        self._side = side
        self._stream = stream
        self._held: list[str] = []
        self._wrote = False

    def handle(self, event: AskEvent) -> None:
        match event:
            case Token(text=text) if self._stream:
                self._write(text)
            case Token(text=text):
                self._held.append(text)
            case Citations() | Done() | Error():
                self._end()
                self._side.handle(event)
            case _:
                if self._wrote:
                    self._out.flush()  # a pipe is block-buffered: keep the order
                self._side.handle(event)

    def close(self) -> None:
        self._end()
        self._side.close()

    def _end(self) -> None:
        if self._held:
            self._write("".join(self._held))
            self._held = []
        if self._wrote:
            self._write("\n")
            self._wrote = False

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
        self._wrote = True
