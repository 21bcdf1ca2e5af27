"""The interface of embedders, which turn text into vectors.

An embedder's name is stored with its vectors, so that vectors from different embedders are never compared.
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
"""A callback that receives the number of a text, its vector and its packed token states."""


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
        """The length of the vectors; None if a server determines it and no text has been embedded yet."""

    def embed_documents(self, texts: Sequence[str], cancellation: Cancellation | None = None) -> "NDArray[np.float32]":
        """Return the vectors of `texts` in order, as an array with the shape (texts, dimension)."""

    def embed_query(self, text: str, cancellation: Cancellation | None = None) -> "NDArray[np.float32]":
        """Return a question's vector, which has the shape (dimension,)."""


@dataclass(frozen=True, slots=True)
class EmbeddedQuestion:
    """A question's vector and tokens. `tokens` is None if the embedder has no token states."""

    vector: "NDArray[np.float32]"
    tokens: QuestionTokens | None


@runtime_checkable
class TokenEmbedder(Embedder, Protocol):
    """An embedder that also computes a state for each token, for late interaction."""

    def embed_passages(self, texts: Sequence[str], embedded: "OnEmbedded | None" = None) -> EmbeddedPassages:
        """Like `embed_documents`, but also returns the token states."""

    def embed_question(self, text: str) -> EmbeddedQuestion:
        """Like `embed_query`, but also returns the tokens."""

    def token_starts(self, text: str) -> Sequence[int]:
        """The character offset in `text` of each token that has a state in a passage; 0 for special tokens."""


def has_tokens(embedder: Embedder) -> TypeGuard[TokenEmbedder]:
    """Whether the embedder is a `TokenEmbedder`. `isinstance` looks up every attribute, which would take 0.1 ms."""
    return hasattr(embedder, "token_starts")


def embed_passages(
    embedder: Embedder,
    texts: Sequence[str],
    cancellation: Cancellation | None = None,
    embedded: "OnEmbedded | None" = None,
) -> EmbeddedPassages:
    """Return the vectors of `texts`, and their token states if the embedder has any.

    `embedded` is called for each text as soon as its vector is known, in any thread.
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
    """Return the vectors of questions, and their tokens if the embedder has any. Sends at most one request."""
    if has_tokens(embedder):
        if len(texts) == 1:
            return [embedder.embed_question(texts[0])]
        with ThreadPoolExecutor(len(texts), thread_name_prefix="embed") as pool:
            return list(pool.map(embedder.embed_question, texts))
    if len(texts) == 1:
        return [EmbeddedQuestion(embedder.embed_query(texts[0], cancellation), None)]
    # Embedders without tokens embed questions in the same way as documents.
    return [EmbeddedQuestion(vector, None) for vector in embedder.embed_documents(texts, cancellation)]


def encodable(text: str) -> str:
    """Replace lone surrogates in `text`, which tokenizers and requests cannot encode, by `?`.

    >>> encodable("a\\ud800b")
    'a?b'
    """
    return text.encode("utf-8", "replace").decode("utf-8")
