"""Chroma's Rust bindings give the same results as the package chromadb."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import chromadb
import numpy as np
import pytest

from streamrag_cli.errors import StoreError
from streamrag_cli.store.local.chroma_bindings import RustCollection
from streamrag_cli.store.local.vectors import Vectors, WritableVectors
from tests.store.test_vectors import MALICIOUS_DOTENV, python
from tests.support.fake_embedder import FakeEmbedder

if TYPE_CHECKING:
    from chromadb.api.client import Client

TEXTS = [
    f"text number {each} word{each % 37}" for each in range(1100)
]  # Chroma saves an index from its thousandth vector on
IDS = [f"id-{each}" for each in range(len(TEXTS))]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("epoch") / "vectors"
    directory.mkdir()
    with closing(WritableVectors(directory, "default", create=True)) as vectors:
        vectors.add(IDS, TEXTS, [{"n": each} for each in range(len(IDS))], FakeEmbedder().embed_documents(TEXTS))
    return directory


@pytest.fixture
def both(directory: Path) -> Iterator[tuple[RustCollection, chromadb.Collection]]:
    client = cast("Client", chromadb.PersistentClient(str(directory)))
    with closing(client), closing(RustCollection(directory, "default")) as ours:
        yield ours, client.get_collection("default", embedding_function=None)


def test_our_bindings_and_chromadb_read_the_same_records(both: tuple[RustCollection, chromadb.Collection]) -> None:
    ours, theirs = both

    for include in (["embeddings"], ["documents", "metadatas"], []):
        for ids in (None, ["id-7", "no such id", "id-3"]):
            expected: Any = theirs.get(ids=ids, include=include)  # type: ignore[arg-type]
            actual = ours.get(ids, include=include)
            assert actual["ids"] == expected["ids"]
            for part in include:
                np.testing.assert_array_equal(actual[part], expected[part])
    assert ours.count() == theirs.count() == len(IDS)
    assert ours.get(limit=3)["ids"] == theirs.get(limit=3)["ids"]


def test_our_bindings_and_chromadb_find_the_same_records(both: tuple[RustCollection, chromadb.Collection]) -> None:
    ours, theirs = both
    questions = FakeEmbedder().embed_documents(["number 7 word7", "text", "nothing like it"])

    actual = ours.query(questions, n_results=20, include=["distances"])
    expected = theirs.query(query_embeddings=questions, n_results=20, include=["distances"])

    assert actual["ids"] == expected["ids"]
    assert actual["distances"] == expected["distances"]


def test_reading_vectors_does_not_import_chromadb(directory: Path, tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from streamrag_cli.store.local.vectors import Vectors
vectors = Vectors(Path({str(directory)!r}), "default")
print(len(vectors.ids()), "chromadb" in sys.modules, "pydantic" in sys.modules)
"""

    ended = python(program, tmp_path)

    assert (ended.stdout, ended.stderr) == (f"{len(IDS)} False False\n", "")


def test_no_dotenv_file_is_read_when_the_bindings_raise_an_error(directory: Path, tmp_path: Path) -> None:
    """To raise an error, the bindings import chromadb, which would read `.env`. If the import fails, the bindings
    abort.
    """
    (tmp_path / ".env").write_text(MALICIOUS_DOTENV)
    program = f"""
from pathlib import Path
from streamrag_cli.errors import StoreError
from streamrag_cli.store.local.vectors import Vectors
try:
    Vectors(Path({str(directory)!r}), "another-name")
except StoreError as error:
    print(error.code)
"""

    ended = python(program, tmp_path)

    assert (ended.returncode, ended.stdout) == (0, "store_damaged\n")


def test_a_missing_chroma_collection_is_reported_as_damage(directory: Path) -> None:
    with pytest.raises(StoreError, match="does not exist") as caught:
        Vectors(directory, "another-name")

    assert caught.value.code == "store_damaged"
