"""Cancels the work for a request when the client disconnects."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def cancel_on_disconnect(
    disconnect: Coroutine[Any, Any, object], work: Coroutine[Any, Any, Result]
) -> Result | None:
    """Run `work` and return its result. If `disconnect` completes first, cancel `work` and return None."""
    work_task, disconnect_task = asyncio.create_task(work), asyncio.create_task(disconnect)
    try:
        await asyncio.wait({work_task, disconnect_task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (work_task, disconnect_task):
            task.cancel()
        await asyncio.gather(work_task, disconnect_task, return_exceptions=True)
    return None if work_task.cancelled() else work_task.result()
