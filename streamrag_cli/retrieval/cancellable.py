"""Runs work in a thread that can be cancelled from the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from streamrag_cli.new_thread import run_in_new_thread
from streamrag_cli.store.time_limit import Cancellation

Result = TypeVar("Result")


async def run_cancellable(work: Callable[[Cancellation], Result], threads: Executor | None = None) -> Result:
    """Run `work` in one of `threads`, or in a new one. If the caller is cancelled, `work` is cancelled as well."""
    cancellation = Cancellation()
    to_run = partial(work, cancellation)
    try:
        if threads is None:
            return await run_in_new_thread(to_run)
        return await asyncio.get_running_loop().run_in_executor(threads, to_run)
    except asyncio.CancelledError:
        cancellation.cancel()
        raise
