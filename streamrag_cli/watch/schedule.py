"""Computes when the actions of a watcher are due. All times are in seconds on a monotonic clock."""

from typing import Final

from streamrag_cli.watch.options import WatchOptions

_JUMP_S: Final = 5.0
"""If the difference between the two clocks changes by this much, the machine was suspended or its clock was set."""
_NETWORK_EVERY_S: Final = 30.0
_ADDRESSES_EVERY_S: Final = 3600.0
_POLL_EVERY_S: Final = 1.0
_POLL_SHARE: Final = 0.01
"""The maximum share of time that polling takes, unless the user sets the interval."""


class Schedule:
    """One watcher's due times.

    A failed batch is tried again at `retry_at`, and the watcher's record is updated at `beat_at`.
    """

    def __init__(self, options: WatchOptions, *, is_on_network: bool) -> None:
        self._options = options
        now = options.monotonic()
        every_s = options.every_s or (_NETWORK_EVERY_S if is_on_network else None)
        self._poll_every_s = _POLL_EVERY_S if every_s is None else every_s
        self._polls_always = every_s is not None
        self._poll_at: float | None = now + self._poll_every_s
        self._tick_at = now + options.tick_s
        self._sweep_at = now + options.sweep_every_s
        self._whole_at = now + options.whole_every_s
        self._addresses_at = now + (options.every_s or _ADDRESSES_EVERY_S)
        self._worker_until = now
        self._has_worker = False
        self._difference_s = options.wall() - now
        self.retry_at = now
        self.beat_at = now

    @property
    def next_at(self) -> float:
        """The time at which the next action other than a batch is due."""
        times = [self._tick_at, self._sweep_at, self.beat_at]
        if self._poll_at is not None:
            times.append(self._poll_at)
        if self._has_worker:
            times.append(self._worker_until)
        return min(times)

    def tick_is_due(self, now: float) -> bool:
        if now < self._tick_at:
            return False
        self._tick_at = now + self._options.tick_s
        return True

    def clock_has_jumped(self) -> bool:
        """Whether the machine was suspended or its clock was set since the last call."""
        difference_s = self._options.wall() - self._options.monotonic()
        has_jumped = abs(difference_s - self._difference_s) > _JUMP_S
        self._difference_s = difference_s
        return has_jumped

    def poll_is_due(self, now: float, *, polls: bool) -> bool:
        """Whether it is time to compare all files."""
        if not (polls or self._polls_always):
            self._poll_at = None
            return False
        if self._poll_at is None:
            self._poll_at = now
        return now >= self._poll_at

    def polled(self, now: float, took_s: float, *, is_settling: bool) -> None:
        """Set the time of the next comparison. It is earlier while files are changing, to notice the last change."""
        least_s = took_s if self._polls_always else took_s / _POLL_SHARE
        pause_s = max(self._options.settle_s, took_s) if is_settling else max(self._poll_every_s, least_s)
        self._poll_at = now + pause_s

    def addresses_are_due(self, now: float) -> bool:
        """Whether it is time to fetch the roots that are addresses, because their changes cause no events."""
        if now < self._addresses_at:
            return False
        self._addresses_at = now + (self._options.every_s or _ADDRESSES_EVERY_S)
        return True

    def sweep_is_due(self, now: float) -> bool:
        if now < self._sweep_at:
            return False
        self._sweep_at = now + self._options.sweep_every_s
        return True

    def whole_is_due(self, now: float) -> bool:
        return now >= self._whole_at

    def swept(self, now: float) -> None:
        """Record that everything was ingested."""
        self._sweep_at = now + self._options.sweep_every_s
        self._whole_at = now + self._options.whole_every_s

    def retry_later(self, now: float, failures: int) -> None:
        self.retry_at = now + min(self._options.first_retry_s * 2 ** (failures - 1), self._options.longest_retry_s)

    def beat_soon(self, now: float) -> None:
        self.beat_at = now

    def beat_is_due(self, now: float) -> bool:
        return now >= self.beat_at

    def used_worker(self, now: float) -> None:
        self._has_worker, self._worker_until = True, now + self._options.keep_worker_s

    def worker_is_idle(self, now: float) -> bool:
        """Whether the worker has not been used for `keep_worker_s` seconds."""
        if self._has_worker and now < self._worker_until:
            return False
        self._has_worker = False
        return True
