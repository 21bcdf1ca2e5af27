"""Measures the slowest questions that users may ask, and how long other users wait at the same time.

    python -m benchmarks.hostile_questions make STORE
    python -m benchmarks.hostile_questions measure STORE

`make` stores the standard library's Python files without its tests: about 20,000 chunks, with random unit vectors
instead of embeddings. `measure` asks questions of 20,000 characters, the maximum, in every shape that could be
expensive. For each question it prints these times in milliseconds:

- wall time and CPU time of retrieval
- CPU time of choosing quotes from the best 5 and from the best 100 chunks
- the median wall time of ordinary questions that are asked at the same time
"""

import argparse
import random
import statistics
import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.retrieval import DIMENSION, unit
from streamrag_cli.answer.quoting import pick_quotes
from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.loaders.python_source import load_python
from streamrag_cli.errors import StreamragError
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.retrieval.embedder import BUILTIN
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import EmbeddedPassages

CHARS: Final = 20_000
ORDINARY: Final = "How does the server choose the policy of an iterator?"
_DOCUMENTS_PER_BATCH: Final = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("command", choices=["make", "measure"])
    parser.add_argument("store", type=Path)
    parser.add_argument("--only", help="measure only this shape")
    arguments = parser.parse_args()
    if arguments.command == "make":
        make_store(arguments.store)
    else:
        measure(arguments.store, arguments.only)


def library_chunks() -> Iterator[list[Chunk]]:
    """The chunks from each Python file in the standard library, except its tests."""
    library = Path(sysconfig.get_path("stdlib"))
    for file in sorted(library.rglob("*.py")):
        if not {"site-packages", "test", "tests", "lib2to3"} & set(file.parts):
            chunks = list(chunk(load_python(str(file), file.read_text(encoding="utf-8", errors="replace"))))
            if chunks:
                yield chunks


def make_store(store: Path) -> None:
    import numpy as np

    from streamrag_cli.store.registry import open_store

    vectors = np.random.default_rng(3)
    total = 0
    with open_store(store).writer("default", embedding=BUILTIN) as writer:
        batch: list[tuple[DocumentRecord, list[Chunk]]] = []
        for number, chunks in enumerate(library_chunks()):
            path = f"/library/{number:06}.py"
            record = DocumentRecord(
                path=path, source=path, size=1, mtime_ns=1, read_at_ns=1, sha256=f"{number:064x}", recipe="synthetic"
            )
            batch.append((record, chunks))
            total += len(chunks)
            if len(batch) == _DOCUMENTS_PER_BATCH:
                writer.write(
                    batch, EmbeddedPassages(unit(vectors.standard_normal((sum(len(c) for _, c in batch), DIMENSION))))
                )
                batch.clear()
        writer.write(batch, EmbeddedPassages(unit(vectors.standard_normal((sum(len(c) for _, c in batch), DIMENSION)))))
    print(f"{total:,} chunks")


def questions() -> dict[str, str]:
    """The questions, by the name of their form, each cut to 20,000 characters."""
    chance = random.Random(2)
    texts = [" ".join(each.text for each in chunks) for chunks in library_chunks()]
    file_counts = Counter(word for text in texts for word in set(text.lower().split()) if word.isalpha())
    counts = Counter(word for text in texts for word in text.lower().split() if word.isalpha())
    common = [word for word, _ in counts.most_common(2_500)]
    rare = [word for word, files in file_counts.items() if files == 1]
    letters = "abcdefghijklmnopqrstuvwxyz"
    made = {
        "one common word, repeated many times": "return " * CHARS,
        "three common words, repeated many times": "self return import " * CHARS,
        "the 64 most common words, repeated many times": " ".join(common[:64] * CHARS),
        "the most common words, once each": " ".join(common),
        "rare words, once each": " ".join(rare),
        "common words in random order": " ".join(chance.choices(common, k=CHARS)),
        "text from the documents": " ".join(texts),
        "single letters": " ".join(letters * CHARS),
        "pairs of letters": " ".join(a + b for a in letters for b in letters + "0123456789") * 20,
        "one word of 20,000 letters": "a" * CHARS,
        "one identifier of 10,000 parts": "self_" * CHARS,
        "identifiers of 12 parts": "self_return_import_def_class_if_in_for_not_is_and_or " * CHARS,
        "hyphens between words": "self-return-import-" * CHARS,
        "a script other than Latin, without spaces": "\u6587" * CHARS,
        "spaces": "iterator" + " " * CHARS + "x",
        "punctuation": "!?.,;:-_*" * CHARS,
        "quotation marks": '"' * CHARS,
        "operators of the full-text query language": "NEAR(a b) AND NOT ^x* OR {y} : " * CHARS,
        "nested brackets": "[" * (CHARS // 2) + "]" * (CHARS // 2),
        "unclosed Markdown links": "[a](" * CHARS,
        "asterisks": "*a" * CHARS,
        "backticks": "`" * CHARS,
        "question words: 'how many', 'when', 'where'": "how many when where who what number " * CHARS,
        "text that almost matches the patterns of questions": "how " * CHARS,
        "line breaks": "iterator\n" * CHARS,
        "emoji": "\U0001f600" * CHARS,
        "combining marks": "e" + "\u0301" * CHARS,
        "capital letters whose lower case is longer": "\u0130" * CHARS,
        "stop words": "the of and to " * CHARS,
    }
    return {name: text[:CHARS] for name, text in made.items()}


def measure(store: Path, only: str | None) -> None:
    retriever = Retriever.open(Settings(store=store))
    _ask(retriever, ORDINARY)
    usual_ms = statistics.median(_timed(lambda: _ask(retriever, ORDINARY))[0] for _ in range(20))
    print(f"{retriever.reader.counts().chunks:,} chunks; an ordinary question: {usual_ms:.0f} ms", flush=True)
    print("| question | retrieval | CPU time | quotes of 5 | quotes of 100 | ordinary question |")
    print("|---|---|---|---|---|---|")
    for name, question in questions().items():
        if only in {None, name}:
            with _Other(retriever) as other:
                clock_ms, retrieval_ms, hits = _timed(partial(_ask, retriever, question))
            figures = [clock_ms, retrieval_ms]
            for k in (5, 100):
                figures += [_timed(partial(_quote, question, hits, k))[1]]
            print(f"| {name} | {' | '.join(f'{each:.0f}' for each in [*figures, other.median_ms])} |", flush=True)


def _ask(retriever: Retriever, question: str) -> Any:
    try:
        return retriever.retrieve(question, limit=100, min_score=0.0)
    except StreamragError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return None


def _quote(question: str, hits: Any, top_k: int) -> None:
    if hits is not None:
        pick_quotes(question, hits, max_hits=top_k, embedder=_NoWork())


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Milliseconds of wall time and of this thread's CPU time, and the result."""
    started, started_thread = time.perf_counter(), time.thread_time()
    done = work()
    return (time.perf_counter() - started) * 1000, (time.thread_time() - started_thread) * 1000, done


class _Other:
    """Asks an ordinary question repeatedly during the `with` block, 20 ms apart."""

    def __init__(self, retriever: Retriever) -> None:
        self._took_ms: list[float] = []
        self._retriever = retriever
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def median_ms(self) -> float:
        return statistics.median(self._took_ms)

    def __enter__(self) -> "_Other":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            took_ms, *_ = _timed(lambda: self._retriever.retrieve(ORDINARY, limit=100, min_score=0.0))
            self._took_ms.append(took_ms)
            self._over.wait(0.02)


class _NoWork:
    """An embedder that takes no time, so that choosing quotes is measured without embedding."""

    name = BUILTIN
    dimension = DIMENSION

    def embed_documents(self, texts: Any, cancellation: object = None) -> Any:
        import numpy as np

        return np.zeros((len(texts), DIMENSION), dtype=np.float32)

    def embed_query(self, text: str, cancellation: object = None) -> Any:
        return self.embed_documents([text])[0]


if __name__ == "__main__":
    main()
