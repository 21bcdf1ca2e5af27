"""Copying a collection between stores preserves its contents."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.store.copying import CopyProgress, copy_collection
from streamrag_cli.store.interface import Reader
from streamrag_cli.store.local.vectors import WritableVectors
from tests.support.postgres_server import fresh_schema
from tests.support.stores import LocalStore, Store, by_text, by_vector, document, many_chunks, texts

SHIPS = document("ships.md", "ships cross the sea")
APPLES = document("fruit.md", "apples are red", "pears are green")
MANY = many_chunks("many.md", 1200)
EMPTY = document("empty.md")


def contents(reader: Reader) -> object:
    """Everything except the vectors."""
    records = list(reader.catalog.documents_under("/"))
    chunks = [reader.catalog.chunks_of(record.path) for record in records]
    return records, chunks, reader.embedding, reader.catalog.roots(), reader.counts()


def vectors(reader: Reader) -> NDArray[np.float32]:
    return reader.vectors(sorted(reader.catalog.chunk_ids()))


@pytest.mark.postgres
def test_a_collection_is_unchanged_after_copying_it_to_postgresql_and_back(tmp_path: Path) -> None:
    first, last = LocalStore(tmp_path / "first"), LocalStore(tmp_path / "last")
    with first.writing() as writer:
        writer.add_roots(["/docs"])
        writer.set_cosine_range("0.71 0.88")
    first.put(APPLES, MANY, EMPTY)
    with fresh_schema() as place:
        steps = list(copy_collection(first.place, place, "default"))
        list(copy_collection(place, last.place, "default"))

        assert steps[-1] == CopyProgress(documents=3, documents_in_all=3, chunks=1202)
        with first.reading() as before, Store(place).reading() as between, last.reading() as after:
            assert contents(before) == contents(between) == contents(after)
            # Chroma rounds the vectors.
            np.testing.assert_allclose(vectors(before), vectors(between), atol=1e-6)
            np.testing.assert_allclose(vectors(between), vectors(after), atol=1e-6)
            for reader in (before, between, after):
                assert reader.catalog.meta("cosine_range") == "0.71 0.88"
                (_, second) = reader.catalog.chunks_of("/docs/fruit.md")
                assert reader.catalog.chunk_at("/docs/fruit.md", 1) == second
                assert reader.catalog.chunk_at("/docs/fruit.md", 2) is None
            assert by_text(between, "apples") == by_text(after, "apples") == {"apples are red"}
            # The index is approximate: a few chunks may be missed.
            assert len(by_vector(after, 5)) > 0.95 * len(texts(after))


def test_an_existing_collection_is_replaced_only_on_request(store: Store, tmp_path: Path) -> None:
    other = LocalStore(tmp_path / "other")
    other.put(APPLES)
    store.put(document("ships.md", "ships cross the sea"))

    with pytest.raises(StoreError) as caught:
        list(copy_collection(other.place, store.place, "default"))
    assert caught.value.code == "store_exists"
    with store.reading() as reader:
        assert texts(reader) == {"ships cross the sea"}

    list(copy_collection(other.place, store.place, "default", replace=True))
    with store.reading() as reader:
        assert texts(reader) == {"apples are red", "pears are green"}


def test_copying_during_deletions_reports_busy_instead_of_damage(tmp_path: Path) -> None:
    first, last = LocalStore(tmp_path / "first"), LocalStore(tmp_path / "last")
    first.put(APPLES, MANY, SHIPS)
    steps = copy_collection(first.place, last.place, "default")
    assert next(steps).documents == 2
    assert first.run_other_process("remove", "ships.md") == "done"

    with pytest.raises(StoreError) as caught:
        list(steps)
    assert (caught.value.code, caught.value.retryable) == ("store_busy", True)
    assert not list(last.directory.rglob("current.json"))
    assert list(copy_collection(first.place, last.place, "default"))[-1].chunks == 1202


def test_copying_a_store_with_missing_vectors_is_an_error(tmp_path: Path) -> None:
    first = LocalStore(tmp_path / "first")
    first.put(APPLES, MANY, SHIPS)
    steps = copy_collection(first.place, tmp_path / "last", "default")
    next(steps)
    [vectors_of_first] = first.directory.glob("collections/default/*/vectors")
    with closing(WritableVectors(vectors_of_first, "default")) as directory:
        directory.delete([SHIPS[1][0].id])

    with pytest.raises(StoreError, match="1 of 1 vectors cannot be read"):
        list(steps)


def test_copying_a_missing_collection_or_to_the_same_store_is_an_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as missing:
        list(copy_collection(store.place, tmp_path / "other", "default"))
    with pytest.raises(UsageError) as same:
        list(copy_collection(store.place, store.place, "default"))

    assert (missing.value.code, same.value.code, (tmp_path / "other").exists()) == (
        "store_missing",
        "same_store",
        False,
    )


@pytest.mark.fault("copy-onto-itself")
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("spelling", ["link", "store/../store", "link/collections/.."])
def test_a_store_is_recognised_under_another_spelling_of_its_path(spelling: str, replace: bool, tmp_path: Path) -> None:
    place = tmp_path / "store"
    LocalStore(place).put(SHIPS)
    (tmp_path / "link").symlink_to("store")
    before = sorted(place.rglob("*"))

    for source, target in ((place, tmp_path / spelling), (tmp_path / spelling, place)):
        with pytest.raises(UsageError) as caught:
            list(copy_collection(source, target, "default", replace=replace))
        assert caught.value.code == "same_store"
    assert sorted(place.rglob("*")) == before
