"""What an engine's process takes while it answers from many collections. Run as a process of its own.

    python -m tests.support.many_collections STORE COLLECTIONS QUESTIONS

Prints the memory in use, in MB: after the first question, and at most during all of them.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from streamrag_cli.answer.pipeline import search
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.events import Sources
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings

ASKED = ("How long does the ferry take?", "Who built the lighthouse in the year of the flood?", "Fee?")


def main() -> None:
    store, collections, questions = sys.argv[1:]
    print(*asyncio.run(_ask(Path(store), int(collections), int(questions))))


async def _ask(store: Path, collections: int, questions: int) -> tuple[float, float]:
    fresh_mb = most_mb = 0.0
    async with SharedResources() as library:
        for number in range(questions):
            # A round of openings for each, then many questions for one after the other.
            chosen = number if number < 4 * collections else number * collections // questions
            settings = Settings(store=store, collection=f"number{chosen % collections}", min_score=0.0)
            asked = ASKED[number % len(ASKED)] + " harbour" * (number % 40)
            events = [
                each async for each in search(Question(text=asked, accepted_at=time.perf_counter()), settings, library)
            ]
            assert isinstance(events[-1], Sources), events
            most_mb = max(most_mb, _rss_mb())
            fresh_mb = fresh_mb or most_mb
    return fresh_mb, most_mb


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
