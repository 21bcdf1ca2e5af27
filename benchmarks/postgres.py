"""Compares the two store backends with synthetic chunks: speed of writing and searching, and recall.

    python -m benchmarks.postgres sizes postgresql://... --chunks 10000 100000
    python -m benchmarks.postgres sizes postgresql://... --chunks 1000000 --words 30
    python -m benchmarks.postgres writers postgresql://... --chunks 20000 --writers 1 2 4

Vectors form clusters like those of texts, and word frequencies follow Zipf's law. Only the store is timed, without
embedding. Each run has its own schema or directory.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.retrieval.search import retrieve
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.registry import open_store, store_address

DIMENSION = 384
CHUNKS_PER_DOCUMENT = 16
BATCH_CHUNKS = 256
WORDS_PER_CHUNK = 150
VOCABULARY = 50_000
QUESTIONS = 100


class Synthetic:
    """Reproducible chunks by number; also an embedder whose vector for a question depends on its number."""

    name = "synthetic"
    dimension: int | None = DIMENSION

    def __init__(self, count: int, *, first: int = 0, words: int = WORDS_PER_CHUNK) -> None:
        random = np.random.default_rng(7)
        centres = random.standard_normal((1000, DIMENSION), dtype=np.float32)
        random = np.random.default_rng(first)
        vectors = centres[random.integers(1000, size=count)]
        vectors += np.float32(0.7) * random.standard_normal((count, DIMENSION), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors = vectors
        nearby = self.vectors[random.integers(count, size=QUESTIONS)] + 0.02 * random.normal(
            size=(QUESTIONS, DIMENSION)
        )
        self.questions = (nearby / np.linalg.norm(nearby, axis=1, keepdims=True)).astype(np.float32)
        self._first = first
        self._words = words
        self._random = random

    def batches(self, folder: str) -> Iterator[tuple[list[tuple[DocumentRecord, list[Chunk]]], NDArray[np.float32]]]:
        for start in range(0, len(self.vectors), BATCH_CHUNKS):
            numbers = range(start, min(start + BATCH_CHUNKS, len(self.vectors)))
            documents = [
                self._document(folder, numbers[at : at + CHUNKS_PER_DOCUMENT])
                for at in range(0, len(numbers), CHUNKS_PER_DOCUMENT)
            ]
            yield documents, self.vectors[numbers.start : numbers.stop]

    def _document(self, folder: str, numbers: Sequence[int]) -> tuple[DocumentRecord, list[Chunk]]:
        path = f"{folder}/{self._first + numbers[0]:08d}.md"
        chunks = [
            Chunk(
                id=chunk_id(self._first + number),
                ordinal=ordinal,
                text=self.words(self._words),
                headings=(),
                page=None,
                line_start=ordinal,
                line_end=ordinal,
                char_start=0,
                char_end=1,
            )
            for ordinal, number in enumerate(numbers)
        ]
        record = DocumentRecord(path=path, source=path, size=1, mtime_ns=1, read_at_ns=2, sha256="", recipe="1")
        return record, chunks

    def words(self, count: int) -> str:
        return " ".join(f"w{int(rank)}" for rank in np.minimum(self._random.zipf(1.3, count), VOCABULARY))

    def embed_query(self, text: str, cancellation: object = None) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.questions[int(text.split(maxsplit=1)[0])]
        return vector

    def embed_documents(self, texts: Sequence[str], cancellation: object = None) -> NDArray[np.float32]:
        return np.stack([self.embed_query(text) for text in texts])


def chunk_id(number: int) -> str:
    return f"{number:024x}"


def fill(address: StoreAddress, synthetic: Synthetic, folder: str, *, rebuild: bool = False) -> float:
    """Write the chunks; return the seconds. With `rebuild`, a database creates its index at the end."""
    started = time.perf_counter()
    with open_store(address).writer("default", embedding="synthetic", rebuild=rebuild) as writer:
        writer.add_roots([folder])
        for documents, vectors in synthetic.batches(folder):
            writer.write(documents, EmbeddedPassages(vectors))
    return time.perf_counter() - started


def ask(place: StoreAddress, synthetic: Synthetic) -> dict[str, float]:
    exact = np.argsort(-(synthetic.questions @ synthetic.vectors.T), axis=1)[:, :10]
    texts = [f"{number} w{100 + number} w{2000 + 7 * number} w{20 + number % 9}" for number in range(QUESTIONS)]
    with closing(open_store(place).reader("default")) as reader, reader.snapshot():
        reader.nearest(synthetic.questions[0], 10)
        neighbours = [{each for each, _ in reader.nearest(question, 100)[:10]} for question in synthetic.questions]
        nearest = timed(lambda number: reader.nearest(synthetic.questions[number], 100))
        text = timed(lambda number: reader.search_text(texts[number].split()[1:], 100))
    with closing(open_store(place).reader("default")) as reader:
        whole = timed(lambda number: retrieve(reader, synthetic, texts[number], limit=5))
    hits = [len(these & set(map(chunk_id, row))) for these, row in zip(neighbours, exact.tolist(), strict=True)]
    return {
        "recall_at_10": round(sum(hits) / 10 / QUESTIONS, 3),
        **{f"nearest_{key}": value for key, value in nearest.items()},
        **{f"text_{key}": value for key, value in text.items()},
        **{f"retrieve_{key}": value for key, value in whole.items()},
    }


def timed(work: Callable[[int], object]) -> dict[str, float]:
    spent_ms = []
    for number in range(QUESTIONS):
        started = time.perf_counter()
        work(number)
        spent_ms.append((time.perf_counter() - started) * 1000)
    p50, p95 = np.percentile(spent_ms, [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}


def sizes(url: str, counts: Sequence[int], kinds: Sequence[str], words: int) -> None:
    for count in counts:
        synthetic = Synthetic(count, words=words)
        for kind in kinds:
            like = open_store(store_address(url if kind == "postgres" else ""))
            with tempfile.TemporaryDirectory() as scratch, like.scratch_store(Path(scratch)) as address:
                written_s = fill(address, synthetic, "/synthetic", rebuild=True)
                figures = {"store": kind, "chunks": count, "chunks_per_s": round(count / written_s)}
                print(json.dumps(figures | ask(address, synthetic)), flush=True)


def writers(url: str, count: int, numbers: Sequence[int]) -> None:
    for number in numbers:
        like = open_store(store_address(url))
        with tempfile.TemporaryDirectory() as scratch, like.scratch_store(Path(scratch)) as address:
            full_address = open_store(address).with_secret()
            with open_store(address).writer("default", embedding="synthetic"):
                pass
            part = count // number
            command = [sys.executable, "-m", "benchmarks.postgres", "write", full_address, "--chunks", str(part)]
            running = [
                subprocess.Popen([*command, "--first", str(each * part)], stdout=subprocess.PIPE, text=True)
                for each in range(number)
            ]
            slowest_s = max(float(each.communicate()[0]) for each in running)
            print(
                json.dumps({"writers": number, "chunks": count, "chunks_per_s": round(count / slowest_s)}), flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("command", choices=["sizes", "writers", "write"])
    parser.add_argument("url")
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--stores", nargs="+", default=["directory", "postgres"])
    parser.add_argument("--words", type=int, default=WORDS_PER_CHUNK, help="words per chunk")
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    match arguments.command:
        case "sizes":
            sizes(arguments.url, arguments.chunks, arguments.stores, arguments.words)
        case "writers":
            writers(arguments.url, arguments.chunks[0], arguments.writers)
        case _:
            synthetic = Synthetic(arguments.chunks[0], first=arguments.first)
            print(fill(store_address(arguments.url), synthetic, f"/synthetic-{arguments.first}"))


if __name__ == "__main__":
    main()
