"""Tests that apply only to local stores, in which catalog and vectors are separate."""

import os
import shutil
from contextlib import suppress
from threading import Event, Thread

import pytest

from streamrag_cli.errors import StoreError
from streamrag_cli.retrieval.search import retrieve
from streamrag_cli.store.backend import status_of
from streamrag_cli.store.interface import Counts
from streamrag_cli.store.registry import open_store
from tests.support.fake_embedder import FakeEmbedder
from tests.support.stores import LocalStore, by_vector, document, write

APPLES = document("fruit.md", "apples are red", "pears are green")
SHIPS = document("ships.md", "ships cross the sea")


def test_the_full_text_index_matches_the_chunks_after_updates_and_removals(local_store: LocalStore) -> None:
    local_store.put(APPLES, SHIPS)
    local_store.put(document("fruit.md", "plums are blue"))
    with local_store.writing() as writer:
        writer.remove([SHIPS[0].path])
        writer.catalog._rows("INSERT INTO chunks_fts(chunks_fts, rank) VALUES('integrity-check', 1)")


def test_a_question_between_the_writes_of_an_ingest_finds_the_old_documents(local_store: LocalStore) -> None:
    local_store.put(APPLES)
    with local_store.reading() as reader, local_store.other_process("put-slowly", "many.md", "1200") as other:
        assert other.stdin
        assert other.stdout
        with reader.snapshot():
            assert by_vector(reader) == {"apples are red", "pears are green"}
        assert other.stdout.readline() == "vectors written\n"
        with reader.snapshot():
            assert by_vector(reader) == {"apples are red", "pears are green"}
        with local_store.reading() as fresh:
            assert retrieve(fresh, FakeEmbedder(), "apples", limit=1).hits[0].chunk.text == "apples are red"
        other.communicate("\n", timeout=60)
        with reader.snapshot():
            assert reader.counts() == Counts(documents=2, chunks=1202)
            assert len(reader.nearest(FakeEmbedder().embed_query("number 7"), 100)) == 100


def test_failed_rebuilds_leave_at_most_one_extra_epoch(local_store: LocalStore) -> None:
    local_store.put(APPLES)
    current = local_store.directory / "collections/default/current.json"

    def fail_to_rebuild() -> None:
        with suppress(KeyboardInterrupt), local_store.writing(rebuild=True) as writer:
            write(writer, SHIPS)
            raise KeyboardInterrupt

    for _ in range(3):
        fail_to_rebuild()
    assert len(list(current.parent.glob("epoch-*"))) == 2
    with local_store.reading() as reader:
        assert by_vector(reader) == {"apples are red", "pears are green"}

    current.write_text("{")  # the active epoch can still be determined by hand
    before = set(current.parent.glob("epoch-*"))
    fail_to_rebuild()
    assert before < set(current.parent.glob("epoch-*"))


def test_files_that_disappear_while_sizes_are_summed_cause_no_error(local_store: LocalStore) -> None:
    local_store.put(APPLES)
    epoch = local_store.directory / "collections/default/epoch-of-a-rebuild"
    ended = Event()

    def come_and_go() -> None:
        while not ended.is_set():
            epoch.mkdir()
            for number in range(20):
                (epoch / f"{number}").touch()
            shutil.rmtree(epoch)

    other = Thread(target=come_and_go)
    other.start()
    try:
        reports = [status_of(open_store(local_store.place)) for _ in range(300)]
    finally:
        ended.set()
        other.join()

    assert {status.chunks for (status,) in reports} == {2}


def test_roots_that_cannot_be_saved_are_a_store_error(local_store: LocalStore) -> None:
    local_store.put(APPLES)
    (local_store.directory / "collections/default/current.new").mkdir()

    with pytest.raises(StoreError, match="cannot be written to"), local_store.writing() as writer:
        writer.add_roots(["/docs"])


def test_no_other_user_can_replace_a_collection_of_a_store_that_is_readable(local_store: LocalStore) -> None:
    local_store.directory.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        local_store.put(APPLES)
    finally:
        os.umask(before)

    collections = local_store.directory / "collections"
    assert [each.stat().st_mode & 0o777 for each in (collections, collections / "default")] == [0o700, 0o700]
