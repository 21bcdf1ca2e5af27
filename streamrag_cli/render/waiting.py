"""Shows the current step and its duration on a line that is erased before other output."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TextIO

from streamrag_cli.events import AskEvent, Notice, Status, Token
from streamrag_cli.render.interface import Renderer

_EVERY_S: Final = 0.1
_SHOWN_AFTER_S: Final = 0.3  # shorter waits would only flicker
_STALLED_AFTER_S: Final = 2.0
_COUNTED_AFTER_S: Final = 1.0
_NARROWEST_COLUMNS: Final = 20
_ERASE_LINE: Final = "\r\x1b[2K"


class WaitingLine:
    """Uses the last line of a terminal to show `Status` events and how long a pause in an answer has lasted.

    Pauses are shown if `gives_up_s` is set, which is the time after which the model server counts as stalled. A timer
    updates the line, so `Status` events and, if `gives_up_s` is set, tokens require a running event loop.
    """

    def __init__(
        self,
        renderer: Renderer[AskEvent],
        err: TextIO,
        *,
        columns: Callable[[], int],
        gives_up_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._renderer = renderer
        self._err = err
        self._columns = columns
        self._gives_up_s = gives_up_s
        self._clock = clock
        self._detail = ""
        self._since_s = 0.0
        self._is_answering = False
        self._shown = ""
        self._timer: asyncio.TimerHandle | None = None

    def handle(self, event: AskEvent) -> None:
        self._erase()
        match event:
            case Status(detail=detail) if detail:
                self._is_answering = False
                if detail != self._detail:
                    self._detail, self._since_s = detail, self._clock()
                self._stop_timer()
            case Token():
                self._detail, self._since_s, self._is_answering = "", self._clock(), self._gives_up_s is not None
            case Notice() | Status():
                pass  # the same step continues
            case _:
                self._detail, self._is_answering = "", False
        self._renderer.handle(event)
        if not (self._detail or self._is_answering):
            self._stop_timer()
        elif self._timer is None:  # a running timer is kept, because replacing it for each token would be slower
            self._set_timer(_STALLED_AFTER_S if self._is_answering else _SHOWN_AFTER_S)

    def close(self) -> None:
        self._stop_timer()
        self._erase()
        self._renderer.close()

    def _set_timer(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._draw)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _draw(self) -> None:
        columns = self._columns()
        waited_s = self._clock() - self._since_s
        if self._is_answering and waited_s < _STALLED_AFTER_S:
            self._set_timer(_STALLED_AFTER_S - waited_s)
            return
        line = self._line(waited_s)[: columns - 1] if columns >= _NARROWEST_COLUMNS else ""
        if line != self._shown:
            self._replace(line)
        self._set_timer(_EVERY_S)

    def _line(self, waited_s: float) -> str:
        if self._is_answering and self._gives_up_s is not None:
            return stall_line(waited_s, self._gives_up_s)
        return waiting_line(self._detail, waited_s)

    def _erase(self) -> None:
        if self._shown:
            self._replace("")

    def _replace(self, line: str) -> None:
        rows = -(-len(self._shown) // self._columns())  # more than one if the window has become narrower
        erase = f"\r\x1b[{rows - 1}A\x1b[J" if rows > 1 else _ERASE_LINE
        self._err.write(f"{erase}{line}")
        self._err.flush()
        self._shown = line


def waiting_line(detail: str, waited_s: float) -> str:
    """Return the line to show: the step, and its duration if it is at least a second.

    >>> waiting_line("waiting for llama3.2", 0.4), waiting_line("waiting for llama3.2", 1.24)
    ('waiting for llama3.2…', 'waiting for llama3.2… 1.2 s')
    """
    return f"{detail}… {waited_s:.1f} s" if waited_s >= _COUNTED_AFTER_S else f"{detail}…"


def stall_line(waited_s: float, gives_up_s: float) -> str:
    """Return the line to show during a pause in the middle of an answer.

    >>> stall_line(12.7, 60.0)
    'no data for 12 s; giving up after 60 s'
    """
    return f"no data for {int(waited_s)} s; giving up after {gives_up_s:g} s"
