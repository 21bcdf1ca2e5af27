"""Shows a line that describes the current step and how long it has taken. The line is erased before other output."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TextIO

from streamrag_cli.events import AskEvent, Status
from streamrag_cli.render.interface import Renderer

_EVERY_S: Final = 0.1
_SHOWN_AFTER_S: Final = 0.3  # shorter waits would only flicker
_COUNTED_AFTER_S: Final = 1.0
_NARROWEST_COLUMNS: Final = 20
_ERASE_LINE: Final = "\r\x1b[2K"


class WaitingLine:
    """Shows `Status` events on the last line of a terminal, and erases them before any other event is shown.

    Requires a running event loop for its timer.
    """

    def __init__(
        self, renderer: Renderer[AskEvent], err: TextIO, *, columns: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._renderer = renderer
        self._err = err
        self._columns = columns
        self._clock = clock
        self._detail = ""
        self._since_s = 0.0
        self._shown = ""
        self._timer: asyncio.TimerHandle | None = None

    def handle(self, event: AskEvent) -> None:
        self._erase()
        if isinstance(event, Status) and event.detail and self._columns >= _NARROWEST_COLUMNS:
            if event.detail != self._detail:
                self._detail, self._since_s = event.detail, self._clock()
            self._wait_for(_SHOWN_AFTER_S)
        self._renderer.handle(event)

    def close(self) -> None:
        self._erase()
        self._renderer.close()

    def _wait_for(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._draw)

    def _draw(self) -> None:
        line = waiting_line(self._detail, self._clock() - self._since_s)[: self._columns - 1]
        if line != self._shown:
            self._err.write(f"{_ERASE_LINE}{line}")
            self._err.flush()
            self._shown = line
        self._wait_for(_EVERY_S)

    def _erase(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._shown:
            self._err.write(_ERASE_LINE)
            self._err.flush()
            self._shown = ""


def waiting_line(detail: str, waited_s: float) -> str:
    """The line to show: the step, and its duration if that is at least a second.

    >>> waiting_line("waiting for llama3.2", 0.4), waiting_line("waiting for llama3.2", 1.24)
    ('waiting for llama3.2…', 'waiting for llama3.2… 1.2 s')
    """
    return f"{detail}… {waited_s:.1f} s" if waited_s >= _COUNTED_AFTER_S else f"{detail}…"
