"""Removing whole collections, in every backend."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.store.copying import copy_collection
from streamrag_cli.store.local.lock import WRITER_LOCK, writing
from streamrag_cli.store.registry import open_store
from tests.support.files import write_files
from tests.support.postgres_server import opened
from tests.support.stores import LocalStore, PostgresStore, Store, document, texts

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


@pytest.mark.fault("removal-keeps-foreign-files")
def test_removing_a_collection_keeps_files_that_the_store_did_not_create(local_store: LocalStore) -> None:
    collection = local_store.directory / "collections" / "photos"
    store = replace(local_store, collection="photos")
    photos = ["2024/a.jpg", "b.txt", "epoch-2024/c.jpg", "current.json.bak"]
    write_files(collection, dict.fromkeys(photos, "a picture"))
    store.put(APPLES)
    (epoch,) = (each for each in collection.glob("epoch-*") if each.name != "epoch-2024")
    (epoch / "vectors" / "mine.txt").write_text("a note")

    left = open_store(store.place).remove("photos")

    assert files_below(collection) == sorted([*photos, f"{epoch.name}/vectors/mine.txt"])
    assert left == sorted(
        [
            *(collection / each for each in ("2024", "b.txt", "epoch-2024", "current.json.bak")),
            epoch / "vectors/mine.txt",
        ]
    )
    assert open_store(store.place).collections() == []


@pytest.mark.fault("removal-keeps-foreign-files")
def test_removing_a_collection_does_not_follow_links(local_store: LocalStore, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    write_files(thesis, {"chapter.txt": "text", "catalog.sqlite3": "a table"})
    local_store.put(APPLES)
    collection = local_store.directory / "collections" / "default"
    (collection / "epoch-0123456789ab").symlink_to(thesis)
    (collection / "more").symlink_to(thesis)
    left = open_store(local_store.place).remove("default")

    assert (left, files_below(thesis)) == ([collection / "more"], ["catalog.sqlite3", "chapter.txt"])


@pytest.mark.fault("removal-keeps-foreign-files")
def test_removing_a_linked_collection_removes_only_the_link(local_store: LocalStore, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    write_files(thesis, {"chapter.txt": "text"})
    collection = local_store.directory / "collections" / "default"
    collection.parent.mkdir(parents=True)
    collection.symlink_to(thesis)
    local_store.put(APPLES)
    before = files_below(thesis)
    left = open_store(local_store.place).remove("default")

    assert (left, files_below(thesis), collection.is_symlink()) == ([thesis], before, False)


@pytest.mark.fault("removal-keeps-foreign-files")
def test_a_rebuild_keeps_files_that_the_store_did_not_create(local_store: LocalStore, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    write_files(thesis, {"chapter.txt": "text", "catalog.sqlite3": "a table"})
    local_store.put(APPLES)
    collection = local_store.directory / "collections" / "default"
    (epoch,) = collection.glob("epoch-*")
    (epoch / "mine.txt").write_text("a note")
    write_files(collection / "epoch-2024", {"a.jpg": "a picture"})
    (collection / "epoch-0123456789ab").symlink_to(thesis)
    local_store.put(SHIPS, rebuild=True)

    assert files_below(thesis) == ["catalog.sqlite3", "chapter.txt"]
    assert files_below(epoch) == ["mine.txt"]
    assert files_below(collection / "epoch-2024") == ["a.jpg"]


@pytest.mark.fault("removal-keeps-foreign-files")
@pytest.mark.parametrize("place", ["collections/default", "collections/default/deep/er", "link"])
def test_a_store_inside_a_collection_is_refused(local_store: LocalStore, place: str) -> None:
    local_store.put(APPLES)
    (local_store.directory / "link").symlink_to(local_store.directory / "collections/default/inside")
    inside = local_store.directory / place
    with pytest.raises(UsageError) as copied:
        list(copy_collection(local_store.place, inside, "default"))
    with pytest.raises(UsageError) as written:
        LocalStore(inside).put(APPLES)

    assert (copied.value.code, written.value.code) == ("store_in_collection", "store_in_collection")


def files_below(directory: Path) -> list[str]:
    return sorted(str(each.relative_to(directory)) for each in directory.rglob("*") if each.is_file())


def test_a_lock_on_a_removed_file_is_acquired_again(tmp_path: Path) -> None:
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


@pytest.mark.fault("removal-interrupted")
def test_an_interrupted_removal_is_completed_by_the_next(store: Store) -> None:
    store.put(APPLES)
    opened_store = open_store(store.place)
    before = opened_store.has_remains("default")
    _interrupt_removal(store)
    states = [opened_store.collections(), opened_store.has_remains("default")]
    opened_store.remove("default")

    assert (before, states) == (False, [[], True])
    assert (opened_store.has_remains("default"), store.leftovers()) == (False, [])


def _interrupt_removal(store: Store) -> None:
    """Leave the collection as a removal that is killed after its first step."""
    if isinstance(store, LocalStore):
        (store.directory / "collections" / store.collection / "current.json").unlink()
    elif isinstance(store, PostgresStore):
        with opened(store.place) as conn:
            conn.execute("DELETE FROM collections")
