"""Compares searches with and without a filter, in a store that `benchmarks.retrieval make` has written.

    python -m benchmarks.retrieval make STORE --chunks 100000
    python -m benchmarks.filters STORE

Each filter allows a share of the documents, which are spread over the whole collection: a pattern matches the last
digits of their names. Each question is searched with every filter in turn, in one process and with random vectors.

- recall, for 1% and 10%: how many of the ten allowed chunks with the highest exact cosines are the first ten hits
- first: the first search with a filter, which reads the vectors of few allowed chunks
- ratio: the median of the other searches with the filter, divided by that of the searches without one
"""

import argparse
import math
import statistics
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

FILTERS: Final = {
    "none": NO_FILTER,
    "1 %": Filter(patterns=(PathPattern("/**/*37.md", ""),)),
    "10 %": Filter(patterns=(PathPattern("/**/*7.md", ""),)),
    "50 %": Filter(patterns=(PathPattern("/**/*[02468].md", ""),)),
    "90 %": Filter(patterns=(PathPattern("/**/*[0-8].md", ""),)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("store", type=Path)
    parser.add_argument("--questions", type=int, default=60)
    arguments = parser.parse_args()
    from streamrag_cli.retrieval.retriever import Retriever

    language = Language(seed=4)
    questions = list(dict.fromkeys(language.question() for _ in range(arguments.questions)))
    embedder = LookedUp(questions)
    with closing(Retriever.open(Settings(store=arguments.store))) as retriever:
        retriever.embedder = embedder
        recalls = {name: _recall(retriever, embedder, questions[:20], FILTERS[name]) for name in ("1 %", "10 %")}
    with closing(Retriever.open(Settings(store=arguments.store))) as retriever:
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
