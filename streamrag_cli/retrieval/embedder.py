"""What turns text into vectors, whoever does the work.

An embedder's name is stored with the vectors it made: vectors of two names are never compared.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from streamrag_cli.store.time_limit import Cancellation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUILTIN: Final = "builtin:all-MiniLM-L6-v2"


class Embedder(Protocol):
    """Makes vectors of unit length, so that the cosine of two is their dot product.

    A failure is a ConfigurationError (exit code 3) or a ModelServerError (4). One that asks a server gives up when the
    `cancellation` says so: ModelServerError `interrupted`.
    """

    @property
    def name(self) -> str:
        """Who makes the vectors, such as `openai:text-embedding-3-small`."""

    @property
    def dimension(self) -> int | None:
        """Length of a vector; None as long as only the server knows, before the first text."""

    def embed_documents(self, texts: Sequence[str], cancellation: Cancellation | None = None) -> "NDArray[np.float32]":
        """One row for each text, in their order: shape (texts, dimension)."""

    def embed_query(self, text: str, cancellation: Cancellation | None = None) -> "NDArray[np.float32]":
        """The vector of a question: shape (dimension,)."""


def encodable(text: str) -> str:
    """`text` with each lone surrogate, which no tokenizer and no request can carry, replaced by `?`.

    >>> encodable("a\\ud800b")
    'a?b'
    """
    return text.encode("utf-8", "replace").decode("utf-8")
