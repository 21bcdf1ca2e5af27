"""A bag-of-words embedder for tests: texts that share words have similar vectors."""

from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from streamrag_cli.errors import ModelServerError
from streamrag_cli.store.time_limit import Cancellation

DIMENSION = 16


class FakeEmbedder:
    """A deterministic, fast embedder. Before each batch, it calls `before_batch` with the batch's number, from 1."""

    def __init__(
        self, name: str = "fake", *, dimension: int = DIMENSION, before_batch: Callable[[int], None] | None = None
    ) -> None:
        self.name = name
        self.dimension: int | None = dimension
        self.batches: list[list[str]] = []
        self._before_batch = before_batch
        self._width = dimension

    def embed_documents(self, texts: Sequence[str], cancellation: Cancellation | None = None) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        if self._before_batch:
            self._before_batch(len(self.batches))
        return np.array([self.embed_query(text) for text in texts], dtype=np.float32).reshape(len(texts), self._width)

    def embed_query(self, text: str, cancellation: Cancellation | None = None) -> NDArray[np.float32]:
        vector = np.full(self._width, 1e-3)
        for word in text.lower().split():
            seed = crc32(word.encode("utf-8", "replace"))
            vector += np.random.default_rng(seed).normal(size=self._width)
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def dies_at(batch: int) -> Callable[[int], None]:
    """A `before_batch` that fails from the given batch on."""

    def die(number: int) -> None:
        if number >= batch:
            raise ModelServerError("the embedding server is gone", code="model_unreachable", retryable=True)

    return die
