"""Pooled resources are created once, shared, and closed only when unused."""

import asyncio

import pytest

from streamrag_cli.pool import ResourcePool


def test_a_resource_acquired_during_closing_stays_open() -> None:
    asyncio.run(_acquire_during_a_close())


async def _acquire_during_a_close() -> None:
    dropped: list[str] = []
    dropping, proceed = asyncio.Event(), asyncio.Event()

    async def drop(value: str) -> None:
        dropping.set()
        await proceed.wait()
        dropped.append(value)

    made: list[str] = []

    async def make(key: str) -> str:
        made.append(f"{key}{len(made)}")
        return made[-1]

    pool: ResourcePool[str, str] = ResourcePool(drop, max_size=2)
    for key in ("a", "b"):
        async with pool.acquire(key, lambda key=key: make(key)):  # type: ignore[misc]
            pass

    async def crowd() -> None:
        async with pool.acquire("c", lambda: make("c")), pool.acquire("d", lambda: make("d")):
            pass

    crowding = asyncio.create_task(crowd())
    await dropping.wait()  # one of the unused resources, a or b, is being closed
    async with pool.acquire("b", lambda: make("b")) as resource:
        proceed.set()
        await crowding
        assert resource not in dropped
    await pool.aclose()

    assert sorted(dropped) == sorted(made)


async def _close(_: str) -> None:
    pass


@pytest.mark.fault("database-silent")
def test_a_hanging_resource_blocks_only_its_own_users() -> None:
    async def acquire_another() -> str:
        pool: ResourcePool[str, str] = ResourcePool(_close)
        never = asyncio.Event()

        async def hang() -> str:
            await never.wait()
            return "late"

        async def quick() -> str:
            return "quick"

        async def wait_for_it() -> None:
            async with pool.acquire("hangs", hang):
                pass

        waiting = [asyncio.create_task(wait_for_it()) for _ in range(3)]
        await asyncio.sleep(0)
        async with pool.acquire("other", quick) as value:
            pass
        never.set()
        await asyncio.gather(*waiting)
        return value

    assert asyncio.run(asyncio.wait_for(acquire_another(), 5)) == "quick"


def test_a_failure_reaches_all_waiting_callers_and_is_not_cached() -> None:
    async def fail_and_try_again() -> tuple[list[str], str, int]:
        pool: ResourcePool[str, str] = ResourcePool(_close)
        attempts: list[int] = []
        proceed = asyncio.Event()

        async def make() -> str:
            attempts.append(1)
            await proceed.wait()
            if len(attempts) == 1:
                raise OSError("no route")
            return "made"

        async def acquire() -> str:
            async with pool.acquire("key", make) as value:
                return value

        waiting = [asyncio.create_task(acquire()) for _ in range(4)]
        await asyncio.sleep(0)
        proceed.set()
        failures = [str(each) for each in await asyncio.gather(*waiting, return_exceptions=True)]
        return failures, await acquire(), len(attempts)

    assert asyncio.run(fail_and_try_again()) == (["no route"] * 4, "made", 2)


def test_a_cancelled_caller_does_not_cancel_creation_for_other_callers() -> None:
    async def leave() -> tuple[str, list[str]]:
        closed: list[str] = []

        async def close(value: str) -> None:
            closed.append(value)

        pool: ResourcePool[str, str] = ResourcePool(close)
        proceed = asyncio.Event()

        async def make() -> str:
            await proceed.wait()
            return "made"

        async def acquire() -> str:
            async with pool.acquire("key", make) as value:
                return value

        leaving, staying = asyncio.create_task(acquire()), asyncio.create_task(acquire())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        proceed.set()
        value = await staying
        await pool.aclose()
        return value, closed

    assert asyncio.run(leave()) == ("made", ["made"])


def test_idle_resources_are_closed_and_used_resources_stay_open() -> None:
    async def wait() -> tuple[str, int]:
        closed: asyncio.Queue[str] = asyncio.Queue()
        pool: ResourcePool[str, str] = ResourcePool(closed.put, idle_s=0.05)

        async def make(value: str) -> str:
            return value

        async with pool.acquire("used", lambda: make("used")):
            async with pool.acquire("unused", lambda: make("unused")):
                pass
            return await closed.get(), len(pool)

    assert asyncio.run(asyncio.wait_for(wait(), 10)) == ("unused", 1)
