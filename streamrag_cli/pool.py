"""Reference-counted pool of expensive resources: created once, shared, and closed when idle."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_MAX_SIZE: Final = 8
_IDLE_S: Final = 120.0


@dataclass(slots=True, eq=False)
class _Entry(Generic[Value]):
    """A resource that exists or is being created. `unused_since_s` is a time on the event loop's clock."""

    task: asyncio.Task[Value]
    users: int = 0
    unused_since_s: float = 0.0

    @property
    def value(self) -> Value | None:
        """The resource; None if its creation has not finished or has failed."""
        is_ready = self.task.done() and not self.task.cancelled() and self.task.exception() is None
        return self.task.result() if is_ready else None


class ResourcePool(Generic[Key, Value]):
    """Shares one resource per key, within one event loop.

    Unused resources are closed with `close` after `idle_s` seconds and, if there are more than `max_size`, least
    recently used first. Creating or closing one resource never delays another.
    """

    def __init__(
        self, close: Callable[[Value], Awaitable[None]], *, max_size: int = _MAX_SIZE, idle_s: float = _IDLE_S
    ) -> None:
        self._close = close
        self._max_size = max_size
        self._idle_s = idle_s
        self._entries: dict[Key, _Entry[Value]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    @asynccontextmanager
    async def acquire(self, key: Key, make: Callable[[], Awaitable[Value]]) -> AsyncIterator[Value]:
        """Yield the resource for `key`, created with `make` if it does not exist.

        Concurrent callers wait for the same creation and get the same exception if it fails. A failure is not cached.
        """
        entry = self._entries.pop(key, None) or self._start(key, make)
        self._entries[key] = entry  # most recently used is last
        entry.users += 1
        try:
            yield await asyncio.shield(entry.task)  # other callers may be waiting for the same task
        finally:
            entry.users -= 1
            entry.unused_since_s = asyncio.get_running_loop().time()
            await self._close_surplus(self._max_size)
            self._schedule_sweep()

    async def aclose(self) -> None:
        """Close all unused resources and wait until they are closed."""
        if self._sweep is not None:
            self._sweep.cancel()
        await self._close_surplus(0)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _start(self, key: Key, make: Callable[[], Awaitable[Value]]) -> _Entry[Value]:
        async def create() -> Value:
            return await make()

        entry = _Entry(asyncio.create_task(create()))

        def forget_failure(task: asyncio.Task[Value]) -> None:
            if (task.cancelled() or task.exception() is not None) and self._entries.get(key) is entry:
                del self._entries[key]

        entry.task.add_done_callback(forget_failure)
        return entry

    def _unused(self) -> list[Key]:
        """Return the keys of unused resources that have been created, least recently used first."""
        return [key for key, entry in self._entries.items() if not entry.users and entry.task.done()]

    async def _close_surplus(self, max_size: int) -> None:
        unused = self._unused()
        await self._close_entries(unused[: max(0, len(self._entries) - max_size)])

    async def _close_entries(self, keys: list[Key]) -> None:
        values = [self._entries.pop(key).value for key in keys]
        for value in values:  # all are removed from the pool first, so that no caller can acquire one during an await
            if value is not None:
                await self._close(value)

    def _schedule_sweep(self) -> None:
        if self._sweep is None and self._entries:
            self._sweep = asyncio.get_running_loop().call_later(self._idle_s, self._close_idle)

    def _close_idle(self) -> None:
        self._sweep = None
        idle_since_s = asyncio.get_running_loop().time() - self._idle_s
        idle = [key for key in self._unused() if self._entries[key].unused_since_s <= idle_since_s]
        if idle:
            closing = asyncio.create_task(self._close_entries(idle))
            self._closing.add(closing)
            closing.add_done_callback(self._closed)
        self._schedule_sweep()

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        with suppress(asyncio.CancelledError):
            closing.result()
