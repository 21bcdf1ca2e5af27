"""The guarantees of `Vectors`, and the features of Chroma that it disables."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from langchain_chroma import Chroma
from numpy.typing import NDArray

from streamrag_cli.errors import StoreError
from streamrag_cli.store.local.vectors import Vectors, WritableVectors
from tests.support.fake_embedder import FakeEmbedder

COUNT = 1200  # Chroma saves an index from its thousandth vector on
TEXTS = [f"text number {each} word{each % 37}" for each in range(COUNT)]
MALICIOUS_DOTENV = "CHROMA_SERVER_HTTP_PORT=notanumber\nIS_PERSISTENT=maybe\nANONYMIZED_TELEMETRY=perhaps\n"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("epoch") / "vectors"
    directory.mkdir()
    vectors = WritableVectors(directory, "default", create=True)
    vectors.add(ids(), TEXTS, [{"source": "a.md", "line_start": each} for each in range(COUNT)], matrix())
    vectors.close()
    return directory


@pytest.fixture
def vectors(directory: Path) -> Iterator[Vectors]:
    opened = Vectors(directory, "default")
    yield opened
    opened.close()


def ids() -> list[str]:
    return [f"id-{each}" for each in range(COUNT)]


def matrix() -> NDArray[np.float32]:
    return FakeEmbedder().embed_documents(TEXTS)


def test_langchain_finds_the_same_chunks_at_the_same_distances(directory: Path, vectors: Vectors) -> None:
    question = FakeEmbedder().embed_query("number 7 word7")
    nearest = vectors.nearest(question, 20)

    store = Chroma(collection_name="default", persist_directory=str(directory), create_collection_if_not_exists=False)
    similar = store.similarity_search_by_vector_with_relevance_scores(question.tolist(), k=20)

    store._client.close()
    assert [document.id for document, _ in similar] == [chunk_id for chunk_id, _ in nearest]
    assert [1 - distance for _, distance in similar] == pytest.approx([cosine for _, cosine in nearest], abs=1e-6)
    number = int(nearest[0][0].removeprefix("id-"))
    assert (similar[0][0].page_content, similar[0][0].metadata) == (
        TEXTS[number],
        {"source": "a.md", "line_start": number},
    )


def test_the_nearest_neighbours_match_those_of_an_exact_search(vectors: Vectors) -> None:
    question = FakeEmbedder().embed_query("number 7 word7")
    exact = matrix() @ question

    hits = vectors.nearest(question, 10)

    assert dict(hits) == pytest.approx({ids()[each]: exact[each] for each in np.argsort(-exact)[:10]}, abs=1e-5)
    assert vectors.cosines(question, [*ids()[:3], "no such id"]) == pytest.approx(
        dict(zip(ids()[:3], exact[:3].tolist(), strict=True)), abs=1e-6
    )


def test_deleted_vectors_are_not_found_and_unknown_ids_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    vectors = WritableVectors(tmp_path / "vectors", "default", create=True)
    vectors.add(ids()[:5], TEXTS[:5], [{"n": 1}] * 5, matrix()[:5])
    vectors.delete(["id-0", "id-3", "no such id"])

    assert (vectors.count(), vectors.ids()) == (3, {"id-1", "id-2", "id-4"})
    assert {chunk_id for chunk_id, _ in vectors.nearest(matrix()[0], 5)} == {"id-1", "id-2", "id-4"}
    vectors.close()


def test_no_embedding_function_is_stored(directory: Path) -> None:
    database = sqlite3.connect(directory / "chroma.sqlite3")
    [(config,)] = database.execute("SELECT config_json_str FROM collections").fetchall()
    database.close()

    assert json.loads(config).get("embedding_function") in {None, json.dumps(None)}


def test_telemetry_is_disabled_and_chroma_starts_no_server(directory: Path) -> None:
    with closing(WritableVectors(directory, "default")) as vectors:
        settings = vectors._client.get_settings()

    assert (settings.anonymized_telemetry, settings.chroma_server_host, settings.is_persistent) == (False, None, True)


def test_a_dotenv_file_in_the_working_directory_is_not_read(directory: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(MALICIOUS_DOTENV)
    ours = f"""
from pathlib import Path
from streamrag_cli.store.local.vectors import WritableVectors
vectors = WritableVectors(Path({str(directory)!r}), "default")
print(vectors.count(), Path.cwd() == Path({str(tmp_path)!r}))
vectors.add([], [], [], None)
vectors.close()
"""

    assert python("import chromadb", tmp_path).returncode != 0, "the file would do harm"
    ended = python(ours, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{COUNT} True\n", "")


def test_a_directory_without_a_database_is_reported_as_damaged(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Vectors(tmp_path, "default")

    assert (caught.value.code, caught.value.hint) == ("store_damaged", "streamrag ingest --rebuild")
    assert list(tmp_path.iterdir()) == []


def python(program: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
