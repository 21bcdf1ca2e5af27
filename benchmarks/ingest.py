"""How fast an ingest is: beside the plain way to write one, and a second time over unchanged files.

    python -m benchmarks.ingest throughput CORPUS.jsonl fp32.onnx --pages 60
    python -m benchmarks.ingest again CORPUS.jsonl --pages 1000
    python -m benchmarks.ingest memory CORPUS.jsonl --pages 1000 10000

The plain way is what a LangChain tutorial does: read every file, cut every 1000 characters, `Chroma` from
langchain-chroma with Chroma's own default model class, fed the same model in fp32 (`tools/build_embedding_model.py
--fp32`). Both run as processes of their own, in turn. `memory` replaces the embedding by a table look-up: what is
measured there is whether the pipeline holds on to what it has written.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.corpora import write_pages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEEDED_BY_CHROMA = ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    throughput = commands.add_parser("throughput")
    throughput.add_argument("corpus", type=Path)
    throughput.add_argument("model", type=Path)
    throughput.add_argument("--pages", type=int, default=60)
    throughput.add_argument("--rounds", type=int, default=3)
    again = commands.add_parser("again")
    again.add_argument("corpus", type=Path)
    again.add_argument("--pages", type=int, default=1000)
    memory = commands.add_parser("memory")
    memory.add_argument("corpus", type=Path)
    memory.add_argument("--pages", type=int, nargs="+", default=[1000, 10_000])
    plain = commands.add_parser("plain", help="the plain way, as a process of its own")
    plain.add_argument("folder", type=Path)
    plain.add_argument("model", type=Path)
    plain.add_argument("store", type=Path)
    light = commands.add_parser("light", help="an ingest without a model, as a process of its own")
    light.add_argument("folder", type=Path)
    light.add_argument("store", type=Path)
    index = commands.add_parser("index", help="as many vectors into Chroma and nothing else, as a process of its own")
    index.add_argument("chunks", type=int)
    index.add_argument("store", type=Path)
    arguments = parser.parse_args()
    match arguments.command:
        case "throughput":
            compare(arguments.corpus, arguments.model, arguments.pages, arguments.rounds)
        case "again":
            ingest_twice(arguments.corpus, arguments.pages)
        case "memory":
            measure_memory(arguments.corpus, arguments.pages)
        case "plain":
            plain_way(arguments.folder, arguments.model, arguments.store)
        case "light":
            light_ingest(arguments.folder, arguments.store)
        case "index":
            index_alone(arguments.chunks, arguments.store)


def compare(corpus: Path, model: Path, pages: int, rounds: int) -> None:
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "pages")
        size = write_pages(corpus, folder, pages)
        for number in range(rounds):
            ours.append(_timed(_streamrag("ingest", "--store", f"{scratch}/ours{number}", str(folder))))
            plain = [
                sys.executable,
                "-m",
                "benchmarks.ingest",
                "plain",
                str(folder),
                str(model),
                f"{scratch}/plain{number}",
            ]
            theirs.append(_timed(plain))
    ratios = sorted(their / our for our, their in zip(ours, theirs, strict=True))
    print(f"{pages} pages, {size / 1e6:.1f} MB, whole processes")
    print(f"streamrag   {_seconds(ours)}   {size / min(ours) / 1e3:.0f} kB/s at best")
    print(f"plain way   {_seconds(theirs)}   {size / min(theirs) / 1e3:.0f} kB/s at best")
    print(f"plain way / streamrag: {' '.join(f'{ratio:.2f}' for ratio in ratios)}")


def ingest_twice(corpus: Path, pages: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "pages")
        write_pages(corpus, folder, pages)
        ingest = _streamrag("ingest", "--store", f"{scratch}/store", str(folder))
        first = _timed(ingest)
        time.sleep(2.5)  # a file as young as the clock's grain is read again, to be safe
        _timed(ingest)
        second = _timed(ingest)
    print(f"{pages} pages: first {first:.1f} s, again {second:.2f} s, 1/{first / second:.0f} of the first time")


def measure_memory(corpus: Path, counts: Sequence[int]) -> None:
    for pages in counts:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "pages")
            write_pages(corpus, folder, pages)
            ours = _said("light", str(folder), f"{scratch}/store")
            alone = _said("index", str(ours["chunks"]), f"{scratch}/index")
        print(f"{pages} pages: {json.dumps(ours)}, the same vectors in Chroma alone: {json.dumps(alone)}")


def _said(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.ingest", *arguments]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def plain_way(folder: Path, model: Path, store: Path) -> None:
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2
    from langchain_chroma import Chroma

    class WithoutTokenTypes:
        """The session, for a model whose export left out an input that is always zero."""

        def __init__(self, session: Any) -> None:
            self._session = session

        def run(self, outputs: Any, feed: dict[str, Any]) -> Any:
            return self._session.run(outputs, {key: feed[key] for key in ("input_ids", "attention_mask")})

    class Usual:
        def __init__(self) -> None:
            self._function = ONNXMiniLM_L6_V2()
            self._function.__dict__["model"] = WithoutTokenTypes(self._function.model)

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [vector.tolist() for vector in self._function(texts)]

    ONNXMiniLM_L6_V2.DOWNLOAD_PATH = _as_chroma_wants_it(model, store.parent)
    texts, sources = [], []
    for path in sorted(folder.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        for start in range(0, len(text), 1000):
            texts.append(text[start : start + 1000])
            sources.append({"source": str(path)})
    chroma = Chroma("plain", Usual(), str(store))  # type: ignore[arg-type]
    for start in range(0, len(texts), 1000):
        chroma.add_texts(texts[start : start + 1000], sources[start : start + 1000])


def _as_chroma_wants_it(model: Path, folder: Path) -> Path:
    from streamrag_cli.retrieval.builtin_embedding import MODEL_DIRECTORY

    files = folder / "model" / "onnx"
    files.mkdir(parents=True, exist_ok=True)
    for name, target in (("model.onnx", model.resolve()), ("tokenizer.json", MODEL_DIRECTORY / "tokenizer.json")):
        (files / name).unlink(missing_ok=True)
        (files / name).symlink_to(target)
    for name in NEEDED_BY_CHROMA:
        (files / name).touch()
    return files.parent


def light_ingest(folder: Path, store: Path) -> None:
    """Ingest with vectors from a table and print the peak of this process's memory."""
    import numpy as np
    from numpy.typing import NDArray

    from streamrag_cli.events import IngestDone
    from streamrag_cli.ingest import pipeline
    from streamrag_cli.retrieval.embeddings import BUILTIN
    from streamrag_cli.settings import Settings

    table = _unit_vectors()

    class Light:
        name = BUILTIN
        dimension = 384

        def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.stack([table[hash(text) % 1024] for text in texts])

        def embed_query(self, text: str) -> NDArray[np.float32]:
            vector: NDArray[np.float32] = self.embed_documents([text])[0]
            return vector

    vars(pipeline)["embedder_for"] = lambda *_args, **_kwargs: Light()
    request = pipeline.IngestRequest(paths=(folder,), working_directory=folder)
    for event in pipeline.ingest(request, Settings(store=store)):
        if isinstance(event, IngestDone):
            print(
                json.dumps(
                    {"chunks": event.chunks, "seconds": round(event.elapsed_ms / 1000, 1), "peak_mb": _peak_mb()}
                )
            )


def index_alone(chunks: int, store: Path) -> None:
    """Write vectors through the same door as an ingest, without documents, and print the peak of memory."""
    from streamrag_cli.store.vectors import Vectors

    table = _unit_vectors()
    store.mkdir()
    vectors = Vectors(store, "default", create=True)
    for start in range(0, chunks, 256):
        numbers = range(start, min(start + 256, chunks))
        ids = [f"{number:032x}" for number in numbers]
        vectors.add(ids, ["text"] * len(ids), [{"source": "a.md"}] * len(ids), table[[n % 1024 for n in numbers]])
    vectors.close()
    print(json.dumps({"peak_mb": _peak_mb()}))


def _unit_vectors() -> "NDArray[np.float32]":
    import numpy as np

    table = np.random.default_rng(0).standard_normal((1024, 384)).astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    return table


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _streamrag(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "streamrag_cli", *arguments, "--quiet"]


def _timed(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment())
    return time.perf_counter() - started


def _environment() -> dict[str, str]:
    return os.environ | {"STREAMRAG_EMBEDDING": "builtin"}


def _seconds(values: Sequence[float]) -> str:
    ordered: Iterator[str] = (f"{value:.1f}" for value in sorted(values))
    return f"{' '.join(ordered)} s"


if __name__ == "__main__":
    main()
