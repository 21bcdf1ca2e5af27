"""Embeddings from any server that speaks the OpenAI protocol.

LangChain's OpenAIEmbeddings configures the client; the reply is read here. Its own reader takes vectors in the order
they arrive instead of by `index`, lets a NaN or a missing vector pass, and answers a malformed reply with an
AttributeError or with a warning on stderr. A vector that is wrong without a word would spoil a store for good.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.retrieval.embeddings import encodable
from streamrag_cli.retrieval.openai_faults import Endpoint, malformed, translated, wait_before_retry_s

if TYPE_CHECKING:
    from openai.resources.embeddings import Embeddings

TEXTS_PER_REQUEST: Final = 128
RETRIES: Final = 2


class OpenAIEmbedder:
    """Sends up to 128 texts a request, and a request that met a limit or a 5xx up to twice more.

    Raises ConfigurationError: `key_missing`, `key_refused`, `unknown_model`, `bad_base_url`; and ModelServerError:
    `server_unreachable`, `server_stalled`, `rate_limited`, `quota_exhausted`, `server_failed`, `request_refused`,
    `malformed_answer`. No message carries the key. Nothing is checked or sent before the first text.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None,
        api_key: str | None,
        timeout_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`base_url` None is OpenAI itself, which needs a key; a server of one's own often takes none.

        `timeout_s` is how long the server may be silent; `sleep` waits, in seconds, before a retry.
        """
        self.name: Final = f"openai:{model}"
        self._model = model
        self._base_url = base_url
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._dimension: int | None = None

    @property
    def dimension(self) -> int | None:
        return self._dimension

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        batches = [
            self._embed(texts[start : start + TEXTS_PER_REQUEST]) for start in range(0, len(texts), TEXTS_PER_REQUEST)
        ]
        return np.concatenate(batches) if batches else np.empty((0, self._dimension or 0), dtype=np.float32)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self._embed([text])[0]
        return vector

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        body = self._reply([encodable(text) for text in texts])
        vectors = _unit_vectors(body, len(texts), self._endpoint)
        if self._dimension not in {None, vectors.shape[1]}:
            raise malformed(self._endpoint, f"vectors of {vectors.shape[1]} numbers, before of {self._dimension}")
        self._dimension = vectors.shape[1]
        return vectors

    def _reply(self, texts: list[str]) -> bytes:
        """What the server answers, after retries."""
        import openai  # about 700 ms; the client needs it anyway

        client = self._client
        for retry in range(RETRIES + 1):
            try:
                reply = client.with_raw_response.create(input=texts, model=self._model, encoding_format="float")
            except openai.APIError as error:
                failure = error
            else:
                return bytes(reply.content)
            wait_s = wait_before_retry_s(failure, retry)
            if wait_s is None or retry == RETRIES:
                break
            self._sleep(wait_s)
        # Outside the `except`, and without a cause: the foreign exception may quote the key.
        raise translated(failure, self._endpoint, model=self._model, timeout_s=self._timeout_s)

    @cached_property
    def _endpoint(self) -> Endpoint:
        return Endpoint.of(self._base_url, self._api_key)

    @cached_property
    def _client(self) -> "Embeddings":
        endpoint = self._endpoint
        if not self._api_key and self._base_url is None:
            raise ConfigurationError(
                f"{self.name} needs a key, and none is set",
                code="key_missing",
                hint="export OPENAI_API_KEY=...   (or: export STREAMRAG_EMBEDDING=builtin)",
            )
        from langchain_openai import OpenAIEmbeddings  # about 1.4 s with openai, of which a chat model saves its share
        from pydantic import SecretStr

        embeddings = OpenAIEmbeddings(
            model=self._model,
            base_url=endpoint.base_url,
            api_key=SecretStr(self._api_key or "none"),
            timeout=self._timeout_s,
            max_retries=0,  # its retries obey any Retry-After, up to two minutes, without a word
            check_embedding_ctx_length=False,  # the check sends tokens instead of text, which other servers refuse
            openai_api_type=None,
        )
        client: Embeddings = embeddings.client
        return client


def _unit_vectors(body: bytes, count: int, endpoint: Endpoint) -> NDArray[np.float32]:
    """The `count` vectors of a reply, by their index, of unit length."""
    try:
        items: list[dict[str, Any]] = json.loads(body)["data"]
        by_index = {item.get("index", position): item["embedding"] for position, item in enumerate(items)}
        vectors = np.array([by_index[index] for index in range(len(items))], dtype=np.float64)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise malformed(endpoint, "not a list of vectors") from error
    if len(vectors) != count:
        raise malformed(endpoint, f"{len(vectors)} vectors for {count} texts")
    if vectors.ndim != 2:
        raise malformed(endpoint, "not a list of vectors")
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise malformed(endpoint, "a vector without a direction (zero, NaN or infinite)")
    unit: NDArray[np.float32] = (vectors / lengths).astype(np.float32)
    return unit
