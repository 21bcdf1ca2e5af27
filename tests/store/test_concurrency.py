"""Concurrent searches in one collection do not block each other, and each respects its time limit."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streamrag_cli.errors import ExitCode, StoreError
from streamrag_cli.retrieval.search import retrieve
from streamrag_cli.store.interface import Reader
from streamrag_cli.store.local.lock import exclusive
from streamrag_cli.store.local.reader import CollectionReader
from streamrag_cli.store.postgres.reader import PostgresReader
from streamrag_cli.store.stemming import MOST_WORDS, rarest_words, stems
from streamrag_cli.store.time_limit import Cancellation, TimeLimit
from tests.support.fake_embedder import FakeEmbedder
from tests.support.stores import LocalStore, Store, by_vector, document, many_chunks

FERRIES = document("ferries.md", "ferries carry cars", "pilots guide ships")
BUOYS = document("buoys.md", "buoys mark the channel")
ALL_FERRIES = {"ferries carry cars", "pilots guide ships"}


def read_forever(reader: Reader) -> None:
    if isinstance(reader, CollectionReader):
        endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        reader.catalog._rows(endless)
    else:
        assert isinstance(reader, PostgresReader)
        with reader.session() as session:
            session.rows("SELECT pg_sleep(600)")


def in_another_thread(work: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(timeout=60)


@pytest.mark.fault("huge-question")
def test_a_search_is_not_blocked_by_an_open_snapshot(store: Store) -> None:
    store.put(FERRIES)
    with store.reading() as reader, reader.snapshot():
        reader.nearest(FakeEmbedder().embed_query("ferries"), 1)
        text = in_another_thread(lambda: retrieve(reader, FakeEmbedder(), "ferries", limit=1).hits[0].chunk.text)
    assert text == "ferries carry cars"


def test_each_of_two_snapshots_keeps_its_own_state(store: Store) -> None:
    store.put(FERRIES)
    with store.reading() as reader, reader.snapshot():
        before = by_vector(reader)
        store.put(BUOYS)

        def read_now() -> set[str]:
            with reader.snapshot():
                return by_vector(reader)

        now = in_another_thread(read_now)
        again = by_vector(reader)
    assert (before, now, again) == (ALL_FERRIES, ALL_FERRIES | {"buoys mark the channel"}, ALL_FERRIES)


def test_a_snapshot_survives_a_rebuild_and_closing_the_reader(store: Store) -> None:
    store.put(FERRIES)
    with store.reading() as reader, reader.snapshot():
        store.put(BUOYS, rebuild=True)
        if isinstance(reader, CollectionReader):
            in_another_thread(reader.counts)  # opens the active epoch
            reader.close()
        assert by_vector(reader) == ALL_FERRIES


def test_many_threads_find_the_same_results_during_writes(store: Store) -> None:
    store.put(FERRIES)
    stop = threading.Event()

    def search(reader: Reader) -> set[str]:
        texts: set[str] = set()
        while not stop.is_set():
            texts.add(retrieve(reader, FakeEmbedder(), "ferries carry cars", limit=1).hits[0].chunk.text)
        return texts

    with store.reading() as reader, ThreadPoolExecutor(6) as pool:
        searching = [pool.submit(search, reader) for _ in range(6)]
        for number in range(4):
            store.put(many_chunks(f"{number}.md", 30))
        stop.set()
        assert [each.result(timeout=60) for each in searching] == [{"ferries carry cars"}] * 6


@pytest.mark.fault("search-timeout")
def test_a_slow_search_is_stopped_and_the_next_one_succeeds(store: Store) -> None:
    store.put(FERRIES)
    with store.reading() as reader:
        with pytest.raises(StoreError) as caught, reader.snapshot(TimeLimit(0.2)):
            read_forever(reader)
        with reader.snapshot(TimeLimit(60)):
            assert by_vector(reader) == ALL_FERRIES

    error = caught.value
    assert (error.code, error.exit_code, error.retryable) == ("retrieval_timeout", ExitCode.STORE, True)
    assert str(error) == "the search took longer than 0.2 s and was stopped"


@pytest.mark.fault("search-timeout")
def test_a_search_ends_when_it_is_cancelled(store: Store) -> None:
    store.put(FERRIES)
    cancellation = Cancellation()
    begun = threading.Event()

    def ask() -> None:
        with store.reading() as reader, reader.snapshot(TimeLimit(600, cancellation)):
            begun.set()
            read_forever(reader)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        assert begun.wait(timeout=60)
        cancellation.cancel()
        with pytest.raises(StoreError) as caught:
            asking.result(timeout=60)
    assert caught.value.code == "interrupted"


@pytest.mark.fault("vectors-locked")
@pytest.mark.parametrize(
    ("limit_s", "is_cancelled", "code"), [(0.2, False, "retrieval_timeout"), (600, True, "interrupted")]
)
def test_waiting_for_a_lock_held_by_another_process_respects_the_time_limit(
    tmp_path: Path, limit_s: float, is_cancelled: bool, code: str
) -> None:
    store = LocalStore(tmp_path)
    store.put(FERRIES)
    cancellation = Cancellation()
    (lock,) = tmp_path.rglob("vectors.lock")
    with store.reading() as reader, ThreadPoolExecutor(1) as pool, exclusive(lock):
        opening = pool.submit(reader.prepare, TimeLimit(limit_s, cancellation))
        if is_cancelled:
            cancellation.cancel()
        with pytest.raises(StoreError) as caught:
            opening.result(timeout=10)
    assert caught.value.code == code


@pytest.mark.fault("huge-question")
def test_only_the_rarest_of_many_words_are_searched(store: Store) -> None:
    common = [f"common{each}" for each in range(MOST_WORDS + 20)]
    store.put(document("all.md", *(" ".join([*common, f"only{each}"]) for each in range(3))))
    with store.reading() as reader:
        best, *others = reader.search_text([*common, "only2"], 10)
        chunk = reader.catalog.chunks([best[0]])[best[0]].chunk
    assert chunk.text.endswith("only2")
    assert len(others) == 2
    assert best[1] > others[0][1]


@pytest.mark.fault("huge-question")
def test_a_word_repeated_thousands_of_times_counts_only_four_times(store: Store) -> None:
    store.put(many_chunks("many.md", 400))
    with store.reading() as reader, reader.snapshot(TimeLimit(30)):
        ranking = reader.search_text(["number"] * 10_000, 5)
        assert ranking == reader.search_text(["number"] * 4, 5)


def test_the_rarest_words_keep_their_counts_up_to_four() -> None:
    counts = {f"w{each:03}": 1 for each in range(100)} | {"often": 9, "unheard": 3}
    frequencies = {word: 1000 - place for place, word in enumerate(counts)} | {"often": 1, "unheard": 0}

    assert rarest_words(counts, frequencies) == {f"w{each:03}": 1 for each in range(37, 100)} | {"often": 4}


@pytest.mark.fault("huge-question")
def test_a_word_longer_than_the_index_limit_is_not_reported_as_damage(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(FERRIES)
    endless = "\N{GOTHIC LETTER AHSA}" * 20_000  # 80 kB, in a script that is not split into characters
    with store.reading() as reader:
        hits = retrieve(reader, FakeEmbedder(), f"{endless} ferries", limit=5).hits
    assert "ferries carry cars" in {hit.chunk.text for hit in hits}
    assert len(stems([endless])[0]) == 1


@pytest.mark.fault("huge-question")
def test_a_very_long_identifier_is_searched_by_its_parts(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(FERRIES)
    with store.reading() as reader, reader.snapshot(TimeLimit(30)):
        ranking = reader.search_text(["_".join(["ferries"] * 5000)], 5)
        assert ranking == reader.search_text(["ferries"] * 4, 5)
