"""The built-in embedder: all-MiniLM-L6-v2 in int8, run locally by onnxruntime."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from streamrag_cli.retrieval.embedder import BUILTIN, encodable
from streamrag_cli.retrieval.local_embedding import (
    Encoded,
    LocalEmbedder,
    check_files,
    inference_session,
    reading_model,
    shared,
    unit,
)
from streamrag_cli.retrieval.relevance import BUILTIN_CURVE

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MODEL_DIRECTORY: Final = Path(__file__).parent / "models" / "all-MiniLM-L6-v2"
DIMENSION: Final = 384
MAX_TOKENS: Final = 256
_MAX_CHARS: Final = 20_000
"""Longer texts are truncated before they are tokenised, because tokenising 5 MB would take seconds. The embedding stays
the same, because any real text of this length has more than 256 tokens."""
_FILES: Final = ("model.onnx", "tokenizer.json")


class BuiltinEmbedder(LocalEmbedder):
    """Embeds the first 256 tokens of a text.

    All methods raise ConfigurationError (`embedding_damaged` if a model file is missing or changed,
    `embedding_unreadable` if it cannot be read) and ResourceError.
    """

    score_curve: Final = BUILTIN_CURVE

    def __init__(self, directory: Path = MODEL_DIRECTORY, *, threads: int | None = None) -> None:
        super().__init__(BUILTIN, DIMENSION, lambda: _load(directory), threads=threads)


def shared_embedder() -> LocalEmbedder:
    return shared(BUILTIN, BuiltinEmbedder)


@dataclass(frozen=True, slots=True)
class _Model:
    tokenizer: "Tokenizer"
    session: Any

    def encode_passage(self, text: str) -> Encoded:
        tokens = self._tokenize(text)
        (states,) = self.session.run(None, {"input_ids": np.array([tokens.ids], dtype=np.int64)})
        return Encoded(unit(states[0].mean(axis=0)), states[0], tokens.offsets)

    encode_question = encode_passage

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        return self._tokenize(text).offsets

    def _tokenize(self, text: str) -> "Encoding":
        # `encode_batch` would start its own threads, and warns on stderr after a fork.
        return self.tokenizer.encode(encodable(text[:_MAX_CHARS]))


def _load(directory: Path) -> _Model:
    """Load the tokenizer and the model. This takes about 130 ms in a new process.

    Of this, checking every byte takes 20 ms: damaged weights would produce wrong vectors without an error.
    """
    with reading_model("the built-in embedding model", directory, requirement="streamrag"):
        check_files(directory, _FILES)
    from tokenizers import Tokenizer  # about 5 ms

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()  # the file requests padding to 128 tokens
    tokenizer.enable_truncation(MAX_TOKENS)
    return _Model(tokenizer, inference_session(directory / "model.onnx"))
