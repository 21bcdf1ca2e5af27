"""What is lent to many at once is dropped when nobody has it, and only then."""

import asyncio

from streamrag_cli.kept import Kept


def test_what_is_borrowed_while_others_are_being_dropped_is_not_dropped_with_them() -> None:
    asyncio.run(_borrow_amid_a_drop())


async def _borrow_amid_a_drop() -> None:
    dropped: list[str] = []
    dropping, go_on = asyncio.Event(), asyncio.Event()

    async def drop(value: str) -> None:
        dropping.set()
        await go_on.wait()
        dropped.append(value)

    made: list[str] = []

    async def make(key: str) -> str:
        made.append(f"{key}{len(made)}")
        return made[-1]

    kept: Kept[str, str] = Kept(drop, most=2)
    for key in ("a", "b"):
        async with kept.borrow(key, lambda key=key: make(key)):  # type: ignore[misc]
            pass

    async def crowd() -> None:
        async with kept.borrow("c", lambda: make("c")), kept.borrow("d", lambda: make("d")):
            pass

    crowding = asyncio.create_task(crowd())
    await dropping.wait()  # the first of the unused, a and b, is on its way out
    async with kept.borrow("b", lambda: make("b")) as borrowed:
        go_on.set()
        await crowding
        assert borrowed not in dropped
    await kept.aclose()

    assert sorted(dropped) == sorted(made)
