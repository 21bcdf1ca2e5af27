"""Time limits for searches, and their cancellation.

A search runs in a thread, which cannot be stopped from outside. Long operations therefore check their `TimeLimit`, or
it interrupts them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from typing import Final

from streamrag_cli.errors import StoreError

RETRIEVAL_LIMIT_S: Final = 15.0
_POLL_S: Final = 0.05


class Cancellation:
    """Signals to an operation that its result is no longer needed. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        return self._is_cancelled

    def cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` once, from any thread, if `cancel` is called before or during the `with` block."""
        with self._lock:
            if not self._is_cancelled:
                self._callbacks.append(callback)
            is_late = self._is_cancelled
        if is_late:
            callback()
        try:
            yield
        finally:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)


class TimeLimit:
    """Expires `limit_s` seconds from now, or when `cancellation` is cancelled."""

    def __init__(self, limit_s: float, cancellation: Cancellation | None = None) -> None:
        self._limit_s = limit_s
        self._ends_at_s = time.monotonic() + limit_s
        self._cancellation = cancellation or Cancellation()

    @property
    def remaining_s(self) -> float:
        return max(0.0, self._ends_at_s - time.monotonic())

    @property
    def is_cancelled(self) -> bool:
        return self._cancellation.is_cancelled

    def is_expired(self) -> bool:
        return self.is_cancelled or not self.remaining_s

    def error(self) -> StoreError:
        """The error to raise if the limit has expired: `interrupted` if it was cancelled, else `retrieval_timeout`."""
        if self.is_cancelled:
            return StoreError("the search was cancelled", code="interrupted", retryable=True)
        return StoreError(
            f"the search took longer than {self._limit_s:g} s and was stopped",
            code="retrieval_timeout",
            hint="try again, or ask a shorter question",
            retryable=True,
        )

    def check(self) -> None:
        """Raise `error()` if the limit has expired."""
        if self.is_expired():
            raise self.error()

    @contextmanager
    def acquired(self, lock: Lock) -> Iterator[None]:
        """Hold `lock` during the `with` block. Raises `error()` if the limit expires first."""
        while not lock.acquire(timeout=min(_POLL_S, self.remaining_s)):
            self.check()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def on_expiry(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call `interrupt` from another thread if the limit expires during the `with` block.

        A StoreError that the block raises afterwards is replaced by `error()`. Use this method only for operations that
        cannot check the limit themselves, because it starts a thread.
        """
        timer = Timer(self.remaining_s, interrupt)
        timer.daemon = True
        timer.start()
        try:
            with self._cancellation.on_cancel(interrupt):
                yield
        except StoreError as error:
            if self.is_expired():
                raise self.error() from error
            raise
        finally:
            timer.cancel()
