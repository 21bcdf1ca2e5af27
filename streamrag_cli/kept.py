"""Things that are dear to make and serve many questions: made once, shared, and dropped when long unused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_MOST_KEPT: Final = 8


@dataclass(slots=True)
class _Entry(Generic[Value]):
    value: Value
    borrowers: int = 0


class Kept(Generic[Key, Value]):
    """Lends one value for each key. Beyond `most` values, those that nobody uses go, the longest unused first.

    For one event loop. `drop` is awaited for each value that goes, all of them on `aclose`.
    """

    def __init__(self, drop: Callable[[Value], Awaitable[None]], *, most: int = _MOST_KEPT) -> None:
        self._drop = drop
        self._most = most
        self._entries: dict[Key, _Entry[Value]] = {}
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def borrow(self, key: Key, make: Callable[[], Awaitable[Value]]) -> AsyncIterator[Value]:
        """The value for `key`, made if there is none; what `make` raises is raised, and nothing is kept."""
        async with self._making:
            entry = self._entries.pop(key, None) or _Entry(await make())
            self._entries[key] = entry  # last is newest
            entry.borrowers += 1
        try:
            yield entry.value
        finally:
            entry.borrowers -= 1
            await self._drop_unused(self._most)

    async def aclose(self) -> None:
        """Drop all values that nobody uses."""
        await self._drop_unused(0)

    async def _drop_unused(self, most: int) -> None:
        unused = [key for key, entry in self._entries.items() if not entry.borrowers]
        going = [self._entries.pop(key).value for key in unused[: max(0, len(self._entries) - most)]]
        for value in going:  # nobody can borrow these any more, whatever happens while one is dropped
            await self._drop(value)
