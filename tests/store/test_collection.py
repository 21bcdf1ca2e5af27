"""The contract that every backend must fulfil. Tests with two processes run real processes."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from streamrag_cli.errors import NothingRelevantError, StoreError
from streamrag_cli.model import Filter
from streamrag_cli.retrieval.search import retrieve
from streamrag_cli.retrieval.search_hints import improve_hint
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import Counts, EmbeddedPassages
from tests.support.fake_embedder import FakeEmbedder
from tests.support.stores import Store, by_text, by_vector, document, many_chunks, texts, vector_ids, write

APPLES = document("fruit.md", "apples are red", "pears are green")
SHIPS = document("ships.md", "ships cross the sea")


def test_written_documents_are_found_by_text_vector_and_id(store: Store) -> None:
    store.put(APPLES, SHIPS)

    with store.reading() as reader, reader.snapshot():
        apples, pears = APPLES[1]
        assert by_text(reader, "apples") == {"apples are red"}
        assert by_vector(reader) == {"apples are red", "pears are green", "ships cross the sea"}
        stored = reader.catalog.chunks([apples.id, pears.id, "no such id"])
        assert {key: (each.chunk, each.source, each.path) for key, each in stored.items()} == {
            apples.id: (apples, "fruit.md", "/docs/fruit.md"),
            pears.id: (pears, "fruit.md", "/docs/fruit.md"),
        }
        assert reader.catalog.existing([apples.id, "no such id"]) == {apples.id}
        assert (reader.counts(), reader.embedding) == (Counts(documents=2, chunks=3), "fake")
        assert reader.document_frequencies(["appl", "ar", "comet"]) == {"appl": 1, "ar": 2, "comet": 0}


def test_cosines_match_the_stored_vectors(store: Store) -> None:
    store.put(APPLES, SHIPS)
    question = FakeEmbedder().embed_query("red apples")

    with store.reading() as reader:
        cosines = reader.cosines(question, [chunk.id for chunk in APPLES[1]] + ["no such id"])

    expected = {chunk.id: FakeEmbedder().embed_query(chunk.text_to_embed) @ question for chunk in APPLES[1]}
    assert cosines == pytest.approx(expected, abs=1e-6)


def test_a_writer_returns_stored_vectors(store: Store) -> None:
    ids = [chunk.id for chunk in APPLES[1]]
    with store.writing() as writer:
        before = writer.vectors(ids)
        write(writer, APPLES)
    with store.writing() as writer:
        vectors = writer.vectors([*ids, "no such id"])

    assert (set(before), set(vectors)) == (set(), set(ids))
    for chunk in APPLES[1]:
        assert vectors[chunk.id] == pytest.approx(FakeEmbedder().embed_query(chunk.text_to_embed), abs=1e-6)


def test_replacing_a_document_replaces_all_its_chunks_everywhere(store: Store) -> None:
    store.put(APPLES, SHIPS)
    store.put(document("fruit.md", "pears are green", "plums are blue"))

    with store.reading() as reader:
        expected = {"pears are green", "plums are blue", "ships cross the sea"}
        assert (texts(reader), by_vector(reader), by_text(reader, "apples")) == (expected, expected, set())
        assert reader.catalog.chunk_ids() == vector_ids(store)


def test_removing_a_document_removes_it_everywhere(store: Store) -> None:
    store.put(APPLES, SHIPS)
    with store.writing() as writer:
        writer.remove(["/docs/fruit.md", "/docs/never-there.md"])

    with store.reading() as reader:
        assert (texts(reader), by_text(reader, "apples")) == ({"ships cross the sea"}, set())
        assert vector_ids(store) == {SHIPS[1][0].id}
        assert reader.counts() == Counts(documents=1, chunks=1)


def test_a_document_without_chunks_is_stored(store: Store) -> None:
    store.put(document("empty.md"))

    with store.reading() as reader:
        assert reader.counts() == Counts(documents=1, chunks=0)


def test_only_document_changes_increment_the_generation(store: Store) -> None:
    def generation() -> int:
        with store.reading() as reader:
            return reader.catalog.generation

    with store.writing():
        pass
    seen = [generation()]
    store.put(APPLES)
    seen.append(generation())
    with store.writing() as writer:
        writer.touch([APPLES[0]])
        writer.add_roots(["/docs"])
    seen.append(generation())
    with store.writing() as writer:
        writer.remove([APPLES[0].path])
    seen.append(generation())

    assert seen == [0, 1, 1, 2]


@pytest.mark.fault("read-during-ingest")
def test_an_open_reader_sees_documents_from_another_process_at_the_next_question(store: Store) -> None:
    store.put(APPLES)
    with store.reading() as reader:
        with reader.snapshot():
            assert by_vector(reader) == {"apples are red", "pears are green"}
        assert store.run_other_process("put", "ships.md", "ships cross the sea") == "done"
        with reader.snapshot():
            expected = {"apples are red", "pears are green", "ships cross the sea"}
            assert (texts(reader), by_vector(reader)) == (expected, expected)
        assert store.run_other_process("remove", "fruit.md") == "done"
        with reader.snapshot():
            assert (texts(reader), by_vector(reader)) == ({"ships cross the sea"}, {"ships cross the sea"})


def test_an_open_reader_sees_a_rebuilt_collection_at_the_next_question(store: Store) -> None:
    store.put(APPLES)
    with store.reading() as reader:
        with reader.snapshot():
            assert by_vector(reader) == {"apples are red", "pears are green"}
        assert store.run_other_process("rebuild", "ships.md", "ships cross the sea") == "done"
        with reader.snapshot():
            assert (texts(reader), by_vector(reader)) == ({"ships cross the sea"}, {"ships cross the sea"})


@pytest.mark.parametrize("command", ["put", "rebuild"])
def test_a_question_sees_one_state_despite_concurrent_writes(store: Store, command: str) -> None:
    store.put(APPLES)
    with store.reading() as reader, reader.snapshot():
        assert reader.counts() == Counts(documents=1, chunks=2)
        assert store.run_other_process(command, "ships.md", "ships cross the sea") == "done"

        assert (texts(reader), by_text(reader, "ships")) == ({"apples are red", "pears are green"}, set())
        assert by_vector(reader) == {"apples are red", "pears are green"}


def test_removing_documents_during_a_question_causes_no_error(store: Store) -> None:
    store.put(APPLES, SHIPS)
    with store.reading() as reader, reader.snapshot():
        reader.counts()
        assert store.run_other_process("remove", "fruit.md") == "done"

        assert by_vector(reader) <= texts(reader)
        cosines = reader.cosines(np.ones(16, dtype=np.float32), [chunk.id for chunk in APPLES[1]])
        # In a local store the vectors disappear immediately, in a database with the snapshot.
        assert cosines.keys() in (set(), {chunk.id for chunk in APPLES[1]})


@pytest.mark.fault("concurrent-ingest")
def test_a_second_writer_fails_with_store_busy_and_writes_nothing(store: Store) -> None:
    store.put(APPLES)
    with store.writing() as writer:
        write(writer, SHIPS)
        output = store.run_other_process("put", "late.md", "a late text")

    assert output.startswith("store_busy hint=wait until the other ingest finishes")
    with store.reading() as reader:
        assert texts(reader) == {"apples are red", "pears are green", "ships cross the sea"}


def test_a_killed_writer_leaves_no_lock(store: Store) -> None:
    with store.other_process("hold") as other:
        assert other.stdout
        assert other.stdout.readline() == "holding\n"
        other.kill()

    store.put(APPLES)


def test_another_embedder_is_rejected_and_both_are_named(store: Store) -> None:
    store.put(APPLES)

    with pytest.raises(StoreError) as caught, store.writing(embedding="openai:other"):
        pass

    assert (caught.value.code, caught.value.message) == (
        "another_embedding",
        "the collection 'default' uses the embedder fake, but openai:other was requested",
    )


def test_a_collection_without_vectors_accepts_any_embedder(store: Store) -> None:
    with store.writing(embedding="openai:unreachable") as writer:
        write(writer, document("empty.md"))
    store.put(APPLES)

    with store.reading() as reader:
        assert (reader.embedding, by_vector(reader)) == ("fake", {"apples are red", "pears are green"})


def test_an_emptied_collection_keeps_its_embedder(store: Store) -> None:
    store.put(APPLES)
    with store.writing() as writer:
        writer.remove([APPLES[0].path])

    with pytest.raises(StoreError, match="uses the embedder fake"), store.writing(embedding="openai:other"):
        pass


@pytest.mark.fault("other-embedding")
def test_vectors_of_another_dimension_are_rejected_and_not_written(store: Store) -> None:
    store.put(APPLES)

    with pytest.raises(StoreError) as caught, store.writing() as writer:
        writer.write([SHIPS], EmbeddedPassages(FakeEmbedder(dimension=8).embed_documents(["ships cross the sea"])))

    assert (caught.value.code, caught.value.message) == (
        "another_embedding",
        "the collection 'default' has vectors with 16 dimensions, but the embedder returned 8",
    )
    with store.reading() as reader:
        assert by_vector(reader) == {"apples are red", "pears are green"}


def test_a_store_that_does_not_exist_is_reported_as_missing(store: Store) -> None:
    with pytest.raises(StoreError) as caught, store.reading() as reader, reader.snapshot():
        pass

    assert (caught.value.code, caught.value.hint) == ("store_missing", "streamrag ingest PATH")
    assert not store.exists()


def test_an_empty_store_is_reported_as_empty(store: Store) -> None:
    with store.writing():
        pass

    with pytest.raises(StoreError) as caught, store.reading() as reader:
        retrieve(reader, FakeEmbedder(), "apples", limit=3)

    assert (caught.value.code, caught.value.hint) == ("store_empty", "streamrag ingest PATH")


def test_a_store_without_chunks_after_an_interruption_is_reported_as_incomplete(store: Store) -> None:
    with suppress(KeyboardInterrupt), store.writing() as writer:
        writer.add_roots(["/docs"])
        raise KeyboardInterrupt

    with pytest.raises(StoreError) as caught, store.reading() as reader:
        retrieve(reader, FakeEmbedder(), "apples", limit=3)

    assert (str(caught.value), caught.value.hint) == (
        "the first ingest of the collection is not complete",
        "streamrag ingest",
    )


def test_a_search_without_hits_in_an_incomplete_collection_suggests_completing_it(store: Store) -> None:
    error = NothingRelevantError("nothing", code="nothing_relevant", hint="rephrase the question, or ask again")
    with suppress(KeyboardInterrupt), store.writing() as writer:
        writer.add_roots(["/docs"])
        write(writer, SHIPS)
        raise KeyboardInterrupt

    with store.reading() as reader, reader.snapshot():
        improve_hint(error, Filter(), Settings(store=Path("nowhere"), collection="sea"), reader.catalog)

    assert error.hint == "rephrase the question, complete the first ingest (streamrag ingest -c sea), or ask again"


def test_a_follow_up_finds_the_topic_of_the_earlier_question(store: Store) -> None:
    store.put(APPLES, SHIPS)

    with store.reading() as reader:
        hits = [
            retrieve(reader, FakeEmbedder(), "why is that", earlier=[earlier], limit=1).hits[0].chunk.text
            for earlier in ("do apples fall", "do ships sail")
        ]

    assert hits == [APPLES[1][0].text, SHIPS[1][0].text]


def test_a_rebuild_becomes_active_only_when_it_ends(store: Store) -> None:
    store.put(APPLES)
    with store.reading() as reader:
        with store.writing(rebuild=True) as writer:
            write(writer, SHIPS)
            with reader.snapshot():
                assert by_vector(reader) == {"apples are red", "pears are green"}
        with reader.snapshot():
            assert by_vector(reader) == {"ships cross the sea"}


def test_a_failed_rebuild_keeps_the_old_collection(store: Store) -> None:
    store.put(APPLES)

    with suppress(KeyboardInterrupt), store.writing(rebuild=True, embedding="another") as writer:
        write(writer, SHIPS)
        raise KeyboardInterrupt

    store.put(document("more.md", "more fruit"))
    with store.reading() as reader:
        assert by_vector(reader) == {"apples are red", "pears are green", "more fruit"}


def test_a_rebuild_may_change_the_embedder_and_dimension(store: Store) -> None:
    store.put(APPLES)
    other = FakeEmbedder("another", dimension=8)
    with store.writing(rebuild=True, embedding="another") as writer:
        writer.write([SHIPS], EmbeddedPassages(other.embed_documents(["ships cross the sea"])))

    with store.reading() as reader:
        assert reader.embedding == "another"
        assert [chunk_id for chunk_id, _ in reader.nearest(other.embed_query("ships"), 5)] == [SHIPS[1][0].id]


@pytest.mark.slow
def test_more_chunks_than_one_chroma_call_accepts_are_all_written(store: Store) -> None:
    store.put(many_chunks("many.md", 4100))

    with store.reading() as reader:
        assert reader.counts() == Counts(documents=1, chunks=4100)
        for chunk in many_chunks("many.md", 4100)[1][::500]:
            vector = FakeEmbedder().embed_query(chunk.text_to_embed)
            assert [chunk_id for chunk_id, _ in reader.nearest(vector, 1)] == [chunk.id]


def test_an_open_reader_sees_a_store_that_was_created_again(store: Store) -> None:
    store.put(APPLES)
    with store.reading() as reader:
        with reader.snapshot():
            assert by_vector(reader) == {"apples are red", "pears are green"}
        store.remove()
        with pytest.raises(StoreError, match="no collection"), reader.snapshot():
            pass
        assert store.run_other_process("put", "ships.md", "ships cross the sea") == "done"
        with reader.snapshot():
            assert (texts(reader), by_vector(reader)) == ({"ships cross the sea"}, {"ships cross the sea"})


def test_the_cosine_range_is_stored_until_a_rebuild(store: Store) -> None:
    store.put(APPLES)
    with store.writing() as writer:
        before = writer.catalog.meta("cosine_range")
        writer.set_cosine_range("0.71 0.88")
    with store.reading() as reader:
        stored = reader.catalog.meta("cosine_range")
    store.put(SHIPS, rebuild=True)
    with store.reading() as reader:
        rebuilt = reader.catalog.meta("cosine_range")

    assert (before, stored, rebuilt) == (None, "0.71 0.88", None)
