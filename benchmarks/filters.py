"""Compares searches with and without a filter, in a store that `benchmarks.retrieval make` has written.

    python -m benchmarks.retrieval make STORE --chunks 100000
    python -m benchmarks.filters STORE
    python -m benchmarks.filters STORE --commands 9

Each filter allows a share of the documents, which are spread over the whole collection: a pattern matches the last
digits of their names. Each question is searched with every filter in turn, in one process and with random vectors.

- recall, for 1% and 10%: how many of the ten allowed chunks with the highest exact cosines are the first ten hits
- first: the first search with a filter, which reads the vectors of few allowed chunks
- ratio: the median of the other searches with the filter, divided by that of the searches without one

`--commands` times the whole command `streamrag search` instead, without and with the engine. The filters take turns, so
that every search with a filter is the first one with it: the reader keeps the vectors of one filter only.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.retrieval import Language, LookedUp
from streamrag_cli.model import Filter, PathPattern
from streamrag_cli.retrieval.search import CANDIDATES, NO_FILTER
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.retrieval.retriever import Retriever

NAMES: Final = {"1 %": "*37.md", "10 %": "*7.md", "50 %": "*[02468].md", "90 %": "*[0-8].md"}
FILTERS: Final = {"none": NO_FILTER} | {
    share: Filter(patterns=(PathPattern(f"/**/{name}", ""),)) for share, name in NAMES.items()
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("store", type=Path)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--commands", type=int, metavar="ROUNDS")
    arguments = parser.parse_args()
    if arguments.commands:
        for options in (["--no-engine"], []):
            time_commands(arguments.store.resolve(), options, arguments.commands)
    else:
        time_searches(arguments.store, arguments.questions)


def time_commands(store: Path, options: list[str], rounds: int) -> None:
    """Print the median times of whole commands with each filter. Without `--no-engine`, an engine answers them."""
    program = [sys.executable, "-m", "streamrag_cli"]
    command = [*program, "search", "--store", str(store), "--min-score", "0", *options]
    language = Language(seed=4)
    spent: dict[str, list[float]] = {share: [] for share in FILTERS}
    while not options and not _answers([*program, "engine", "status", "--json"]):
        subprocess.run([*command, language.question()], check=True, capture_output=True)  # starts the engine
    for _ in range(rounds):
        question = language.question()
        for share, seconds in spent.items():
            in_filter = ["--in", NAMES[share]] if share in NAMES else []
            started = time.perf_counter()
            subprocess.run([*command, *in_filter, question], check=True, capture_output=True)
            seconds.append(time.perf_counter() - started)
    print(" ".join(["search", *options]), "(allowed, median ms, ratio to searches without a filter in the same round)")
    for share, seconds in spent.items():
        ratio = statistics.median(one / other for one, other in zip(seconds, spent["none"], strict=True))
        print(f"{share:>7} {statistics.median(seconds) * 1000:10.0f} {ratio:6.2f}")


def _answers(status: list[str]) -> bool:
    engines = json.loads(subprocess.run(status, check=True, capture_output=True).stdout)
    return any(engine["questions"] for engine in engines)


def time_searches(store: Path, count: int) -> None:
    from streamrag_cli.retrieval.retriever import Retriever

    language = Language(seed=4)
    questions = list(dict.fromkeys(language.question() for _ in range(count)))
    embedder = LookedUp(questions)
    with closing(Retriever.open(Settings(store=store))) as retriever:
        retriever.embedder = embedder
        recalls = {name: _recall(retriever, embedder, questions[:20], FILTERS[name]) for name in ("1 %", "10 %")}
    with closing(Retriever.open(Settings(store=store))) as retriever:
        retriever.embedder = embedder
        _seconds(retriever, questions[0], NO_FILTER)
        firsts = {name: _seconds(retriever, questions[0], scope) for name, scope in FILTERS.items()}
        spent: dict[str, list[float]] = {}
        for name, scope in FILTERS.items():  # the reader caches one filter
            _seconds(retriever, questions[0], scope)
            for question in questions[1:]:
                spent.setdefault(name, []).append(_seconds(retriever, question, scope))
                spent.setdefault(f"without {name}", []).append(_seconds(retriever, question, NO_FILTER))
    print("allowed  recall@10  first ms  median ms  ratio")
    for name in FILTERS:
        median = statistics.median(spent[name])
        ratio = median / statistics.median(spent[f"without {name}"])
        recall, first = recalls.get(name, math.nan), firsts[name]
        print(f"{name:>7} {recall:10.3f} {first * 1000:9.1f} {median * 1000:10.1f} {ratio:6.2f}")


def _seconds(retriever: "Retriever", question: str, scope: Filter) -> float:
    started = time.perf_counter()
    retriever.retrieve(question, limit=5, min_score=0.0, scope=scope)
    return time.perf_counter() - started


def _recall(retriever: "Retriever", embedder: LookedUp, questions: list[str], scope: Filter) -> float:
    import numpy as np

    reader = retriever.reader
    with reader.snapshot():
        selection = reader.select(scope)
        ids = sorted(reader.within(reader.catalog.chunk_ids(), selection))
        matrix = reader.vectors(ids)
        recalls = []
        for question in questions:
            vector = embedder.embed_query(question)
            exact = {ids[row] for row in np.argsort(-(matrix @ vector))[:10]}
            used = None if scope.is_empty else selection
            recalls.append(len(exact & {each for each, _ in reader.nearest(vector, CANDIDATES, used)[:10]}) / 10)
    return statistics.mean(recalls)


if __name__ == "__main__":
    main()
