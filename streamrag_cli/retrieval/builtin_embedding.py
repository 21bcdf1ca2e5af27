"""The built-in embedder: all-MiniLM-L6-v2 in int8, run locally by onnxruntime.

Each text is embedded in a separate run of the model, without padding, and each core runs one text at a time. The int8
model scales its activations by the largest activation in the run. In a batch, the vector of a text would therefore
depend on the other texts: the cosine between a single run and a batch is .995 on average and .989 at worst, an error as
large as that of quantisation itself. In a separate run a text always has the same vector, bit for bit, and throughput
is higher than with batches (`docs/decisions/embedding.md`).
"""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from streamrag_cli.errors import ConfigurationError, StreamragError
from streamrag_cli.retrieval.embedder import BUILTIN, EmbeddedQuestion, encodable
from streamrag_cli.retrieval.token_states import QuestionTokens, packed
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.time_limit import Cancellation
from streamrag_cli.system_errors import exhausted_resource, require_resources
from streamrag_cli.telemetry import disable_telemetry

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MODEL_DIRECTORY: Final = Path(__file__).parent / "models" / "all-MiniLM-L6-v2"
DIMENSION: Final = 384
MAX_TOKENS: Final = 256
_MAX_CHARS: Final = 20_000
"""Longer texts are cut before they are tokenised, because tokenising 5 MB would take seconds. The embedding does not
change: any real text of this length has more than 256 tokens."""
_FILES: Final = ("model.onnx", "tokenizer.json")
_FATAL: Final = 4


class BuiltinEmbedder:
    """Embeds the first 256 tokens of a text. Safe to share between threads. The first text loads the model.

    All methods raise ConfigurationError (`embedding_damaged` if a file of the model is missing or changed,
    `embedding_unreadable` if it cannot be read) and ResourceError.
    """

    name: Final = BUILTIN
    dimension: Final = DIMENSION

    def __init__(self, directory: Path = MODEL_DIRECTORY, *, threads: int | None = None) -> None:
        """`threads` is the number of texts that are run concurrently, by default the number of usable cores."""
        self._directory = directory
        self._threads = threads or _usable_cores()
        self._lock = threading.Lock()
        self._loaded: _Model | None = None

    def embed_documents(
        self,
        texts: Sequence[str],
        cancellation: Cancellation | None = None,  # noqa: ARG002 - nothing waits for a server
    ) -> NDArray[np.float32]:
        return self.embed_passages(texts).vectors

    def embed_passages(self, texts: Sequence[str]) -> EmbeddedPassages:
        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        token_states = [b""] * len(texts)
        if texts:
            model = self._model()
            rows = iter(range(len(texts)))  # shared: each free thread takes the next one

            def embed_rows() -> None:
                for row in rows:
                    states = model.encode(texts[row]).states
                    vectors[row], token_states[row] = _mean(states), packed(states)

            threads = min(self._threads, len(texts))
            with ThreadPoolExecutor(threads, thread_name_prefix="embed") as pool:
                try:
                    for each in [pool.submit(embed_rows) for _ in range(threads)]:
                        each.result()
                finally:
                    deque(rows, maxlen=0)  # stops the other threads after an error or Ctrl-C
        return EmbeddedPassages(vectors, token_states)

    def embed_query(
        self,
        text: str,
        cancellation: Cancellation | None = None,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        return _mean(self._model().encode(text).states)

    def embed_question(self, text: str) -> EmbeddedQuestion:
        encoded = self._model().encode(text)
        of_words = encoded.states[1:-1]  # the first and the last token are special
        lengths = np.linalg.norm(of_words, axis=1, keepdims=True)
        return EmbeddedQuestion(_mean(encoded.states), QuestionTokens(of_words / lengths, encoded.spans[1:-1]))

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        return self._model().tokenize(text).offsets

    def _model(self) -> "_Model":
        with self._lock:
            if self._loaded is None:
                try:
                    self._loaded = _load(self._directory)
                except Exception as error:
                    if resource_error := exhausted_resource(error):
                        raise resource_error from error
                    raise
            return self._loaded


@dataclass(frozen=True, slots=True)
class _Model:
    tokenizer: "Tokenizer"
    session: Any

    def tokenize(self, text: str) -> "Encoding":
        # `encode_batch` would start its own threads, and warns on stderr after a fork.
        return self.tokenizer.encode(encodable(text[:_MAX_CHARS]))

    def encode(self, text: str) -> "_Encoded":
        tokens = self.tokenize(text)
        (states,) = self.session.run(None, {"input_ids": np.array([tokens.ids], dtype=np.int64)})
        return _Encoded(states[0], tokens.offsets)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """`states` has the shape (tokens, dimension); `spans` are the character offsets of the tokens."""

    states: NDArray[np.float32]
    spans: list[tuple[int, int]]


def _mean(states: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = states.mean(axis=0)
    unit: NDArray[np.float32] = mean / np.linalg.norm(mean)
    return unit


_shared: Final[WeakValueDictionary[str, BuiltinEmbedder]] = WeakValueDictionary()
_shared_lock: Final = threading.Lock()


def shared_embedder() -> BuiltinEmbedder:
    """The embedder that all collections of the process share, because the model takes about 60 MB. It is released with
    its last user.
    """
    with _shared_lock:
        embedder = _shared.get(BUILTIN) or BuiltinEmbedder()
        _shared[BUILTIN] = embedder
        return embedder


def _load(directory: Path) -> _Model:
    """Load tokenizer and session: about 130 ms in a new process.

    This includes 20 ms to check every byte, because a damaged weight would silently give wrong vectors.
    """
    _check_files(directory)
    disable_telemetry()  # must run before the import, at which onnxruntime reads the switch
    require_resources()
    import onnxruntime  # about 30 ms
    from tokenizers import Tokenizer  # about 5 ms

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()  # the file asks for padding to 128 tokens
    tokenizer.enable_truncation(MAX_TOKENS)

    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = 1  # texts run in parallel instead; no thread spins while idle
    session = onnxruntime.InferenceSession(
        str(directory / "model.onnx"),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["SkipLayerNormFusion"],  # the fused operator is slower: 15 % of the total time
    )
    return _Model(tokenizer, session)


def _check_files(directory: Path) -> None:
    """Raise ConfigurationError unless all files of the model exist and match SHA256SUMS."""
    try:
        lines = (directory / "SHA256SUMS").read_text("ascii").splitlines()
        expected = {name: digest for digest, name in (line.split() for line in lines)}
        actual = {name: _sha256(directory / name) for name in _FILES}
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise _damaged() from error
    except OSError as error:
        raise _unreadable(directory, error) from error
    if actual != expected:
        raise _damaged()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(directory: Path, error: OSError) -> StreamragError:
    return exhausted_resource(error) or ConfigurationError(
        f"the built-in embedding model in {directory} cannot be read: {error.strerror}",
        code="embedding_unreadable",
        hint=f"make it readable: chmod -R a+rX {directory}",
    )


def _damaged() -> ConfigurationError:
    return ConfigurationError(
        "the built-in embedding model is missing or damaged",
        code="embedding_damaged",
        hint="reinstall it: pip install --force-reinstall streamrag",
    )


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
