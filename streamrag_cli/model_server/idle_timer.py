"""A limit on silence that costs nothing for a piece: one timer serves all the waits of an answer."""

import asyncio
import math
from collections.abc import Callable


class IdleTimer:
    """Calls `expired` when a wait lasts longer than its limit. For one event loop; one wait at a time."""

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._loop = asyncio.get_running_loop()
        self._ends_at_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, limit_s: float) -> None:
        """From now on, `limit_s` seconds are left."""
        self._ends_at_s = self._loop.time() + limit_s
        if self._timer is None or self._timer.when() > self._ends_at_s:
            self._set()

    def end(self) -> None:
        """What was waited for has come. The timer runs on, and finds that out by itself."""
        self._ends_at_s = math.inf

    def close(self) -> None:
        self.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._ends_at_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() >= self._ends_at_s:
            self._expired()
        elif self._ends_at_s < math.inf:
            self._set()
