"""The bytes of a reply, everything that has arrived at once.

The HTTP library hands out each chunk of a reply by itself, also where one read of the socket has brought many, and
model servers send each token as a chunk. Under load it is passing on together what has arrived together that keeps
the cost of a token down.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Final

from streamrag_cli.model_server.pace import Pace

_MOST_BYTES: Final = 65_536


class ReadAhead:
    """Reads `pieces` in a task of its own, no further than about 64 kB ahead of who takes them. Stop it at the end."""

    def __init__(self, pieces: AsyncIterator[bytes], pace: Pace) -> None:
        self._pieces = pieces
        self._pace = pace
        self._clock = asyncio.get_running_loop().time
        self._taken_at_s = -math.inf
        self._arrived: list[bytes] = []
        self._arrived_bytes = 0
        self._ended = False
        self._failure: Exception | None = None
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def take(self) -> bytes | None:
        """All that has arrived, as soon as something has and the pace allows it; None at the end.

        Raises what reading raised, at its place.
        """
        too_soon_s = self._taken_at_s + self._pace.wait_s - self._clock()
        if too_soon_s > 0 and not self._ended:
            await asyncio.sleep(too_soon_s)
        while not self._arrived:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        taken = b"".join(self._arrived)
        self._arrived.clear()
        self._arrived_bytes = 0
        self._taken.set()
        self._taken_at_s = self._clock()
        return taken

    def fail(self, failure: Exception) -> None:
        """Have `take` raise this once everything that has arrived is taken."""
        self._failure = failure
        self._changed.set()

    async def stop(self) -> None:
        """Read no more. What was underway is cancelled, which closes the connection."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for piece in self._pieces:
                self._arrived.append(piece)
                self._arrived_bytes += len(piece)
                self._changed.set()
                while self._arrived_bytes >= _MOST_BYTES:
                    self._taken.clear()
                    await self._taken.wait()
        except Exception as error:  # noqa: BLE001 - raised again by `take`, to whom it belongs
            self._failure = error
        finally:
            self._ended = True
            self._changed.set()
