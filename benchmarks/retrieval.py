"""Compares a search with the two queries that it consists of, and measures how long opening a large store takes.

    python -m benchmarks.retrieval make STORE --chunks 100000
    python -m benchmarks.retrieval measure STORE

`make` writes synthetic chunks with random unit vectors, through the store's writer. Their words follow Zipf's law
(40,000 words, 150 per chunk). With random vectors, the candidates of the two searches hardly overlap, which is the
worst case. `measure` runs each question in three ways in turn, with 100 candidates each:

- raw: only a query to Chroma and a query to FTS5, one after the other
- ours: `Retriever.retrieve` with a table look-up instead of an embedder
- embedding the same question, for comparison

Opening is measured in new processes that take turns, without their imports: for chromadb and SQLite, until both queries
are answered; for `Retriever.open`, until the first hits.
"""

import argparse
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.retrieval.embedder import BUILTIN
from streamrag_cli.retrieval.lexical import STOP_WORDS, content_words
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.stemming import match_expression

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamrag_cli.retrieval.retriever import Retriever

DIMENSION: Final = 384
WORDS_PER_CHUNK: Final = 150
CHUNKS_PER_DOCUMENT: Final = 20
DOCUMENTS_PER_BATCH: Final = 100
CANDIDATES: Final = 100
_COLLECTION: Final = "default"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write a store of synthetic chunks")
    make.add_argument("store", type=Path)
    make.add_argument("--chunks", type=int, default=100_000)
    measure = commands.add_parser("measure", help="measure searching and opening")
    measure.add_argument("store", type=Path)
    measure.add_argument("--questions", type=int, default=200)
    measure.add_argument("--opens", type=int, default=7)
    opening = commands.add_parser("open", help="open the store once, in this process")
    opening.add_argument("store", type=Path)
    opening.add_argument("mode", choices=["bare", "ours"])
    arguments = parser.parse_args()
    match arguments.command:
        case "make":
            make_store(arguments.store, arguments.chunks)
        case "measure":
            compare_searching(arguments.store, arguments.questions)
            compare_opening(arguments.store, arguments.opens)
        case "open":
            print(json.dumps(seconds_to_open(arguments.store, arguments.mode)))


class Language:
    """Words by Zipf's law: stop words are the most frequent, then random words. Reproducible for each seed."""

    def __init__(self, seed: int) -> None:
        made = random.Random(1)
        letters = "etaoinshrdlucmfwypvbgk"
        invented = {"".join(made.choices(letters, k=made.randint(4, 9))) for _ in range(40_000)}
        self.words = [*sorted(STOP_WORDS), *sorted(invented)]
        self._weights = list(accumulate(1 / (rank + 2.7) for rank in range(1, len(self.words) + 1)))
        self._random = random.Random(seed)

    def sentence(self, count: int) -> str:
        return " ".join(self._random.choices(self.words, cum_weights=self._weights, k=count))

    def question(self) -> str:
        """Ten words, of which about half are stop words, as in real questions."""
        return self.sentence(10)


def make_store(store: Path, chunks: int) -> None:
    import numpy as np

    from streamrag_cli.store.registry import open_store

    language = Language(seed=2)
    vectors = np.random.default_rng(3)
    started = time.perf_counter()
    with open_store(store).writer(_COLLECTION, embedding=BUILTIN) as writer:
        documents = chunks // CHUNKS_PER_DOCUMENT
        for first in range(0, documents, DOCUMENTS_PER_BATCH):
            numbers = range(first, min(first + DOCUMENTS_PER_BATCH, documents))
            batch = [(_record(number), list(_chunks(number, language))) for number in numbers]
            matrix = unit(vectors.standard_normal((len(batch) * CHUNKS_PER_DOCUMENT, DIMENSION)))
            writer.write(batch, EmbeddedPassages(matrix))
            print(f"\r{(first + len(batch)) * CHUNKS_PER_DOCUMENT:,} chunks", end="", file=sys.stderr, flush=True)
    print(f"\n{documents * CHUNKS_PER_DOCUMENT:,} chunks in {time.perf_counter() - started:.0f} s")


def _record(number: int) -> DocumentRecord:
    path = f"/synthetic/{number:06}.md"
    return DocumentRecord(
        path=path, source=path, size=1, mtime_ns=1, read_at_ns=1, sha256=f"{number:064x}", recipe="synthetic"
    )


def _chunks(document: int, language: Language) -> Iterator[Chunk]:
    for ordinal in range(CHUNKS_PER_DOCUMENT):
        text = language.sentence(WORDS_PER_CHUNK)
        yield Chunk(
            id=f"{document * CHUNKS_PER_DOCUMENT + ordinal:032x}",
            ordinal=ordinal,
            text=text,
            headings=(language.sentence(3),),
            page=None,
            line_start=1 + 10 * ordinal,
            line_end=9 + 10 * ordinal,
            char_start=ordinal * 1000,
            char_end=ordinal * 1000 + len(text),
        )


def unit(matrix: "NDArray[np.float64]") -> "NDArray[np.float32]":
    import numpy as np

    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(matrix, lengths, dtype=np.float32, casting="same_kind")
    return unit


class LookedUp:
    """An embedder that looks up its vectors in a table."""

    name = BUILTIN
    dimension = DIMENSION

    def __init__(self, questions: Sequence[str]) -> None:
        import numpy as np

        vectors = unit(np.random.default_rng(5).standard_normal((len(questions), DIMENSION)))
        self._vectors = dict(zip(questions, vectors, strict=True))

    def embed_query(self, text: str, cancellation: object = None) -> "NDArray[np.float32]":
        vector: NDArray[np.float32] = self._vectors[text]
        return vector

    def embed_documents(self, texts: Sequence[str], cancellation: object = None) -> "NDArray[np.float32]":
        import numpy as np

        return np.stack([self.embed_query(text) for text in texts])


class Raw:
    """Chroma and FTS5, queried directly."""

    def __init__(self, store: Path) -> None:
        import chromadb
        from chromadb.config import Settings as ChromaSettings

        layout = Layout(store, _COLLECTION)
        current = layout.active_epoch()
        assert current is not None
        # A different spelling of the path: Chroma clients with the same path would share one index.
        path = f"{layout.vectors(current.epoch)}/../vectors"
        client = chromadb.PersistentClient(path=path, settings=ChromaSettings(anonymized_telemetry=False))
        self._collection = client.get_collection(_COLLECTION, embedding_function=None)
        self._db = sqlite3.connect(f"{layout.catalog(current.epoch).as_uri()}?mode=ro", uri=True)

    def search(self, question: str, vector: "NDArray[np.float32]") -> tuple[float, float]:
        """The seconds of the Chroma query and of the full-text query."""
        started = time.perf_counter()
        self._collection.query(query_embeddings=vector[None, :], n_results=CANDIDATES, include=["distances"])
        between = time.perf_counter()
        self._db.execute(
            "SELECT chunk_id, score FROM (SELECT rowid AS id, bm25(chunks_fts) AS score FROM chunks_fts"
            " WHERE chunks_fts MATCH ? ORDER BY score LIMIT ?) JOIN chunks USING (id) ORDER BY score",
            (match_expression(content_words(question)), CANDIDATES),
        ).fetchall()
        return between - started, time.perf_counter() - between


def compare_searching(store: Path, count: int) -> None:
    from streamrag_cli.retrieval.builtin_embedding import BuiltinEmbedder
    from streamrag_cli.retrieval.retriever import Retriever
    from streamrag_cli.settings import Settings

    language = Language(seed=4)
    questions = list(dict.fromkeys(language.question() for _ in range(count)))
    embedder, builtin, raw = LookedUp(questions), BuiltinEmbedder(), Raw(store)
    with closing(Retriever.open(Settings(store=store, collection=_COLLECTION))) as retriever:
        retriever.embedder = embedder
        for question in questions[:20]:
            raw.search(question, embedder.embed_query(question))
            _search(retriever, question)
            builtin.embed_query(question)
        rows = []
        for number, question in enumerate(questions):
            vector = embedder.embed_query(question)
            ours_s = _search(retriever, question) if number % 2 else 0.0  # alternate the order
            chroma_s, text_s = raw.search(question, vector)
            ours_s = ours_s or _search(retriever, question)
            started = time.perf_counter()
            builtin.embed_query(question)
            rows.append((chroma_s, text_s, ours_s, time.perf_counter() - started))
        chunks = retriever.reader.counts().chunks
    print(f"{chunks:,} chunks, {len(rows)} questions: p50 and p95 in ms")
    for name, column in zip(("Chroma", "FTS5", "ours", "embedding"), zip(*rows, strict=True), strict=True):
        print(f"  {name:<14}{_shown(column)}")
    print(f"  {'Chroma + FTS5':<14}{_shown([chroma_s + text_s for chroma_s, text_s, *_ in rows])}")
    print(f"ours / raw: {statistics.median(ours / (chroma + text) for chroma, text, ours, _ in rows):.2f}")


def _search(retriever: "Retriever", question: str) -> float:
    started = time.perf_counter()
    retriever.retrieve(question, limit=5, min_score=0.0)
    return time.perf_counter() - started


def _shown(times_s: Sequence[float]) -> str:
    cuts = statistics.quantiles(times_s, n=20)
    return f"{statistics.median(times_s) * 1000:8.2f}{cuts[18] * 1000:8.2f}"


def compare_opening(store: Path, rounds: int) -> None:
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(rounds):
        for mode, seconds in times.items():
            command = [sys.executable, "-m", "benchmarks.retrieval", "open", str(store), mode]
            seconds.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    ratio = statistics.median(our / bare for our, bare in zip(times["ours"], times["bare"], strict=True))
    medians = {mode: f"{statistics.median(seconds) * 1000:.0f} ms" for mode, seconds in times.items()}
    print(f"opening until the first hits: bare {medians['bare']}, ours {medians['ours']}, ratio {ratio:.2f}")


def seconds_to_open(store: Path, mode: str) -> float:
    """Seconds from opening the store to the first hits, without imports."""
    import chromadb  # noqa: F401

    from streamrag_cli.retrieval.retriever import Retriever

    language = Language(seed=6)
    question = language.question()
    embedder = LookedUp([question])
    vector = embedder.embed_query(question)
    started = time.perf_counter()
    if mode == "bare":
        Raw(store).search(question, vector)
    else:
        retriever = Retriever.open(Settings(store=store))
        retriever.embedder = embedder
        retriever.retrieve(question, limit=5, min_score=0.0)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
