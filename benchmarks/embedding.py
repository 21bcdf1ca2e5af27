"""Compares the speed of the built-in embedder with the same model in fp32, run as Chroma runs it by default.

    python -m tools.build_embedding_model OUTPUT --fp32 fp32.onnx
    python -m benchmarks.embedding fp32.onnx

Chroma uses batches of 32, pads every text to 256 tokens, and runs each batch on all cores. Both embed the same chunks
of about 1000 characters. They take turns, so that a busy machine slows both, and the best round of each counts. Ratios
vary less between machines than absolute figures.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from streamrag_cli.retrieval.builtin_embedding import MAX_TOKENS, MODEL_DIRECTORY, BuiltinEmbedder

CHUNK_CHARS: Final = 1000
QUERY: Final = "How are the arguments of a function evaluated?"
QUERIES_PER_ROUND: Final = 20


class UsualEmbedder:
    """The fp32 model, padded to 256 tokens in batches of 32."""

    def __init__(self, model: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(MODEL_DIRECTORY / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding(length=MAX_TOKENS)
        self._session: Any = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.concatenate([self._batch(texts[start : start + 32]) for start in range(0, len(texts), 32)])

    def embed_query(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self._batch([text])[0]
        return vector

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        encodings = self._tokenizer.encode_batch(list(texts))
        ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
        (states,) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        weights = mask[:, :, None].astype(np.float32)
        means: NDArray[np.float32] = (states * weights).sum(axis=1) / weights.sum(axis=1)
        unit: NDArray[np.float32] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return unit


def chunks(count: int) -> list[str]:
    """The first `count` pieces of 1000 characters from the Python reference."""
    text = "\n\n".join(topics[name] for name in sorted(topics))
    return [text[start : start + CHUNK_CHARS] for start in range(0, count * CHUNK_CHARS, CHUNK_CHARS)]


def elapsed_s(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def measure(embedder: UsualEmbedder | BuiltinEmbedder, texts: Sequence[str]) -> tuple[float, float]:
    """One round: chunks per second, and milliseconds per query."""

    def ask() -> None:
        for _ in range(QUERIES_PER_ROUND):
            embedder.embed_query(QUERY)

    chunks_per_s = len(texts) / elapsed_s(lambda: embedder.embed_documents(texts))
    return chunks_per_s, elapsed_s(ask) * 1000 / QUERIES_PER_ROUND


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the built-in embedder with the fp32 model.")
    parser.add_argument("fp32", type=Path, help="the fp32 model, as written by tools/build_embedding_model.py --fp32")
    parser.add_argument("--chunks", type=int, default=96, help="chunks per round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: %(default)s)")
    arguments = parser.parse_args()

    texts = chunks(arguments.chunks)
    usual, builtin = UsualEmbedder(arguments.fp32), BuiltinEmbedder()
    load_ms = elapsed_s(lambda: builtin.embed_query(QUERY)) * 1000
    cosines = (usual.embed_documents(texts) * builtin.embed_documents(texts)).sum(axis=1)
    rounds = [(measure(usual, texts), measure(builtin, texts)) for _ in range(arguments.rounds)]
    usual_rate, builtin_rate = (max(both[index][0] for both in rounds) for index in (0, 1))
    usual_ms, builtin_ms = (min(both[index][1] for both in rounds) for index in (0, 1))

    table = Table("", "fp32, padded to 256", "built in", "ratio")
    table.add_row("chunks/s", f"{usual_rate:.1f}", f"{builtin_rate:.1f}", f"{builtin_rate / usual_rate:.2f}")
    table.add_row("ms per query", f"{usual_ms:.1f}", f"{builtin_ms:.1f}", f"{usual_ms / builtin_ms:.1f}")
    Console().print(table)
    print(f"cosine to fp32 over {len(texts)} chunks: mean {cosines.mean():.4f}, minimum {cosines.min():.4f}")
    print(f"loading and first query: {load_ms:.0f} ms")


if __name__ == "__main__":
    main()
