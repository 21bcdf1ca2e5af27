"""An ingest's rate in the last 30 seconds, and the remaining time."""

from collections import deque
from collections.abc import Callable
from typing import Final

from streamrag_cli.counting import counted_noun, rough_time, rounded

_WINDOW_S: Final = 30.0
_STEADY_S: Final = 5.0
"""The minimum time in seconds over which a rate is reliable."""


class PassageRate:
    """Counts passages. The rate is that of the last 30 seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: deque[tuple[float, int]] = deque([(clock(), 0)])

    def add(self, passages: int) -> None:
        """Record the number of completed passages. A lower number than before is ignored."""
        now = self._clock()
        if passages < self._counts[-1][1]:
            return
        if passages > 0 and self._counts[-1][1] == 0:
            self._counts = deque()  # the first ones may come from an interrupted ingest
        self._counts.append((now, passages))
        while len(self._counts) > 2 and self._counts[1][0] <= now - _WINDOW_S:
            self._counts.popleft()

    @property
    def per_second(self) -> float | None:
        """The number of passages per second; None if it is still unreliable or there was no progress."""
        (first_at, first), (last_at, last) = self._counts[0], self._counts[-1]
        elapsed = last_at - first_at
        return (last - first) / elapsed if elapsed >= _STEADY_S and last > first else None

    def progress(self, passages: int, total: int | None) -> str:
        """Format the progress, such as `1,200 of about 3,800 passages · 31/s · 1 min left`.

        `total` is the estimated number of passages, or None if it is unknown.
        """
        of_total = f"{passages:,} of about {counted_noun(max(passages, rounded(total)), 'passage')}" if total else ""
        parts = [of_total or counted_noun(passages, "passage")]
        if (rate := self.per_second) is not None:
            parts.append(f"{rate:,.0f}/s" if rate >= 3 else f"{rate:.1f}/s")
            if total and total > passages:
                parts.append(f"{rough_time((total - passages) / rate)} left")
        return " · ".join(parts)
