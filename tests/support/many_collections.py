"""Measures the memory of a process that answers from many collections, like an engine.

    python -m tests.support.many_collections STORE COLLECTIONS QUESTIONS

Prints the memory in MB after the first question, and the peak of all questions.
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

QUESTIONS = ("How long does the ferry take?", "Who built the lighthouse in the year of the flood?", "Fee?")


def main() -> None:
    store, collections, questions = sys.argv[1:]
    print(*asyncio.run(_ask(Path(store), int(collections), int(questions))))


async def _ask(store: Path, collections: int, questions: int) -> tuple[float, float]:
    first_mb = peak_mb = 0.0
    async with SharedResources() as resources:
        for number in range(questions):
            # Open each collection four times in turn, then ask each many questions.
            chosen = number if number < 4 * collections else number * collections // questions
            settings = Settings(store=store, collection=f"number{chosen % collections}", min_score=0.0)
            question = QUESTIONS[number % len(QUESTIONS)] + " harbour" * (number % 40)
            events = [
                each
                async for each in search(Question(text=question, accepted_at=time.perf_counter()), settings, resources)
            ]
            assert isinstance(events[-1], Sources), events
            peak_mb = max(peak_mb, _rss_mb())
            first_mb = first_mb or peak_mb
    return first_mb, peak_mb


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
