"""Vectors and token states that have changed since they were written are reported by every command that reads them."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from streamrag_cli.errors import StoreError
from streamrag_cli.retrieval.search import retrieve
from streamrag_cli.store.copying import copy_collection
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.local.integrity import inspect
from streamrag_cli.store.local.vector_fingerprints import changed_vectors, fingerprints
from tests.support.fake_embedder import FakeEmbedder
from tests.support.stores import LocalStore, document, many_chunks

QUESTION = "zebras have stripes"


@contextmanager
def database(store: LocalStore, name: str) -> Iterator[sqlite3.Connection]:
    (file,) = store.directory.glob(f"collections/default/*/{name}")
    with closing(sqlite3.connect(file, isolation_level=None)) as opened:
        yield opened


def overwrite_vectors(store: LocalStore, change: Callable[[list[bytes]], list[bytes]]) -> None:
    with database(store, "vectors/chroma.sqlite3") as chroma:
        rows = chroma.execute("SELECT seq_id, vector FROM embeddings_queue ORDER BY seq_id").fetchall()
        for (number, _), vector in zip(rows, change([vector for _, vector in rows]), strict=True):
            chroma.execute("UPDATE embeddings_queue SET vector = ? WHERE seq_id = ?", (vector, number))


def ask(store: LocalStore) -> str:
    with store.reading() as reader:
        return retrieve(reader, FakeEmbedder(), QUESTION, limit=1).hits[0].chunk.text


def code_of(action: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(StoreError) as caught:
        action()
    return caught.value.code, caught.value.hint


DAMAGED = ("store_damaged", "streamrag ingest --rebuild")

CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "zeros": lambda vectors: [bytes(len(each)) for each in vectors],
    "noise": lambda vectors: [random.Random(number).randbytes(len(each)) for number, each in enumerate(vectors)],
    "swapped": lambda vectors: vectors[::-1],
    "one sign": lambda vectors: [bytes([*each[:3], each[3] ^ 0x80, *each[4:]]) for each in vectors],
    "shorter": lambda vectors: [each[:-4] for each in vectors],
    "the last, of many": lambda vectors: [*vectors[:-1], bytes(len(vectors[-1]))],
}


@pytest.mark.fault("store-damaged")
@pytest.mark.parametrize("change", CHANGES)
def test_changed_vectors_are_reported_by_ask_copy_ingest_and_checks(
    local_store: LocalStore, tmp_path: Path, change: str
) -> None:
    animals = document("animals.md", "zebras have stripes", "lions have manes", "birds have wings")
    local_store.put(animals)
    assert ask(local_store) == QUESTION
    overwrite_vectors(local_store, CHANGES[change])

    def reuse() -> None:
        with local_store.writing() as writer:
            writer.vectors([chunk.id for chunk in animals[1]])

    assert code_of(lambda: ask(local_store)) == DAMAGED
    assert code_of(lambda: list(copy_collection(local_store.place, tmp_path / "copy", "default"))) == DAMAGED
    if change != "shorter":  # Chroma itself refuses vectors with another length
        assert code_of(reuse) == DAMAGED
        assert any("have changed" in each for each in inspect(local_store.place, "default", searches=10**9).problems)
    local_store.put(animals, rebuild=True)
    assert ask(local_store) == QUESTION


@pytest.mark.fault("store-damaged")
def test_changed_vectors_outside_the_saved_index_are_reported(local_store: LocalStore) -> None:
    local_store.put(many_chunks("many.md", 1100))
    local_store.put(document("zebras.md", QUESTION))
    assert ask(local_store) == QUESTION
    overwrite_vectors(local_store, lambda vectors: [*vectors[:-1], bytes(len(vectors[-1]))])

    assert code_of(lambda: ask(local_store)) == DAMAGED


def put_with_states(store: LocalStore) -> list[str]:
    record, chunks = document("a.md", "apples are red", "pears are green")
    vectors = FakeEmbedder().embed_documents([chunk.text_to_embed for chunk in chunks])
    with store.writing() as writer:
        writer.write([(record, chunks)], EmbeddedPassages(vectors, [b"\1" * 48, b"\3" * 96]))
    return [chunk.id for chunk in chunks]


@pytest.mark.fault("store-damaged")
@pytest.mark.parametrize(
    "signs", ["x'00'", "zeroblob(length(signs))", "substr(signs, 2)", "x''", "'text'", "zeroblob(1000000)", "7"]
)
def test_changed_token_states_are_reported(local_store: LocalStore, signs: str) -> None:
    ids = put_with_states(local_store)
    with database(local_store, "catalog.sqlite3") as catalog:
        catalog.execute(f"UPDATE token_states SET signs = {signs}")

    with local_store.reading() as reader:
        assert code_of(lambda: reader.catalog.token_states(ids)) == DAMAGED
    [problem] = inspect(local_store.place, "default", searches=10**9).problems
    assert "the token states of a chunk have changed since they were written" in problem


@pytest.mark.fault("store-damaged")
def test_a_store_without_checksums_opens_and_an_ingest_adds_them(
    local_store: LocalStore,
) -> None:
    local_store.put(document("animals.md", QUESTION, "lions have manes"))
    ids = put_with_states(local_store)
    with database(local_store, "catalog.sqlite3") as catalog:
        catalog.execute("DROP TABLE checksums")
    assert ask(local_store) == QUESTION
    with local_store.reading() as reader:
        assert set(reader.catalog.token_states(ids)) == set(ids)
    assert inspect(local_store.place, "default", searches=10**9).problems == ()
    local_store.put(document("more.md", "birds have wings"))

    with database(local_store, "catalog.sqlite3") as catalog:
        query = "SELECT body FROM chunks JOIN checksums USING (id) WHERE vector IS NOT NULL"
        assert catalog.execute(query).fetchall() == [("birds have wings",)]
    with database(local_store, "catalog.sqlite3") as catalog:
        catalog.execute("UPDATE token_states SET signs = substr(signs, 2)")
    with local_store.reading() as reader:
        assert code_of(lambda: reader.catalog.token_states(ids)) == DAMAGED


def test_repaired_vectors_match_their_fingerprints(local_store: LocalStore) -> None:
    local_store.put(document("animals.md", QUESTION, "lions have manes"))
    with database(local_store, "catalog.sqlite3") as catalog:
        catalog.execute("INSERT INTO vectors_in_doubt SELECT chunk_id FROM chunks")
    (vectors,) = local_store.directory.glob("collections/default/*/vectors")
    with local_store.writing() as writer:
        writer._open_vectors().delete(sorted(writer.catalog.chunk_ids()))
    with local_store.writing() as writer:
        assert writer.repair(lambda texts: np.roll(FakeEmbedder().embed_documents(texts), 1, axis=1)) == 2

    assert inspect(local_store.place, "default", searches=10**9).problems == ()
    assert vectors.is_dir()


@pytest.mark.parametrize("dimension", [1, 8, 384, 1536])
def test_rounding_and_scaling_do_not_alter_a_fingerprint_but_damage_does(dimension: int) -> None:
    vectors = np.random.default_rng(1).normal(size=(50, dimension)).astype(np.float32)
    ids = [str(number) for number in range(len(vectors))]
    expected = dict(zip(ids, fingerprints(vectors), strict=True))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    negated = vectors.copy()
    negated[:, 0] *= -1
    damaged = vectors.copy()
    damaged[:, 0] = np.nan

    assert changed_vectors(ids, units * np.float32(1 + 1e-6), expected) == []
    assert changed_vectors(ids, 3 * vectors, expected) == []
    assert changed_vectors(ids, damaged, expected) == ids
    assert len(changed_vectors(ids, negated, expected)) >= 45  # the component may be close to zero
    assert changed_vectors(ids, damaged, {}) == []
