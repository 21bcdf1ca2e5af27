"""A server that accepts connections but stops responding, and tables that another session has locked."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from streamrag_cli.errors import StoreError
from streamrag_cli.store.postgres.connection import connect
from streamrag_cli.store.postgres.reader import PostgresReader
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.time_limit import Cancellation, TimeLimit
from tests.support.http_client import wait_until
from tests.support.stalling_proxy import StallingProxy, stalling_proxy
from tests.support.stores import PostgresStore, document, texts, write

APPLES = document("fruit.md", "apples are red")
PEARS = document("pears.md", "pears are green")
PROMPT_S = 5.0
"""The time allowed for ending a search, on a busy machine."""

STEPS = {
    "connecting": b"\0user\0",
    "configuring": b"pg_extension",
    "beginning": b"BEGIN",
    "finding the epoch": b"max(version)",
    "locking": b"LOCK TABLE",
}


@pytest.fixture
def proxy() -> Iterator[StallingProxy]:
    with stalling_proxy() as proxy:
        yield proxy


@pytest.mark.fault("search-timeout")
@pytest.mark.parametrize("word", STEPS.values(), ids=STEPS)
def test_the_time_limit_includes_every_step_before_the_search(
    word: bytes, store: PostgresStore, proxy: StallingProxy
) -> None:
    store.put(APPLES)
    with closing(PostgresReader(proxy.address(store.place), "default")) as reader:
        proxy.word = word
        began_s = time.monotonic()
        with pytest.raises(StoreError) as caught, reader.snapshot(TimeLimit(0.5)):
            pass
        spent_s = time.monotonic() - began_s
        proxy.word = b""
        with reader.snapshot(TimeLimit(60)):
            results = texts(reader)

    assert (caught.value.code, proxy.stalled) == ("retrieval_timeout", 1)
    assert str(caught.value) == "the search took longer than 0.5 s and was stopped"
    assert spent_s < PROMPT_S
    assert results == {"apples are red"}


@pytest.mark.fault("search-timeout")
@pytest.mark.parametrize("word", STEPS.values(), ids=STEPS)
def test_cancelling_ends_every_step_before_the_search(word: bytes, store: PostgresStore, proxy: StallingProxy) -> None:
    store.put(APPLES)
    cancellation = Cancellation()

    def search(reader: PostgresReader) -> None:
        with reader.snapshot(TimeLimit(600, cancellation)):
            pass

    with closing(PostgresReader(proxy.address(store.place), "default")) as reader, ThreadPoolExecutor(1) as pool:
        proxy.word = word
        searching = pool.submit(search, reader)
        assert wait_until(lambda: proxy.stalled == 1)
        cancellation.cancel()
        with pytest.raises(StoreError) as caught:
            searching.result(timeout=PROMPT_S)

    assert caught.value.code == "interrupted"


@pytest.mark.fault("search-timeout")
def test_an_idle_connection_that_stalls_is_replaced(store: PostgresStore, proxy: StallingProxy) -> None:
    store.put(APPLES)
    with closing(PostgresReader(proxy.address(store.place), "default")) as reader:
        assert reader.counts().chunks == 1
        for word in (b"BEGIN", b"LOCK TABLE", b"language"):
            proxy.word = word
            with pytest.raises(StoreError) as caught, reader.snapshot(TimeLimit(0.5)):
                reader.catalog.languages()
            proxy.word = b""
            assert (caught.value.code, reader.counts().chunks) == ("retrieval_timeout", 1)

    assert proxy.stalled == 3


@pytest.mark.fault("search-timeout")
def test_a_stall_at_the_end_of_a_search_does_not_lose_its_result(store: PostgresStore, proxy: StallingProxy) -> None:
    store.put(APPLES)
    with closing(PostgresReader(proxy.address(store.place), "default")) as reader:
        proxy.word = b"ROLLBACK"
        with reader.snapshot(TimeLimit(0.5)):
            results = texts(reader)
        proxy.word = b""

        assert (results, proxy.stalled, reader.counts().chunks) == ({"apples are red"}, 1, 1)


@pytest.mark.fault("search-timeout")
def test_a_search_stops_waiting_for_a_locked_table(
    store: PostgresStore, database: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    store.put(APPLES)
    waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    table = f"{store.place.schema}.vectors_1"
    with store.reading() as reader:
        with database.transaction():
            database.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreError) as caught, reader.snapshot(TimeLimit(0.5)):
                pass
            assert wait_until(lambda: database.execute(waiting, (table,)).fetchone() is None)
        with reader.snapshot(TimeLimit(60)):
            assert texts(reader) == {"apples are red"}

    assert caught.value.code == "retrieval_timeout"


@pytest.mark.parametrize("word", STEPS.values(), ids=STEPS)
def test_opening_a_store_without_a_search_has_a_time_limit_too(
    word: bytes, store: PostgresStore, proxy: StallingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(APPLES)
    monkeypatch.setattr("streamrag_cli.store.postgres.connection.RETRIEVAL_LIMIT_S", 0.5)
    proxy.word = word
    address = proxy.address(store.place)

    with pytest.raises(StoreError) as caught:
        open_store(address).status("default")

    assert (caught.value.code, caught.value.message) == (
        "store_unreachable",
        f"{address} did not respond within 0.5 s",
    )


@pytest.mark.fault("ingest-connection-hangs")
@pytest.mark.parametrize("word", [b"INSERT INTO", b"COPY", b"COMMIT", b"\0"])
def test_a_writer_whose_connection_hangs_fails_and_loses_nothing(
    word: bytes, store: PostgresStore, proxy: StallingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(APPLES)
    monkeypatch.setattr("streamrag_cli.store.postgres.establish.SILENCE_S", 0.5)
    monkeypatch.setattr("streamrag_cli.store.postgres.connection.RETRIEVAL_LIMIT_S", 2.0)
    address = proxy.address(store.place)
    through_proxy = PostgresStore(address)

    with pytest.raises(StoreError) as caught, through_proxy.writing() as writer:
        proxy.word = word  # NUL is in every message, so new connections hang as well
        write(writer, PEARS)
    proxy.word = b""

    assert (caught.value.code, caught.value.retryable) == ("store_unreachable", True)
    assert str(caught.value) == f"the connection to {address} was lost: no reply for more than 1 s"
    through_proxy.put(PEARS)
    with store.reading() as reader:
        assert texts(reader) == {"apples are red", "pears are green"}


def test_a_long_statement_is_not_mistaken_for_a_silent_server(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamrag_cli.store.postgres.establish.SILENCE_S", 0.2)
    with closing(connect(store.place)) as conn:
        assert conn.execute("SELECT pg_sleep(2), 7").fetchone() == ("", 7)


def test_an_abandoned_connection_attempt_leaves_no_thread_running(store: PostgresStore, proxy: StallingProxy) -> None:
    proxy.word = STEPS["connecting"]
    with closing(PostgresReader(proxy.address(store.place), "default")) as reader:
        with pytest.raises(StoreError), reader.snapshot(TimeLimit(0.2)):
            pass

        assert wait_until(lambda: "connect" not in {each.name for each in threading.enumerate()}, within_s=PROMPT_S)
