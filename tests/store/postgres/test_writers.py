"""Concurrent writers to different folders in one collection."""

import psycopg
import pytest

from streamrag_cli.errors import StoreError
from streamrag_cli.store.interface import Counts, EmbeddedPassages
from tests.support.fake_embedder import FakeEmbedder
from tests.support.postgres_server import opened
from tests.support.stores import PostgresStore, by_vector, document, many_chunks, texts, write

APPLES = document("fruit/a.md", "apples are red", "pears are green")
SHIPS = document("ships/s.md", "ships cross the sea")


def test_writers_in_different_folders_run_concurrently(store: PostgresStore) -> None:
    with store.writing() as one, store.writing() as other:
        one.add_roots(["/docs/fruit"])
        other.add_roots(["/docs/ships"])
        write(one, APPLES)
        write(other, SHIPS)
        write(one, document("fruit/b.md", "plums are blue"))

    with store.reading() as reader:
        assert by_vector(reader) == {"apples are red", "pears are green", "plums are blue", "ships cross the sea"}
        assert (reader.counts(), reader.catalog.generation) == (Counts(documents=3, chunks=4), 3)
        assert reader.catalog.roots() == ["/docs/fruit", "/docs/ships"]


def test_the_first_vectors_determine_the_embedder_of_concurrent_writers(store: PostgresStore) -> None:
    with store.writing(embedding="slow") as slow:
        slow.add_roots(["/docs/ships"])
        with store.writing(embedding="quick") as quick:
            quick.add_roots(["/docs/fruit"])
            write(quick, APPLES)
        with pytest.raises(StoreError, match="uses the embedder quick, but slow was requested"):
            write(slow, SHIPS)

    with store.reading() as reader:
        assert (reader.embedding, texts(reader)) == ("quick", {"apples are red", "pears are green"})


@pytest.mark.parametrize("root", ["/docs", "/docs/fruit", "/docs/fruit/sweet", "/"])
def test_a_second_writer_of_an_overlapping_folder_gets_store_busy(store: PostgresStore, root: str) -> None:
    with store.writing() as one, store.writing() as other:
        one.add_roots(["/docs/fruit"])
        with pytest.raises(StoreError) as caught:
            other.add_roots([root])

    assert (caught.value.code, caught.value.retryable) == ("store_busy", True)


def test_a_rebuild_and_another_writer_exclude_each_other(store: PostgresStore) -> None:
    with store.writing() as one:
        one.add_roots(["/docs/fruit"])
        with pytest.raises(StoreError, match="busy"), store.writing(rebuild=True):
            pass
    with store.writing(rebuild=True):
        with pytest.raises(StoreError, match="busy"), store.writing():
            pass


def test_locking_a_folder_does_not_lock_it_in_other_collections(store: PostgresStore) -> None:
    elsewhere = PostgresStore(store.place, "elsewhere")
    with store.writing() as one, elsewhere.writing() as other:
        one.add_roots(["/docs"])
        other.add_roots(["/docs"])
        write(one, APPLES)
        write(other, SHIPS)

    with store.reading() as reader, elsewhere.reading() as other_reader:
        assert (texts(reader), texts(other_reader)) == (
            {"apples are red", "pears are green"},
            {"ships cross the sea"},
        )


def test_a_writer_killed_during_a_batch_stores_no_part_of_it(store: PostgresStore) -> None:
    store.put(APPLES)
    with store.other_process("put-batches", "1000") as other:
        while texts_in(store) < 100:
            pass
        other.kill()
    store.put(SHIPS)

    with store.reading() as reader:
        counts = reader.counts()
        assert counts.chunks == len(texts(reader)) == 2 + 1 + 50 * (counts.documents - 2)
        assert {each for each, _ in reader.nearest(FakeEmbedder().embed_query("ships"), 5000)} == (
            reader.catalog.chunk_ids()
        )


def texts_in(store: PostgresStore) -> int:
    with store.reading() as reader:
        return reader.counts().chunks


def test_only_the_tables_of_one_epoch_remain_after_a_rebuild(store: PostgresStore) -> None:
    for number in range(3):
        store.put(document(f"{number}.md", "again and again"), rebuild=True)

    with opened(store.place) as conn:
        tables = conn.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^vectors_[0-9]+$' AND relnamespace = %s::regnamespace",
            (store.place.schema,),
        ).fetchall()
        assert (len(tables), conn.execute("SELECT count(*) FROM epochs").fetchone()) == (1, (1,))


@pytest.mark.parametrize(("dimension", "method"), [(1536, "hnsw"), (3072, "hnsw"), (5000, None)])
def test_vectors_of_any_dimension_are_found_even_if_they_cannot_be_indexed(
    store: PostgresStore, dimension: int, method: str | None
) -> None:
    embedder = FakeEmbedder(dimension=dimension)
    with store.writing() as writer:
        found_by = embedder.embed_documents([chunk.text_to_embed for chunk in APPLES[1]])
        writer.write([APPLES], EmbeddedPassages(found_by))

    with store.reading() as reader:
        assert [each for each, _ in reader.nearest(found_by[1], 1)] == [APPLES[1][1].id]
    with opened(store.place) as conn:
        [(indexes,)] = conn.execute(
            "SELECT count(*) FROM pg_indexes WHERE tablename = 'vectors_1' AND schemaname = %s"
            " AND indexdef LIKE '%%hnsw%%'",
            (store.place.schema,),
        ).fetchall()
        assert indexes == (1 if method else 0)


def test_a_nul_character_is_replaced_by_one_character(store: PostgresStore) -> None:
    store.put(document("odd.md", "before\0after"))

    with store.reading() as reader:
        assert texts(reader) == {"before\ufffdafter"}


def test_word_counts_stay_correct_after_replacing_most_chunks(store: PostgresStore) -> None:
    store.put(many_chunks("many.md", 300), SHIPS)
    store.put(many_chunks("many.md", 10))

    with store.reading() as reader:
        assert reader.document_frequencies(["number", "ship"]) == {"number": 10, "ship": 1}


@pytest.mark.fault("ingest-locked-out")
@pytest.mark.parametrize("table", ["epochs", "documents_1", "vectors_1"])
def test_a_writer_stops_waiting_for_a_table_that_another_session_has_locked(
    store: PostgresStore,
    database: "psycopg.Connection[tuple[object, ...]]",
    monkeypatch: pytest.MonkeyPatch,
    table: str,
) -> None:
    monkeypatch.setattr("streamrag_cli.store.postgres.connection.WRITER_LOCK_LIMIT_S", 0.3)
    store.put(APPLES)
    with database.transaction():
        database.execute(f"LOCK TABLE {store.place.schema}.{table} IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreError) as caught:
            store.put(SHIPS)
    store.put(SHIPS)

    assert (caught.value.code, caught.value.retryable) == ("store_busy", True)
    assert caught.value.message == f"the store is busy: another session has locked a table in {store.place}"
    with store.reading() as reader:
        assert reader.counts() == Counts(documents=2, chunks=3)


@pytest.mark.fault("store-malformed")
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE collections DROP CONSTRAINT collections_pkey",
        "ALTER TABLE collections ALTER epoch DROP NOT NULL; UPDATE collections SET epoch = NULL",
        "ALTER TABLE collections ALTER epoch TYPE float8; UPDATE collections SET epoch = 'NaN'",
        "ALTER TABLE epochs ALTER id DROP IDENTITY",
    ],
)
def test_a_rebuild_with_malformed_shared_tables_suggests_another_schema(store: PostgresStore, statement: str) -> None:
    store.put(APPLES)
    with opened(store.place) as conn:
        conn.execute(statement)
    with pytest.raises(StoreError) as caught:
        store.put(SHIPS, rebuild=True)

    assert (caught.value.code, caught.value.hint) == (
        "store_damaged",
        "use a new schema: add schema=NAME to the store's address",
    )
    elsewhere = PostgresStore(store.place.in_schema(f"{store.place.schema}_new"))
    try:
        elsewhere.put(SHIPS)
        with elsewhere.reading() as reader:
            assert texts(reader) == {"ships cross the sea"}
    finally:
        elsewhere.remove()


@pytest.mark.fault("store-malformed")
def test_a_writer_reports_chunks_without_a_document_as_damage(store: PostgresStore) -> None:
    store.put(APPLES)
    with opened(store.place) as conn:
        conn.execute("DELETE FROM documents_1")
    with pytest.raises(StoreError) as caught:
        store.put(APPLES)

    assert (caught.value.code, caught.value.hint) == ("store_damaged", "streamrag ingest --rebuild")
