"""Searches in some of the documents, on every backend."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from streamrag_cli.model import Filter, PathPattern
from streamrag_cli.store.interface import Reader
from streamrag_cli.store.local import reader as local_reader
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.reader import CollectionReader
from streamrag_cli.store.postgres import selections
from tests.support import postgres_server
from tests.support.fake_embedder import FakeEmbedder
from tests.support.stores import Document, LocalStore, PostgresStore, Store, by_text, document, many_chunks

YEAR_NS = 365 * 24 * 3600 * 1_000_000_000


def tagged(path: str, text: str, *tags: str, mtime_ns: int = 0) -> Document:
    record, chunks = document(path, text)
    return replace(record, mtime_ns=mtime_ns, tags=tags), chunks


FERRY = tagged("boats/ferry.md", "the ferry crosses the sound", "Traffic", "sea", mtime_ns=3 * YEAR_NS)
TUG = tagged("boats/tug.txt", "the tug pulls the ferry", "sea", mtime_ns=YEAR_NS)
TRAM = tagged("streets/tram.MD", "the tram meets the ferry", "traffic", mtime_ns=2 * YEAR_NS)
ALL = {"the ferry crosses the sound", "the tug pulls the ferry", "the tram meets the ferry"}


@pytest.fixture
def reader(store: Store) -> Iterator[Reader]:
    store.put(FERRY, TUG, TRAM)
    with store.reading() as reader, reader.snapshot():
        yield reader


def path(pattern: str, name: str = "") -> Filter:
    return Filter(patterns=(PathPattern(pattern, name),))


def texts_found(reader: Reader, scope: Filter) -> tuple[set[str], set[str]]:
    """The texts that full text and vectors find."""
    selection = reader.select(scope)
    vector = FakeEmbedder().embed_query("ferry")
    texts, nearest = reader.search_both(["ferry"], vector, 10, selection)
    assert (texts, nearest) == (
        reader.search_text(["ferry"], 10, selection),
        reader.nearest(vector, 10, selection),
    )
    by_id = {chunk_id: each.chunk.text for chunk_id, each in reader.catalog.chunks(reader.catalog.chunk_ids()).items()}
    return {by_id[each] for each, _ in texts}, {by_id[each] for each, _ in nearest}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (path("/docs/boats"), {0, 1}),
        (path("/docs/boats/*.txt"), {1}),
        (path("/**/tram.*"), {2}),
        (path("/docs/boats/ferry.md", "streets"), {0}),
        (path("/elsewhere/streets", "streets"), {2}),
        (path("", "boats/tug.txt"), {1}),
        (Filter(patterns=(PathPattern("/docs/boats/tug.txt", ""), PathPattern("/docs/streets", ""))), {1, 2}),
        (Filter(since_ns=2 * YEAR_NS), {0, 2}),
        (Filter(suffixes=(".md",)), {0, 2}),
        (Filter(file_names=("tug.txt",)), {1}),
        (Filter(tags=("TRAFFIC",)), {0, 2}),
        (Filter(tags=("sea", "traffic")), {0}),
        (Filter(tags=("sea",), since_ns=2 * YEAR_NS, suffixes=(".md", ".txt")), {0}),
        (Filter(tags=("air",)), set()),
    ],
)
def test_text_and_vector_searches_return_only_chunks_of_allowed_documents(
    scope: Filter, expected: set[int], reader: Reader
) -> None:
    texts = {[FERRY, TUG, TRAM][number][1][0].text for number in expected}

    assert texts_found(reader, scope) == (texts, texts)
    selection = reader.select(scope)
    assert (len(selection.documents), selection.chunks) == (len(expected), len(expected))
    ids = {each[1][0].id: each[1][0].text for each in (FERRY, TUG, TRAM)}
    assert {ids[each] for each in reader.within([*ids, "no such id"], selection)} == texts


def test_a_filter_does_not_change_scores(reader: Reader) -> None:
    selection = reader.select(path("/docs/boats"))
    vector = FakeEmbedder().embed_query("tug")

    everything = dict(reader.search_text(["ferry", "tug", "tug"], 10)), dict(reader.nearest(vector, 10))
    some = reader.search_text(["ferry", "tug", "tug"], 10, selection), reader.nearest(vector, 10, selection)

    for all_scores, scores in zip(everything, some, strict=True):
        assert len(scores) == 2
        assert dict(scores) == pytest.approx({each: all_scores[each] for each, _ in scores}, abs=1e-6)


def test_a_new_selection_reflects_the_removal_of_a_document(store: Store) -> None:
    store.put(FERRY, TUG)
    scope = Filter(tags=("sea",))
    with store.reading() as reader:
        before = len(reader.select(scope).documents)
        with store.writing() as writer:
            writer.remove([TUG[0].path])
        after = len(reader.select(scope).documents)

    assert (before, after) == (2, 1)


def test_metadata_of_an_unchanged_file_can_be_updated(store: Store) -> None:
    store.put(FERRY)
    with store.writing() as writer:
        writer.touch([replace(FERRY[0], tags=("new",), date="2026-02-03")])

    with store.reading() as reader:
        record = reader.catalog.document(FERRY[0].path)
        assert record is not None
        assert (record.tags, record.date, by_text(reader, "ferry")) == (("new",), "2026-02-03", {FERRY[1][0].text})


@pytest.mark.parametrize("share", [0.05, 0.6])
def test_the_best_chunks_of_a_large_selection_are_found(
    share: float, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With low limits, the selection is searched like one of thousands of chunks."""
    monkeypatch.setattr(local_reader, "_MAX_COMPARED", 100)
    monkeypatch.setattr(selections, "_MAX_COMPARED", 100)
    some = many_chunks("some/a.md", int(600 * share))
    store.put(some, many_chunks("other/b.md", 600 - int(600 * share)))
    question = FakeEmbedder().embed_query("some/a.md number 7 word7x7")
    exact = {each.id: float(FakeEmbedder().embed_query(each.text_to_embed) @ question) for each in some[1]}

    with store.reading() as reader, reader.snapshot():
        selection = reader.select(path("/docs/some"))
        nearest = reader.nearest(question, 20, selection)
        # A question about the documents that are not selected:
        far = reader.nearest(FakeEmbedder().embed_query("other/b.md number 9 word9x9"), 20, selection)

    best = sorted(exact, key=lambda each: -exact[each])[:10]
    assert len({each for each, _ in nearest[:10]} & set(best)) >= 9
    assert np.all(np.diff([cosine for _, cosine in nearest]) <= 1e-6)
    assert len(far) >= 5
    assert {each for each, _ in (*nearest, *far)} <= set(exact)


def test_the_previous_local_format_is_readable_and_upgraded_by_the_next_writer(
    local_store: LocalStore,
) -> None:
    local_store.put(FERRY, TUG)
    active = Layout(local_store.directory, "default").active_epoch()
    assert active is not None
    catalog = Layout(local_store.directory, "default").catalog(active.epoch)
    with closing(sqlite3.connect(catalog)) as database:
        database.executescript(
            "ALTER TABLE documents DROP COLUMN date; ALTER TABLE documents DROP COLUMN tags;"
            "UPDATE meta SET value = '4' WHERE key = 'schema_version';"
        )

    before_and_after_upgrade(local_store)


def test_the_previous_postgresql_format_is_readable_and_upgraded_by_the_next_writer() -> None:
    with postgres_server.fresh_schema() as place:
        store = PostgresStore(place)
        store.put(FERRY, TUG)
        with postgres_server.opened(place) as conn:
            conn.execute("DELETE FROM migrations WHERE version >= 4")
            conn.execute("ALTER TABLE epochs DROP COLUMN unread_files")
            conn.execute("ALTER TABLE documents_1 DROP COLUMN date, DROP COLUMN tags")

        before_and_after_upgrade(store)


def before_and_after_upgrade(store: Store) -> None:
    """Check a store with `FERRY` and `TUG` whose format has no tags, then write `TRAM`."""
    with store.reading() as reader:
        record = reader.catalog.document(FERRY[0].path)
        selection = reader.select(Filter(tags=("sea",)))
        assert texts_found(reader, path("/docs/boats/tug.txt"))[0] == {TUG[1][0].text}
    assert record == replace(FERRY[0], tags=None)
    assert (selection.documents, sorted(selection.untagged)) == ((), [FERRY[0].path, TUG[0].path])

    store.put(TRAM)
    with store.reading() as reader:
        assert texts_found(reader, Filter(tags=("traffic",)))[0] == {TRAM[1][0].text}
        assert by_text(reader, "ferry") == ALL
        assert sorted(reader.select(Filter(tags=("traffic",))).untagged) == [FERRY[0].path, TUG[0].path]


def test_damaged_tags_are_reported(local_store: LocalStore) -> None:
    local_store.put(FERRY)
    active = Layout(local_store.directory, "default").active_epoch()
    assert active is not None
    with closing(sqlite3.connect(Layout(local_store.directory, "default").catalog(active.epoch))) as database:
        database.execute("UPDATE documents SET tags = '{}'")
        database.commit()

    with closing(CollectionReader(local_store.directory, "default")) as reader:
        with pytest.raises(Exception, match="is damaged: a document has values of the wrong type"):
            reader.select(Filter(tags=("sea",)))
