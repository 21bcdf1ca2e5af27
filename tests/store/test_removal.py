"""Removal of whole collections, in every backend."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.errors import StoreError
from streamrag_cli.store.local.lock import WRITER_LOCK, writing
from streamrag_cli.store.registry import open_store
from tests.support.stores import Store, document, texts

APPLES = document("fruit.md", "apples are red", "pears are green")
SHIPS = document("ships.md", "ships cross the sea")


def test_removing_a_collection_keeps_other_collections(store: Store) -> None:
    other = replace(store, collection="other")
    store.put(APPLES)
    other.put(SHIPS)
    opened = open_store(store.place)
    opened.remove("default")

    assert opened.collections() == ["other"]
    with opened.manifest("default") as manifest:
        assert manifest is None
    with other.reading() as reader, reader.snapshot():
        assert texts(reader) == {"ships cross the sea"}


def test_a_new_collection_with_the_name_of_a_removed_one_is_empty(store: Store) -> None:
    store.put(APPLES)
    open_store(store.place).remove("default")
    with store.writing(embedding="another") as writer:
        assert writer.catalog.roots() == []
    store.put(SHIPS)

    with store.reading() as reader, reader.snapshot():
        assert texts(reader) == {"ships cross the sea"}


def test_an_open_reader_reports_a_removed_collection_at_the_next_question(store: Store) -> None:
    store.put(APPLES)
    with store.reading() as reader:
        with reader.snapshot():
            assert texts(reader) == {"apples are red", "pears are green"}
        open_store(store.place).remove("default")
        with pytest.raises(StoreError) as caught, reader.snapshot():
            reader.counts()

    assert caught.value.code == "store_missing"


def test_a_collection_cannot_be_removed_during_an_ingest(store: Store) -> None:
    store.put(APPLES)
    with store.other_process("hold") as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(StoreError) as caught:
            open_store(store.place).remove("default")
        holder.communicate("\n")

    assert (caught.value.code, caught.value.retryable) == ("store_busy", True)
    with store.reading() as reader, reader.snapshot():
        assert texts(reader) == {"apples are red", "pears are green"}


def test_removing_a_collection_leaves_no_files_or_tables(store: Store) -> None:
    store.put(APPLES)
    open_store(store.place).remove("default")

    assert store.leftovers() == []


def test_a_lock_on_a_removed_file_is_void_and_acquired_again(tmp_path: Path) -> None:
    taken: list[int] = []

    def wait_for_it() -> None:
        with writing(tmp_path):
            taken.append((tmp_path / WRITER_LOCK).stat().st_ino)

    with ThreadPoolExecutor(1) as pool:
        with writing(tmp_path):
            under_way = pool.submit(wait_for_it)
            while times_open(tmp_path / WRITER_LOCK) < 2:
                time.sleep(0.001)
            (tmp_path / WRITER_LOCK).unlink()
            (tmp_path / WRITER_LOCK).touch()
        under_way.result()

    assert taken == [(tmp_path / WRITER_LOCK).stat().st_ino]


def times_open(file: Path) -> int:
    """The number of file descriptors that this process has open for the file."""
    targets = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            targets.append(each.readlink())
    return targets.count(file)
