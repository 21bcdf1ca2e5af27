"""Compaction frees the disk space of deleted documents, regardless of concurrent reads and crashes."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fork_server import ForkServer
from tests.support.stores import Document, LocalStore, by_text, by_vector, document, texts, write

WORDS = [f"{first}{second}ing" for first in "bcdfghjklmnp" for second in ("ar", "el", "in", "om", "ust", "ast")]


def wordy(path: str, chunks: int) -> Document:
    """A document whose chunks have a hundred words each, so that they take up space."""
    pick = random.Random(path)
    return document(path, *(f"{path} {each} {' '.join(pick.choices(WORDS, k=100))}" for each in range(chunks)))


def size_bytes(store: LocalStore) -> int:
    return sum(each.stat().st_size for each in store.directory.rglob("*") if each.is_file())


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """A store with eight documents. Tests must copy it."""
    store = LocalStore(tmp_path_factory.mktemp("full") / "store")
    with store.writing() as writer:
        for number in range(8):
            write(writer, wordy(f"{number}.md", 80))
    return store


@pytest.fixture
def store(full: LocalStore, tmp_path: Path) -> LocalStore:
    shutil.copytree(full.directory, tmp_path / "store")
    return LocalStore(tmp_path / "store")


def remove(store: LocalStore, numbers: range) -> None:
    with store.writing() as writer:
        writer.remove(f"/docs/{number}.md" for number in numbers)


def test_a_store_shrinks_with_its_documents_without_disturbing_readers(store: LocalStore) -> None:
    before_bytes = size_bytes(store)
    with store.reading() as reader:
        reader.prepare()
        with reader.snapshot():
            remove(store, range(1, 8))
            assert reader.counts().documents == 8  # this question's snapshot
        with reader.snapshot():
            assert len(texts(reader)) == len(by_vector(reader, 5)) == 80
    assert size_bytes(store) < before_bytes / 3
    with store.reading() as reader, reader.snapshot():
        assert len(texts(reader)) == len(by_vector(reader, 5)) == 80
        assert by_text(reader, "7") == by_text(reader, "0.md 7") != set()


def test_a_store_shrinks_if_documents_are_removed_one_by_one(store: LocalStore) -> None:
    before_bytes = size_bytes(store)
    for number in range(1, 8):
        remove(store, range(number, number + 1))

    assert size_bytes(store) < before_bytes / 3


def test_a_few_deleted_chunks_do_not_trigger_compaction(store: LocalStore) -> None:
    (catalog,) = store.directory.glob("collections/*/epoch-*/catalog.sqlite3")
    before_bytes = catalog.stat().st_size
    remove(store, range(7, 8))

    assert catalog.stat().st_size >= before_bytes


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer("tests.support.second_process", time_limit_s=60) as it:
        yield it


@pytest.mark.fault("compaction-killed")
def test_a_store_stays_intact_if_compaction_is_killed_at_any_statement(
    full: LocalStore, tmp_path: Path, server: ForkServer
) -> None:
    ended, at = -9, 0
    while ended == -9:
        store = LocalStore(tmp_path / str(at) / "store")
        shutil.copytree(full.directory, store.directory)
        ended = server.run(
            str(store.directory), "remove-and-die", str(at), *(f"{each}.md" for each in range(1, 8))
        ).status
        with store.reading() as reader, reader.snapshot():
            assert len(texts(reader)) == len(by_vector(reader, 5)) == 80
        with store.writing() as writer:
            assert writer.repair(lambda _: pytest.fail("repair must not embed anything")) >= 0
        assert server.run(str(store.directory), "check").stdout.strip() == "all found"
        at += 1

    assert (ended, at > 4) == (0, True)
