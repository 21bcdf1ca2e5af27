"""Reads a reply ahead of its consumer and returns, as one piece, everything that has arrived so far.

Model servers send each token as an HTTP chunk. The HTTP library returns each chunk separately, even if one read of the
socket received many. Passing on all received chunks together reduces the cost per token under load.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Final

from streamrag_cli.model_server.pace import Pace

_MOST_BYTES: Final = 65_536


class ReadAhead:
    """Reads `pieces` in a separate task, at most about 64 kB ahead of `take`. Call `stop` at the end."""

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
        self._read_task = asyncio.create_task(self._read())

    async def take(self) -> bytes | None:
        """Wait until data has arrived and the pace allows it, and return everything that has arrived; None at the end.

        If the reading task failed, its exception is raised after all earlier data has been returned.
        """
        too_soon_s = self._taken_at_s + self._pace.coalescing_delay_s - self._clock()
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
        """Make `take` raise `failure` after it has returned everything that has arrived."""
        self._failure = failure
        self._changed.set()

    async def stop(self) -> None:
        """Cancel the reading task, which closes the connection."""
        self._read_task.cancel()
        await asyncio.gather(self._read_task, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for piece in self._pieces:
                self._arrived.append(piece)
                self._arrived_bytes += len(piece)
                self._changed.set()
                while self._arrived_bytes >= _MOST_BYTES:
                    self._taken.clear()
                    await self._taken.wait()
        except Exception as error:  # noqa: BLE001 - `take` raises it again
            self._failure = error
        finally:
            self._ended = True
            self._changed.set()
