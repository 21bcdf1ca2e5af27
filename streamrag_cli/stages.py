"""Where the milliseconds of a question went: named stretches of time, one after the other."""

from time import perf_counter


class Stages:
    """Notes how long each stage took, in the order of their first mention, and when it ended (`perf_counter`).

    For one thread at a time.
    """

    def __init__(self, since: float) -> None:
        """`since` is the `perf_counter` reading at which the first stage began."""
        self._since = since
        self.spent_ms: dict[str, float] = {}
        self.ended_at: dict[str, float] = {}

    def end(self, stage: str) -> None:
        """The time since the last stage's end was `stage`."""
        now = perf_counter()
        self.spent_ms[stage] = self.spent_ms.get(stage, 0.0) + (now - self._since) * 1000
        self._since = self.ended_at[stage] = now
