"""Database server faults, and the errors that report them."""

import sys
from dataclasses import replace
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from streamrag_cli.doctor.store_check import check_store
from streamrag_cli.errors import ConfigurationError, StoreError
from streamrag_cli.settings import Settings
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.status import check_integrity
from streamrag_cli.store.registry import open_store
from tests.support.fake_embedder import FakeEmbedder
from tests.support.postgres_server import PASSWORD, guarded, opened
from tests.support.stores import PostgresStore, Store, document, texts, write

APPLES = document("fruit.md", "apples are red", "pears are green")
SHIPS = document("ships.md", "ships cross the sea")


def reading_raises(place: PostgresUrl) -> tuple[str, str]:
    with pytest.raises(StoreError) as caught, Store(place).reading() as reader, reader.snapshot():
        pass
    assert PASSWORD not in str(caught.value)
    return caught.value.code, caught.value.hint


def writing_raises(place: PostgresUrl) -> tuple[str, str]:
    with pytest.raises(StoreError) as caught:
        Store(place).put(APPLES)
    return caught.value.code, caught.value.hint


def test_a_stopped_server_is_reported_as_unreachable() -> None:
    expected = ("store_unreachable", "start the server, or use another store: --store STORE")

    assert reading_raises(PostgresUrl(f"postgresql://me:{quote(PASSWORD, safe='')}@127.0.0.1:1/db")) == expected
    assert reading_raises(PostgresUrl("postgresql:///db?host=%2Fnowhere")) == expected


def test_a_wrong_password_is_reported_but_not_shown(store: PostgresStore) -> None:
    wrong = guarded(store.place, password="guessed-at")

    with pytest.raises(StoreError) as caught, Store(wrong).reading() as reader, reader.snapshot():
        pass

    assert (caught.value.code, caught.value.hint) == (
        "store_login_refused",
        "correct the user or password in STREAMRAG_STORE, PGPASSWORD or ~/.pgpass",
    )
    assert "guessed-at" not in str(caught.value)
    assert reading_raises(guarded(store.place))[0] == "store_login_refused"


def test_with_the_right_password_an_empty_schema_is_reported_as_store_missing(store: PostgresStore) -> None:
    place = guarded(store.place, password=quote(PASSWORD, safe=""))

    assert reading_raises(place) == ("store_missing", "streamrag ingest PATH")


def test_a_missing_write_privilege_is_reported(store: PostgresStore) -> None:
    error = writing_raises(guarded(store.place, password=quote(PASSWORD, safe="")))

    assert error == ("store_not_writable", 'run as postgres: GRANT CREATE ON DATABASE "postgres" TO "guarded";')


@pytest.mark.fault("postgres-rights")
def test_the_sql_in_hints_grants_enough_to_ask_and_then_to_ingest(
    store: PostgresStore, database: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    owner = f"owner_{token_hex(4)}"
    database.execute(f"CREATE ROLE {owner} LOGIN")
    database.execute(f"GRANT CREATE ON DATABASE postgres TO {owner}")
    owned = Store(PostgresUrl(store.place.with_secret().replace("postgresql://postgres:", f"postgresql://{owner}:")))
    owned.put(APPLES)
    other = guarded(store.place, password=quote(PASSWORD, safe=""))
    try:
        code, hint = reading_raises(other)
        assert code == "store_not_readable"
        run_as(owner, hint, database)
        with Store(other).reading() as reader, reader.snapshot():
            assert texts(reader) == {"apples are red", "pears are green"}
        owned.put(SHIPS, rebuild=True)
        with Store(other).reading() as reader, reader.snapshot():
            assert texts(reader) == {"ships cross the sea"}
        code, hint = writing_raises(other)
        assert (code, hint) == ("store_not_writable", f'run as {owner}: GRANT "{owner}" TO "guarded";')
        database.execute(hint.partition(": ")[2])
        Store(other).put(APPLES)
        Store(other).put(APPLES, rebuild=True)
    finally:
        store.remove()
        database.execute(f"DROP OWNED BY {owner}")
        database.execute(f"DROP ROLE {owner}")


def run_as(role: str, hint: str, database: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Run the SQL in a hint as the role named in it."""
    named, _, statements = hint.partition(": ")
    assert named == f"run as {role}"
    database.execute(f"SET ROLE {role}")
    database.execute(statements)
    database.execute("RESET ROLE")


def test_no_hint_grants_membership_in_a_superuser_role(store: PostgresStore) -> None:
    store.put(APPLES)

    assert writing_raises(guarded(store.place, password=quote(PASSWORD, safe=""))) == (
        "store_not_writable",
        "ingest as postgres, or use a schema of your own: add schema=NAME to the store's address",
    )


def test_a_missing_database_is_reported_as_store_missing(store: PostgresStore) -> None:
    place = PostgresUrl(store.place.with_secret().replace("/postgres?", "/nowhere?"))

    assert reading_raises(place) == ("store_missing", "createdb NAME")


def test_a_missing_pgvector_is_reported_with_the_command_to_install_it(store: PostgresStore) -> None:
    place = guarded(store.place, password=quote(PASSWORD, safe=""), database="plain")
    hint = "install pgvector on the server; then, as a superuser: psql -c 'CREATE EXTENSION vector'"

    assert reading_raises(place) == ("store_extension_missing", hint)
    assert writing_raises(place) == ("store_extension_missing", hint)


def test_the_first_writer_creates_pgvector(store: PostgresStore, database: "psycopg.Connection[Any]") -> None:
    name = f"without_{token_hex(6)}"
    place = PostgresUrl(store.place.with_secret().replace("/postgres?", f"/{name}?"))
    database.execute(f"CREATE DATABASE {name}")
    try:
        with open_store(place).manifest("default") as manifest:  # what an ingest reads first
            assert manifest is None
        Store(place).put(APPLES)
        with Store(place).reading() as reader:
            assert texts(reader) == {"apples are red", "pears are green"}
    finally:
        database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_read_only_server_answers_but_rejects_writes(store: PostgresStore) -> None:
    store.put(APPLES)
    only_reads = PostgresUrl(f"{store.place.with_secret()}&options=-c%20default_transaction_read_only%3Don")

    with Store(only_reads).reading() as reader, reader.snapshot():
        assert texts(reader) == {"apples are red", "pears are green"}
    assert writing_raises(only_reads) == ("store_not_writable", "connect to the primary server, not to a replica")


def test_committed_documents_survive_a_connection_lost_during_an_ingest(
    store: PostgresStore, database: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    with pytest.raises(StoreError) as caught, store.writing() as writer:
        write(writer, APPLES)
        end_connections(database, store.place)
        write(writer, SHIPS)

    assert (caught.value.code, caught.value.retryable) == ("store_unreachable", True)
    store.put(document("more.md", "more fruit"))
    with store.reading() as reader:
        assert texts(reader) == {"apples are red", "pears are green", "more fruit"}


def test_a_reader_reconnects_after_its_connections_ended(
    store: PostgresStore, database: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    store.put(APPLES)
    with store.reading() as reader:
        assert reader.counts().chunks == 2
        end_connections(database, store.place)
        assert reader.counts().chunks == 2


def test_a_schema_from_a_newer_version_is_an_error(store: PostgresStore) -> None:
    store.put(APPLES)
    with opened(store.place) as conn:
        conn.execute("INSERT INTO migrations VALUES (99)")
    expected = ("store_format", "upgrade streamrag to the version that created the schema")

    assert (reading_raises(store.place), writing_raises(store.place)) == (expected, expected)


def test_missing_tables_are_reported_as_damage(store: PostgresStore) -> None:
    store.put(APPLES)
    with opened(store.place) as conn:
        conn.execute("DROP TABLE vectors_1")

    assert reading_raises(store.place) == ("store_damaged", "streamrag ingest --rebuild")
    store.put(SHIPS, rebuild=True)
    with store.reading() as reader:
        assert texts(reader) == {"ships cross the sea"}


MALFORMED = [
    "UPDATE chunks_1 SET line_start = -5",
    "UPDATE chunks_1 SET body = repeat('apples ', 1000000)",
    "UPDATE chunks_1 SET headings = to_json(array[repeat('apples ', 1000000)])",
    "UPDATE documents_1 SET source = repeat('fruit', 1000000)",
    "UPDATE chunks_1 SET char_end = -1",
    "UPDATE chunks_1 SET headings = '[]{}'",
    "UPDATE chunks_1 SET headings = '{\"a\": 1}'",
    "ALTER TABLE chunks_1 ALTER body TYPE bytea USING body::bytea",
    "ALTER TABLE chunks_1 ALTER body DROP NOT NULL; UPDATE chunks_1 SET body = NULL",
    "UPDATE documents_1 SET language = 'zz'",
    "UPDATE documents_1 SET path = 'not/absolute'",
    "ALTER TABLE documents_1 ALTER source TYPE json USING json_build_array(source)",
    "DELETE FROM epochs",
    "UPDATE epochs SET last_ingest = 'infinity'",
    "ALTER TABLE epochs ALTER generation DROP NOT NULL; UPDATE epochs SET generation = NULL",
    "UPDATE collections SET epoch = -1",
    "ALTER TABLE collections ALTER epoch TYPE text",
    "ALTER TABLE migrations ALTER version TYPE text",
    "DROP INDEX words_1_words; ALTER TABLE words_1 ALTER words TYPE text",
    "DROP INDEX vectors_1_nearest; ALTER TABLE vectors_1 ALTER embedding TYPE text",
]


@pytest.mark.fault("store-malformed")
@pytest.mark.parametrize("statement", MALFORMED)
def test_malformed_rows_are_reported_as_damage(store: PostgresStore, statement: str) -> None:
    store.put(APPLES)
    with opened(store.place) as conn:
        conn.execute(statement)

    with pytest.raises(StoreError) as caught, store.reading() as reader:
        with reader.snapshot():
            vector = FakeEmbedder().embed_query("apples")
            assert (reader.counts().chunks, reader.catalog.generation, reader.embedding) == (2, 1, "fake")
            reader.catalog.meta("last_ingest")
            hits = [*reader.search_text(["apples"], 5), *reader.nearest(vector, 5)]
            reader.require_chunks([each for each, _ in hits])
            list(reader.catalog.documents_under("/"))

    assert (caught.value.code, caught.value.hint) == ("store_damaged", "streamrag ingest --rebuild")


def test_an_unreadable_collection_does_not_stop_checks_of_the_others(store: PostgresStore) -> None:
    store.put(SHIPS)
    replace(store, collection="other").put(APPLES)
    with opened(store.place) as conn:
        conn.execute("DROP TABLE vectors_1")
    findings = list(check_store(Settings(store=store.place), {}, full=False))

    assert [(each.collection, each.state, each.code) for each in findings] == [
        ("default", "failed", "store_damaged"),
        ("other", "ok", ""),
    ]


def test_a_missing_driver_is_reported_with_the_package_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ConfigurationError) as caught:
        open_store(PostgresUrl("postgresql://localhost/db")).reader("default")

    assert (caught.value.code, caught.value.hint) == ("postgres_not_installed", "pip install 'streamrag[postgres]'")


def end_connections(database: "psycopg.Connection[tuple[object, ...]]", place: PostgresUrl) -> None:
    """Terminate the connections that use this schema, as an administrator would, and wait until they have ended."""
    ended = database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'streamrag' AND pid <> pg_backend_pid()"
    ).fetchall()
    assert ended, place


def test_an_integrity_check_finds_inconsistent_tables(store: PostgresStore) -> None:
    store.put(APPLES, SHIPS)
    sound = check_integrity(store.place, "default").problems
    with opened(store.place) as conn:
        conn.execute("DELETE FROM vectors_1 WHERE chunk_id = %s", (SHIPS[1][0].id,))
        conn.execute("DELETE FROM documents_1 WHERE path = %s", (APPLES[0].path,))

    assert (sound, check_integrity(store.place, "default").problems) == (
        (),
        (
            "the tables contain 1 document and 3 passages, but the recorded counts are 2 and 3",
            "2 passages belong to no document",
            "the passages and the vectors differ in 1 entry",
        ),
    )
