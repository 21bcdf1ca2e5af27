"""Where this process's own milliseconds went, before and beside those of the answer: for `--timings`."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from streamrag_cli.cli import main
from streamrag_cli.cli.process import startup_ms
from streamrag_cli.events import AskEvent, Done
from streamrag_cli.stages import Stages


def own_stages() -> Stages:
    """The stages of this process, from its start; now its imports are done."""
    stages = Stages(main.STARTED_AT)
    stages.spent_ms["interpreter"] = startup_ms(main.STARTED_AT) or 0.0
    stages.end("imports")
    return stages


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
