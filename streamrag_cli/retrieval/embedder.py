"""The interface of embedders, which turn text into vectors.

An embedder's name is stored with its vectors: vectors with different names are never compared.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeGuard, runtime_checkable

from streamrag_cli.retrieval.token_states import QuestionTokens
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.time_limit import Cancellation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUILTIN: Final = "builtin:all-MiniLM-L6-v2"
MULTILINGUAL: Final = "multilingual:e5-small"


OnEmbedded: TypeAlias = "Callable[[int, NDArray[np.float32], bytes], None]"
"""Takes the number of a text, its vector and its packed token states."""


class Embedder(Protocol):
    """Turns texts into vectors of unit length, so that the cosine of two vectors is their dot product.

    The methods raise ConfigurationError (exit code 3) or ModelServerError (exit code 4). `cancellation` cancels a
    request to a server, which then raises ModelServerError `interrupted`.
    """

    @property
    def name(self) -> str:
        """The name that is stored with the vectors, such as `openai:text-embedding-3-small`."""

    @property
    def dimension(self) -> int | None:
        """The length of the vectors. None until the first text is embedded, if only the server's reply reveals it."""

    def embed_documents(self, texts: Sequence[str], cancellation: Cancellation | None = None) -> "NDArray[np.float32]":
        """One row per text, in order: shape (texts, dimension)."""

    def embed_query(self, text: str, cancellation: Cancellation | None = None) -> "NDArray[np.float32]":
        """The vector of a question: shape (dimension,)."""


@dataclass(frozen=True, slots=True)
class EmbeddedQuestion:
    """The vector of a question. `tokens` is None if the embedder has no token states."""

    vector: "NDArray[np.float32]"
    tokens: QuestionTokens | None


@runtime_checkable
class TokenEmbedder(Embedder, Protocol):
    """An embedder that also returns a state for each token, for late interaction."""

    def embed_passages(self, texts: Sequence[str], embedded: "OnEmbedded | None" = None) -> EmbeddedPassages:
        """Like `embed_documents`, with the token states."""

    def embed_question(self, text: str) -> EmbeddedQuestion:
        """Like `embed_query`, with the tokens."""

    def token_starts(self, text: str) -> Sequence[int]:
        """The start in `text` of each token for which a passage has a state; 0 for special tokens."""


def has_tokens(embedder: Embedder) -> TypeGuard[TokenEmbedder]:
    """Like `isinstance` with `TokenEmbedder`, which would take 0.1 ms because it looks up every attribute."""
    return hasattr(embedder, "token_starts")


def embed_passages(
    embedder: Embedder,
    texts: Sequence[str],
    cancellation: Cancellation | None = None,
    embedded: "OnEmbedded | None" = None,
) -> EmbeddedPassages:
    """The vectors of `texts`, and their token states if the embedder has any.

    `embedded` is called for each text, in any thread: as soon as it is embedded, or when a server has replied.
    """
    if has_tokens(embedder):
        return embedder.embed_passages(texts, embedded)
    passages = EmbeddedPassages(embedder.embed_documents(texts, cancellation))
    if embedded is not None:
        for row, vector in enumerate(passages.vectors):
            embedded(row, vector, passages.token_states[row])
    return passages


def embed_questions(
    embedder: Embedder, texts: Sequence[str], cancellation: Cancellation | None = None
) -> list[EmbeddedQuestion]:
    """The vectors of questions, and their tokens if the embedder has any. A server gets one request."""
    if has_tokens(embedder):
        if len(texts) == 1:
            return [embedder.embed_question(texts[0])]
        with ThreadPoolExecutor(len(texts), thread_name_prefix="embed") as pool:
            return list(pool.map(embedder.embed_question, texts))
    if len(texts) == 1:
        return [EmbeddedQuestion(embedder.embed_query(texts[0], cancellation), None)]
    # Only embedders with tokens treat questions and documents differently.
    return [EmbeddedQuestion(vector, None) for vector in embedder.embed_documents(texts, cancellation)]


def encodable(text: str) -> str:
    """`text` with lone surrogates, which tokenizers and requests cannot encode, replaced by `?`.

    >>> encodable("a\\ud800b")
    'a?b'
    """
    return text.encode("utf-8", "replace").decode("utf-8")
