"""Reading ahead: bytes that arrived together are taken together, and the amount is limited."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from streamrag_cli.model_server.pace import Pace
from streamrag_cli.model_server.read_ahead import ReadAhead


async def all_of(reads: ReadAhead) -> list[bytes]:
    taken = []
    while (piece := await reads.take()) is not None:
        taken.append(piece)
    return taken


def test_bytes_that_arrived_in_the_meantime_are_returned_together_in_order() -> None:
    async def run() -> list[bytes]:
        more = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"a", b"b", b"c"):
                yield piece
            await more.wait()
            for piece in (b"d", b"e"):
                yield piece

        reads = ReadAhead(pieces(), Pace())
        first = await reads.take()
        assert first is not None
        more.set()
        return [first, *await all_of(reads)]

    assert asyncio.run(run()) == [b"abc", b"de"]


def test_a_failure_is_raised_repeatedly_after_the_preceding_bytes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError("cut")

    async def run() -> None:
        reads = ReadAhead(pieces(), Pace())
        assert await reads.take() == b"half"
        for _ in range(2):
            with pytest.raises(ConnectionResetError, match="cut"):
                await reads.take()

    asyncio.run(run())


def test_a_slow_consumer_limits_the_amount_that_is_read_ahead() -> None:
    async def run() -> tuple[int, int]:
        sent = 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(100):
                sent += 1
                yield bytes(10_000)
                await asyncio.sleep(0)

        reads = ReadAhead(pieces(), Pace())
        for _ in range(200):
            await asyncio.sleep(0)
        sent_ahead = sent
        return sent_ahead, sum(map(len, await all_of(reads)))

    assert asyncio.run(run()) == (7, 1_000_000)


def test_stopping_cancels_a_pending_read() -> None:
    async def run() -> bool:
        closed = False

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal closed
            try:
                yield b"a"
                await asyncio.Event().wait()
            finally:
                closed = True

        reads = ReadAhead(pieces(), Pace())
        await reads.take()
        await reads.stop()
        return closed

    assert asyncio.run(run())
