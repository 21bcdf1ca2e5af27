"""Reference-counted pool of expensive resources: made once, shared, and closed after a time without users."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_MOST_IN_POOL: Final = 8
_IDLE_S: Final = 120.0


@dataclass(slots=True, eq=False)
class _Entry(Generic[Value]):
    """A resource that is being made or has been. `unused_since_s` is the loop's time."""

    making: asyncio.Task[Value]
    users: int = 0
    unused_since_s: float = 0.0

    @property
    def value(self) -> Value | None:
        """None as long as there is none to close."""
        made = self.making.done() and not self.making.cancelled() and self.making.exception() is None
        return self.making.result() if made else None


class ResourcePool(Generic[Key, Value]):
    """Shares one resource for each key. For one event loop.

    Unused ones are closed, each by awaiting `close`: after `idle_s` seconds, and if there are more than `most`, the
    longest unused first. Resources with different keys do not wait for each other, in being made or in being closed.
    """

    def __init__(
        self, close: Callable[[Value], Awaitable[None]], *, most: int = _MOST_IN_POOL, idle_s: float = _IDLE_S
    ) -> None:
        self._close = close
        self._most = most
        self._idle_s = idle_s
        self._entries: dict[Key, _Entry[Value]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    @asynccontextmanager
    async def acquire(self, key: Key, make: Callable[[], Awaitable[Value]]) -> AsyncIterator[Value]:
        """The resource for `key`, made if there is none.

        Whoever acquires it while it is being made waits for that, and gets what `make` raises. A failure is not kept.
        """
        entry = self._entries.pop(key, None) or self._begun(key, make)
        self._entries[key] = entry  # last is newest
        entry.users += 1
        try:
            yield await asyncio.shield(entry.making)  # others may be waiting for it, too
        finally:
            entry.users -= 1
            entry.unused_since_s = asyncio.get_running_loop().time()
            await self._close_surplus(self._most)
            self._schedule_sweep()

    async def aclose(self) -> None:
        """Close all that nobody uses, and wait for those that are being closed."""
        if self._sweep is not None:
            self._sweep.cancel()
        await self._close_surplus(0)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _begun(self, key: Key, make: Callable[[], Awaitable[Value]]) -> _Entry[Value]:
        async def making() -> Value:
            return await make()

        entry = _Entry(asyncio.create_task(making()))

        def forget_failure(made: asyncio.Task[Value]) -> None:
            if (made.cancelled() or made.exception() is not None) and self._entries.get(key) is entry:
                del self._entries[key]

        entry.making.add_done_callback(forget_failure)
        return entry

    def _unused(self) -> list[Key]:
        """The longest unused first. What is still being made is not among them."""
        return [key for key, entry in self._entries.items() if not entry.users and entry.making.done()]

    async def _close_surplus(self, most: int) -> None:
        unused = self._unused()
        await self._close_entries(unused[: max(0, len(self._entries) - most)])

    async def _close_entries(self, keys: list[Key]) -> None:
        going = [self._entries.pop(key).value for key in keys]
        for value in going:  # nobody can acquire these any more, whatever happens while one is being closed
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
