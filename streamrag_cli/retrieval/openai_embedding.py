"""The embedder for servers with an OpenAI-compatible API.

This module parses and checks replies itself, because a wrong vector would stay in a store unnoticed. Common clients
ignore `index` and use vectors in the order in which they arrive, accept NaN and missing vectors, and raise
AttributeError if a reply is malformed.
"""

import json
import time
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.model_server.errors import cancelled, malformed, no_key, not_a_reply
from streamrag_cli.retrieval.embedder import encodable
from streamrag_cli.store.time_limit import Cancellation

if TYPE_CHECKING:
    from streamrag_cli.model_server.client import WholeReplyClient

TEXTS_PER_REQUEST: Final = 128


class OpenAIEmbedder:
    """An embedder that sends up to 128 texts per request to a server.

    After a rate limit or a 5xx status, it retries a request up to twice. Error messages do not contain the key.

    Raises the errors in `model_server.errors`, and ConfigurationError `key_missing` for OpenAI without a key.
    """

    score_curve: Final = None  # cosines differ between models, so every collection is calibrated

    def __init__(
        self, endpoint: ModelEndpoint, *, timeout_s: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """`timeout_s` is the idle timeout. A whole reply may take four times as long.

        `sleep` is called with the seconds to wait before a retry.
        """
        self.name: Final = f"openai:{endpoint.model}"
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._sleep = sleep
        self.dimension: int | None = None

    def embed_documents(self, texts: Sequence[str], cancellation: Cancellation | None = None) -> NDArray[np.float32]:
        batches = [
            self._embed(texts[start : start + TEXTS_PER_REQUEST], cancellation)
            for start in range(0, len(texts), TEXTS_PER_REQUEST)
        ]
        return np.concatenate(batches) if batches else np.empty((0, self.dimension or 0), dtype=np.float32)

    def embed_query(self, text: str, cancellation: Cancellation | None = None) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self._embed([text], cancellation)[0]
        return vector

    def _embed(self, texts: Sequence[str], cancellation: Cancellation | None) -> NDArray[np.float32]:
        body = self._reply([encodable(text) for text in texts], cancellation or Cancellation())
        vectors = _unit_vectors(body, len(texts), self._endpoint)
        if self.dimension not in {None, vectors.shape[1]}:
            raise malformed(
                f"sent vectors with {vectors.shape[1]} dimensions after vectors with {self.dimension}", self._endpoint
            )
        self.dimension = vectors.shape[1]
        return vectors

    def _reply(self, texts: list[str], cancellation: Cancellation) -> bytes:
        """Send a request, retry it if necessary, and return the body of the reply."""
        client = self._client
        # The client has already imported these modules, so this costs nothing.
        from streamrag_cli.model_server.client import FOREIGN_ERRORS, RequestCancelledError
        from streamrag_cli.model_server.failure import Failure

        payload = {"input": texts, "model": self._endpoint.model, "encoding_format": "float"}
        retries = 0
        while True:
            try:
                return client.post("/embeddings", payload, cancellation)
            except RequestCancelledError:
                raise cancelled(self._endpoint) from None
            except FOREIGN_ERRORS as error:
                failure = Failure.of(error, self._endpoint, timeout_s=self._timeout_s)
            wait_s = failure.wait_before_retry_s(retries)
            if wait_s is None:
                raise failure.error from failure.cause
            retries += 1
            self._sleep(wait_s)

    @cached_property
    def _client(self) -> "WholeReplyClient":
        if self._endpoint.is_openai and self._endpoint.api_key is None:
            raise no_key(self._endpoint)
        from streamrag_cli.model_server.client import WholeReplyClient  # 0.1 to 0.2 s

        client = WholeReplyClient(self._endpoint, timeout_s=self._timeout_s)
        weakref.finalize(self, client.close)
        return client


def _unit_vectors(body: bytes, count: int, endpoint: ModelEndpoint) -> NDArray[np.float32]:
    """Parse the `count` vectors in a reply, order them by `index` and scale them to unit length."""
    try:
        items: list[dict[str, Any]] = json.loads(body)["data"]
        by_index = {item.get("index", position): item["embedding"] for position, item in enumerate(items)}
        vectors = np.array([by_index[index] for index in range(len(items))], dtype=np.float64)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise not_a_reply(endpoint) from error
    if len(vectors) != count:
        raise malformed(f"sent {len(vectors)} vectors for {count} texts", endpoint)
    if vectors.ndim != 2:
        raise not_a_reply(endpoint)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise malformed("sent a vector that is zero or not finite", endpoint)
    unit: NDArray[np.float32] = (vectors / lengths).astype(np.float32)
    return unit
