"""What turns text into vectors, whoever does the work.

An embedder's name is stored with the vectors it made: vectors of two names are never compared.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.model_server.endpoint import EMBEDDING, ModelEndpoint
from streamrag_cli.text import sanitise_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUILTIN: Final = "builtin:all-MiniLM-L6-v2"
_OPENAI: Final = "openai:"


class Embedder(Protocol):
    """Makes vectors of unit length, so that the cosine of two is their dot product.

    A failure is a ConfigurationError (exit code 3) or a ModelServerError (4).
    """

    @property
    def name(self) -> str:
        """Who makes the vectors, such as `openai:text-embedding-3-small`."""

    @property
    def dimension(self) -> int | None:
        """Length of a vector; None as long as only the server knows, before the first text."""

    def embed_documents(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """One row for each text, in their order: shape (texts, dimension)."""

    def embed_query(self, text: str) -> "NDArray[np.float32]":
        """The vector of a question: shape (dimension,)."""


def make_embedder(name: str, *, base_url: str | None, api_key: str | None, timeout_s: float) -> Embedder:
    """The embedder called `name`: `builtin`, its full name, or `openai:MODEL`. Nothing is loaded or sent yet.

    Raises ConfigurationError `unknown_embedding` for any other name. The rest is for `openai:` alone, which refuses
    a base URL or a key that cannot be one: `bad_base_url`, `key_refused`.
    """
    if name in {"builtin", BUILTIN}:
        from streamrag_cli.retrieval.builtin_embedding import shared_embedder  # brings numpy, about 100 ms

        return shared_embedder()
    model = name.removeprefix(_OPENAI).strip()
    if name.startswith(_OPENAI) and model:
        from streamrag_cli.retrieval.openai_embedding import OpenAIEmbedder  # brings numpy, about 100 ms

        endpoint = ModelEndpoint.checked(model=model, base_url=base_url, api_key=api_key, purpose=EMBEDDING)
        return OpenAIEmbedder(endpoint, timeout_s=timeout_s)
    raise ConfigurationError(
        f"no embedding is called {sanitise_line(name[:100])!r}",
        code="unknown_embedding",
        hint="export STREAMRAG_EMBEDDING=builtin   (or openai:MODEL, such as openai:text-embedding-3-small)",
    )


def encodable(text: str) -> str:
    """`text` with each lone surrogate, which no tokenizer and no request can carry, replaced by `?`.

    >>> encodable("a\\ud800b")
    'a?b'
    """
    return text.encode("utf-8", "replace").decode("utf-8")
