"""Work that is done for somebody, and ends when they go away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def cancel_on_disconnect(
    leaving: Coroutine[Any, Any, object], work: Coroutine[Any, Any, Result]
) -> Result | None:
    """Run `work`, and cancel it when `leaving` comes to its end first; then there is no result."""
    working, watching = asyncio.create_task(work), asyncio.create_task(leaving)
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)
    return None if working.cancelled() else working.result()
