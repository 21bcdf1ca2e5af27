"""Every backend keeps which files the last ingest of a folder failed to read or skipped, and counts chunks."""

import sqlite3

import psycopg
import pytest

from streamrag_cli.errors import StoreError
from streamrag_cli.model import UnreadFile
from streamrag_cli.store.copying import copy_collection
from streamrag_cli.store.interface import Manifest
from streamrag_cli.store.registry import open_store
from tests.support.stores import LocalStore, PostgresStore, Store, document, write

APPLES = document("fruit.md", "apples are red", "pears are green")
SHIPS = document("ships.md", "ships cross the sea")


def unread(path: str, action: str = "failed", code: str = "") -> UnreadFile:
    return UnreadFile(path=path, action=action, reason="not readable", code=code, seen_at="2026-11-02T10:00:00+00:00")


def stored(store: Store) -> list[UnreadFile]:
    with store.reading() as reader, reader.snapshot():
        return reader.catalog.unread_files()


def test_an_ingest_replaces_only_the_unread_files_below_its_folders(store: Store) -> None:
    guide, other, picture = (
        unread("/docs/guide/a.pdf"),
        unread("/docs/guides.pdf"),
        unread("/docs/guide/b.png", "skipped"),
    )
    with store.writing() as writer:
        write(writer, APPLES)
        assert writer.catalog.unread_files() == []
        writer.record_unread(["/docs"], [other, guide, picture])
    before = stored(store)
    with store.writing() as writer:
        writer.record_unread(["/docs/guide", "/elsewhere"], [unread("/docs/guide/c.pdf")])

    assert before == [guide, picture, other]
    assert stored(store) == [unread("/docs/guide/c.pdf"), other]


def test_a_rebuild_forgets_unread_files_and_a_copy_keeps_them(store: Store, local_store: LocalStore) -> None:
    with store.writing() as writer:
        write(writer, APPLES)
        writer.record_unread(["/"], [unread("/docs/a.pdf")])
    copy = LocalStore(local_store.place.parent / "copy")
    [*_] = copy_collection(store.place, copy.place, "default")
    store.put(APPLES, rebuild=True)

    assert stored(copy) == [unread("/docs/a.pdf")]
    assert stored(store) == []


def test_failed_files_take_priority_over_skipped_ones_at_the_limit(store: Store) -> None:
    skipped = [unread(f"/docs/{n:05}.png", "skipped", "unsupported") for n in range(10_000)]
    with store.writing() as writer:
        writer.record_unread(["/docs"], [*skipped, unread("/docs/z.pdf")])
        limited = writer.catalog.unread_files()

    assert (len(limited), limited[-1]) == (10_000, unread("/docs/z.pdf"))


def test_chunks_are_counted_by_document_and_found_by_the_start_of_their_id(store: Store) -> None:
    store.put(APPLES, SHIPS, document("empty.md"))
    apples, pears = sorted(chunk.id for chunk in APPLES[1])

    def ids_from(catalog: Manifest, prefix: str) -> list[str]:
        return catalog.chunk_ids_from(prefix, 2)

    with store.reading() as reader, reader.snapshot():
        catalog = reader.catalog
        assert catalog.chunk_counts() == {"/docs/fruit.md": 2, "/docs/ships.md": 1, "/docs/empty.md": 0}
        assert (ids_from(catalog, apples), ids_from(catalog, pears[:9])) == ([apples], [pears])
        assert (len(ids_from(catalog, "")), ids_from(catalog, "0" * 24)) == (2, [])


@pytest.mark.parametrize(
    "text", ["{", "{}", '[["relative", "failed", "", "", ""]]', '[["/a", 1, "", "", ""]]', "[" * 9000]
)
def test_malformed_unread_files_are_reported_as_damage(text: str, store: Store) -> None:
    store.put(APPLES)
    if isinstance(store, PostgresStore):
        with psycopg.connect(store.place.url, autocommit=True) as conn:
            conn.execute(f"UPDATE {store.place.schema}.epochs SET unread_files = %s", (text,))
    elif isinstance(store, LocalStore):
        [catalog] = store.place.rglob("catalog*.sqlite*")
        with sqlite3.connect(catalog) as db:
            db.execute("INSERT INTO meta VALUES ('unread_files', ?)", (text,))
        db.close()

    with (
        pytest.raises(StoreError) as caught,
        open_store(store.place).manifest("default") as manifest,
    ):
        assert manifest is not None
        manifest.unread_files()
    assert caught.value.code == "store_damaged"
