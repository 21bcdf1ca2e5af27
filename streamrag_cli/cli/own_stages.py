"""Where this process's own milliseconds went, before and beside those of the answer: for `--timings`."""

import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from streamrag_cli.cli.process import Process
from streamrag_cli.events import AskEvent, Done
from streamrag_cli.stages import Stages


def own_stages(process: Process) -> Stages:
    """The stages of this process, from its start; now its imports are done."""
    stages = Stages(process.started_at)
    stages.spent_ms["interpreter"] = startup_ms(process.started_at) or 0.0
    stages.end("imports")
    return stages


def startup_ms(now: float) -> float | None:
    """Milliseconds from the start of this process to the `perf_counter` reading `now`; None if the system hides it."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return None
    started = ticks / os.sysconf("SC_CLK_TCK")
    elapsed = time.clock_gettime(time.CLOCK_BOOTTIME) - started - (time.perf_counter() - now)
    return max(0.0, elapsed * 1000)


async def with_stages(
    events: AsyncGenerator[AskEvent, None], own_ms: Mapping[str, float]
) -> AsyncGenerator[AskEvent, None]:
    """The same events, whose end tells these stages before its own."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Done):
                stages = {**own_ms, **(event.timings.stages or {})}
                yield replace(event, timings=replace(event.timings, stages=stages))
            else:
                yield event
