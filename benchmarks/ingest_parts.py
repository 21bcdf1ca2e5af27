"""The parts of `benchmarks.ingest`, each run in a separate process, so that memory and CPU time can be measured.

python -m benchmarks.ingest_parts {baseline,embedding,light,index} ...
"""

import argparse
import json
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEEDED_BY_CHROMA = ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    baseline = commands.add_parser("baseline", help="an ingest as a LangChain tutorial writes it")
    baseline.add_argument("folder", type=Path)
    baseline.add_argument("model", type=Path)
    baseline.add_argument("store", type=Path)
    embedding = commands.add_parser("embedding", help="only the embeddings of the same chunks")
    embedding.add_argument("folder", type=Path)
    light = commands.add_parser("light", help="an ingest without a model")
    light.add_argument("folder", type=Path)
    light.add_argument("store", type=Path)
    index = commands.add_parser("index", help="only write as many vectors to Chroma")
    index.add_argument("chunks", type=int)
    index.add_argument("store", type=Path)
    arguments = parser.parse_args()
    match arguments.command:
        case "baseline":
            baseline_ingest(arguments.folder, arguments.model, arguments.store)
        case "embedding":
            only_embed(arguments.folder)
        case "light":
            light_ingest(arguments.folder, arguments.store)
        case "index":
            only_index(arguments.chunks, arguments.store)


def baseline_ingest(folder: Path, model: Path, store: Path) -> None:
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2
    from langchain_chroma import Chroma

    class WithoutTokenTypes:
        """A session for a model that was exported without `token_type_ids`, which are always zero."""

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

    ONNXMiniLM_L6_V2.DOWNLOAD_PATH = _in_chroma_layout(model, store.parent)
    texts, sources = [], []
    for path in sorted(folder.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        for start in range(0, len(text), 1000):
            texts.append(text[start : start + 1000])
            sources.append({"source": str(path)})
    chroma = Chroma("baseline", Usual(), str(store))  # type: ignore[arg-type]
    for start in range(0, len(texts), 1000):
        chroma.add_texts(texts[start : start + 1000], sources[start : start + 1000])


def _in_chroma_layout(model: Path, folder: Path) -> Path:
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
    """Ingest with vectors from a table, and print the peak memory of this process."""
    import numpy as np
    from numpy.typing import NDArray

    from streamrag_cli.events import IngestDone
    from streamrag_cli.ingest import pipeline
    from streamrag_cli.retrieval.embedder import BUILTIN
    from streamrag_cli.settings import Settings

    table = _unit_vectors()

    class Light:
        name = BUILTIN
        dimension = 384

        def embed_documents(self, texts: Sequence[str], cancellation: object = None) -> NDArray[np.float32]:
            return np.stack([table[hash(text) % 1024] for text in texts])

        def embed_query(self, text: str, cancellation: object = None) -> NDArray[np.float32]:
            vector: NDArray[np.float32] = self.embed_documents([text])[0]
            return vector

    request = pipeline.IngestRequest(paths=(folder,), working_directory=folder)
    for event in pipeline.ingest(request, Settings(store=store), Light()):
        if isinstance(event, IngestDone):
            print(
                json.dumps(
                    {"chunks": event.chunks, "seconds": round(event.elapsed_ms / 1000, 1), "peak_mb": _peak_mb()}
                )
            )


def only_index(chunks: int, store: Path) -> None:
    """Write vectors like an ingest, but without documents, and print the peak memory."""
    from streamrag_cli.store.local.vectors import WritableVectors

    table = _unit_vectors()
    store.mkdir()
    vectors = WritableVectors(store, "default", create=True)
    for start in range(0, chunks, 256):
        numbers = range(start, min(start + 256, chunks))
        ids = [f"{number:032x}" for number in numbers]
        vectors.add(ids, ["text"] * len(ids), [{"source": "a.md"}] * len(ids), table[[n % 1024 for n in numbers]])
    vectors.close()
    print(json.dumps({"peak_mb": _peak_mb()}))


def only_embed(folder: Path) -> None:
    """Embed each distinct text in the folder once, longest first, and print the wall and CPU time."""
    from streamrag_cli.documents.chunking import chunk
    from streamrag_cli.documents.discover import discover
    from streamrag_cli.documents.discovery_results import FoundFile
    from streamrag_cli.documents.load import load
    from streamrag_cli.documents.read import read_file
    from streamrag_cli.retrieval.builtin_embedding import BuiltinEmbedder

    files = [Path(item.name) for item in discover([folder]) if isinstance(item, FoundFile)]
    documents = [load(path, read_file(path, limit_bytes=1 << 30)) for path in files]
    chunks = [each.text_to_embed for document in documents for each in chunk(document)]
    texts = sorted(set(chunks), key=len, reverse=True)
    embedder = BuiltinEmbedder()
    embedder.embed_query("load the model")
    started_s, used_s = time.perf_counter(), time.process_time()
    embedder.embed_documents(texts)
    duration = {"wall_s": time.perf_counter() - started_s, "processor_s": time.process_time() - used_s}
    print(json.dumps(duration | {"chunks": len(chunks), "texts": len(texts)}))


def _unit_vectors() -> "NDArray[np.float32]":
    import numpy as np

    table = np.random.default_rng(0).standard_normal((1024, 384)).astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    return table


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
