"""An idle timeout that needs one timer per answer instead of one timer per received piece."""

import asyncio
import math
from collections.abc import Callable


class IdleTimer:
    """Calls `on_expiry` when a wait exceeds its limit. Supports one event loop and one wait at a time."""

    def __init__(self, on_expiry: Callable[[], None]) -> None:
        self._on_expiry = on_expiry
        self._loop = asyncio.get_running_loop()
        self._ends_at_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, limit_s: float) -> None:
        """Start a wait that expires after `limit_s` seconds."""
        self._ends_at_s = self._loop.time() + limit_s
        if self._timer is None or self._timer.when() > self._ends_at_s:
            self._set()

    def end(self) -> None:
        """End the wait. The timer keeps running and does nothing when it fires, because cancelling it costs more."""
        self._ends_at_s = math.inf

    def close(self) -> None:
        self.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._ends_at_s, self._check)

    def _check(self) -> None:
        self._timer = None
        if self._loop.time() >= self._ends_at_s:
            self._on_expiry()
        elif self._ends_at_s < math.inf:
            self._set()
