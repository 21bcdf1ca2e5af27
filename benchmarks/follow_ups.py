"""Compares the time to the sources of a follow-up with that of a single question.

    python -m benchmarks.follow_ups SETS/conversations STORE --questions 60

STORE is made from the set's corpus if it does not exist. Each question with a history is searched in four ways in
turn, and each way has its own open collection:

- single: without its history
- first: as a follow-up, when no vectors from the conversation are known, as in a new process
- later: as a follow-up, after the earlier questions were asked in the same process
- long: like `first`, after 200 more turns of 20,000 characters

It prints the median and the mean of wall time and of processor time in milliseconds, and the ratios to `single`.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.corpora import ingest_all
from streamrag_cli.answer.pipeline import search
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.events import Sources
from streamrag_cli.model import Question, Turn
from streamrag_cli.settings import Settings

WAYS: Final = ("single", "first", "later", "long")
_LONG: Final = tuple(Turn(question=f"{number} lorem ipsum " * 1000, answer="dolor " * 3000) for number in range(200))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("set", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--collection", default="default")
    parser.add_argument("--questions", type=int, default=60)
    arguments = parser.parse_args()
    settings = Settings(store=arguments.store, collection=arguments.collection, min_score=0.0)
    if not arguments.store.exists():
        make_store(arguments.set, settings)
    asyncio.run(compare(questions(arguments.set, arguments.questions), settings))


def make_store(folder: Path, settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for number, line in enumerate((folder / "corpus.jsonl").read_text("utf-8").splitlines()):
            Path(scratch, f"{number}.md").write_text(json.loads(line)["text"], encoding="utf-8")
        ingest_all(Path(scratch), settings)


def questions(folder: Path, count: int) -> list[tuple[str, tuple[Turn, ...]]]:
    """Evenly spaced questions with a history."""
    entries = [json.loads(line) for line in (folder / "queries.jsonl").read_text("utf-8").splitlines()]
    follow_ups = [
        (entry["text"], tuple(Turn(question=each["question"], answer=each["answer"]) for each in entry["history"]))
        for entry in entries
        if entry.get("history")
    ]
    return follow_ups[:: max(1, len(follow_ups) // count)][:count]


async def compare(follow_ups: Sequence[tuple[str, tuple[Turn, ...]]], settings: Settings) -> None:
    resources = {way: SharedResources() for way in WAYS}
    wall: dict[str, list[float]] = {way: [] for way in WAYS}
    processor: dict[str, list[float]] = {way: [] for way in WAYS}
    for way in WAYS:
        await sources(Question(text="warm up", accepted_at=0.0), settings, resources[way])
    for number, (text, history) in enumerate(follow_ups):
        for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
            if way == "later":
                for position, turn in list(enumerate(history))[-3:]:
                    earlier = Question(text=turn.question, history=history[:position], accepted_at=0.0)
                    await sources(earlier, settings, resources[way])
            turns = {"single": (), "long": _LONG + history}.get(way, history)
            started, used = time.perf_counter(), time.process_time()
            await sources(Question(text=text, history=turns, accepted_at=started), settings, resources[way])
            wall[way].append((time.perf_counter() - started) * 1000)
            processor[way].append((time.process_time() - used) * 1000)
    for name, spent in (("wall", wall), ("processor", processor)):
        for way in WAYS:
            median, mean = statistics.median(spent[way]), statistics.mean(spent[way])
            ratio = median / statistics.median(spent["single"])
            print(f"{name:9} {way:6} median {median:7.1f} ms  mean {mean:7.1f} ms  median / single {ratio:.2f}")
    for each in resources.values():
        await each.aclose()


async def sources(question: Question, settings: Settings, resources: SharedResources) -> None:
    async for event in search(question, settings, resources):
        if not isinstance(event, Sources):
            raise TypeError(f"no sources: {event}")


if __name__ == "__main__":
    main()
