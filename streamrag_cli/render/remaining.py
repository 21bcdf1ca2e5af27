"""Estimates the remaining time of an ingest."""

from collections import deque
from collections.abc import Callable
from typing import Final

_STEADY_S: Final = 5.0
_STEADY_ESTIMATES: Final = 5
_STEADY_WITHIN: Final = 1.25


class RemainingTime:
    """Estimates the remaining time, but not until consecutive estimates agree: early ones are unreliable."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started_at = clock()
        self._completed = 0.0
        self._estimates: deque[float] = deque(maxlen=_STEADY_ESTIMATES)

    def after(self, completed: float, total: float) -> str:
        """The remaining time after `completed` of `total`, such as `0:42 left`; "" while the estimates disagree."""
        spent_s = self._clock() - self._started_at
        if completed > self._completed and spent_s > 0:
            self._completed = completed
            self._estimates.append(spent_s * total / completed)
        is_steady = (
            spent_s >= _STEADY_S
            and len(self._estimates) == _STEADY_ESTIMATES
            and max(self._estimates) <= min(self._estimates) * _STEADY_WITHIN
        )
        if not is_steady:
            return ""
        minutes, seconds = divmod(max(0, round(self._estimates[-1] - spent_s)), 60)
        return f"{minutes}:{seconds:02d} left"
