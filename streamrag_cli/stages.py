"""Timings of consecutive named stages, such as those of a question."""

from time import perf_counter


class Stages:
    """Records the duration and the end time (`perf_counter`) of each stage, in order of first use.

    Not thread-safe.
    """

    def __init__(self, since: float) -> None:
        """`since` is the `perf_counter` value at which the first stage began."""
        self._since = since
        self.spent_ms: dict[str, float] = {}
        self.ended_at: dict[str, float] = {}

    def end(self, stage: str) -> None:
        """Add the time since the last stage ended to `stage`."""
        now = perf_counter()
        self.spent_ms[stage] = self.spent_ms.get(stage, 0.0) + (now - self._since) * 1000
        self._since = self.ended_at[stage] = now
