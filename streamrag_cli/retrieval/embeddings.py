"""Creates embedders by name."""

from typing import Final

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.model_server.endpoint import EMBEDDING, ModelEndpoint
from streamrag_cli.retrieval.embedder import BUILTIN, MULTILINGUAL, Embedder
from streamrag_cli.text import sanitise_line

_OPENAI: Final = "openai:"


def make_embedder(name: str, *, base_url: str | None, api_key: str | None, timeout_s: float) -> Embedder:
    """Create the embedder `name`: `builtin`, `multilingual`, the full name of either, or `openai:MODEL`.

    No model is loaded and no request is sent yet. The other parameters apply only to `openai:`.

    Raises ConfigurationError: `unknown_embedding` for any other name, `multilingual_not_installed`, and `bad_base_url`
    or `key_refused` for a malformed base URL or key.
    """
    if name in {"builtin", BUILTIN}:
        from streamrag_cli.retrieval.builtin_embedding import shared_embedder  # imports numpy, about 100 ms

        return shared_embedder()
    if name in {"multilingual", MULTILINGUAL}:
        from streamrag_cli.retrieval import multilingual_embedding

        multilingual_embedding.installed_weights()
        return multilingual_embedding.shared_embedder()
    model = name.removeprefix(_OPENAI).strip()
    if name.startswith(_OPENAI) and model:
        from streamrag_cli.retrieval.openai_embedding import OpenAIEmbedder  # imports numpy, about 100 ms

        endpoint = ModelEndpoint.checked(model=model, base_url=base_url, api_key=api_key, purpose=EMBEDDING)
        return OpenAIEmbedder(endpoint, timeout_s=timeout_s)
    raise ConfigurationError(
        f"unknown embedder {sanitise_line(name[:100])!r}",
        code="unknown_embedding",
        hint="use builtin, multilingual or openai:MODEL,"
        " for example: export STREAMRAG_EMBEDDING=openai:text-embedding-3-small",
    )
