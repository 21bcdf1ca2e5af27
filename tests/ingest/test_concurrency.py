"""Reading, embedding and writing run concurrently, without an effect on events and stored data."""

import tracemalloc
from collections import Counter, deque
from dataclasses import replace
from threading import Event, current_thread
from typing import Any, Final

import pytest

from streamrag_cli.documents.discovery_results import FoundFile
from streamrag_cli.documents.read import RawFile
from streamrag_cli.errors import ModelServerError
from streamrag_cli.events import DocumentSeen
from streamrag_cli.ingest import compare, reading
from streamrag_cli.ingest.embedding import BatchEmbedder, EmbeddingCancelledError
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.ingest.pipeline import ingest
from streamrag_cli.model import DocumentRecord
from streamrag_cli.retrieval.builtin_embedding import BuiltinEmbedder
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.vectors import WritableVectors
from streamrag_cli.store.local.writer import CollectionWriter
from tests.support.fake_embedder import FakeEmbedder, dies_at
from tests.support.ingests import Ingests

WAIT_S: Final = 60.0


def wait_for(event: Event) -> None:
    assert event.wait(WAIT_S), "the other step did not run concurrently"


def test_events_are_in_the_order_of_a_sequential_run(
    in_pairs: Ingests,
) -> None:
    for name in ("b", "e", "g"):
        in_pairs.put(f"docs/{name}.md", f"old {name}")
    in_pairs.run("docs")
    in_pairs.put("docs/c.md", b"\0\1\2\3")
    for name in ("a", "d", "f", "h"):
        in_pairs.put(f"docs/{name}.md", f"new {name}")
    in_pairs.run("docs")

    assert [(event.source[5], event.action) for event in in_pairs.events if isinstance(event, DocumentSeen)] == [
        ("b", "unchanged"),
        ("c", "skipped"),
        ("a", "added"),
        ("d", "added"),
        ("e", "unchanged"),
        ("g", "unchanged"),
        ("f", "added"),
        ("h", "added"),
    ]


def test_the_next_batch_is_embedded_while_the_previous_one_is_written(
    in_pairs: Ingests, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over, begun = [Event(), Event()], [Event(), Event()]
    begin, write = BatchEmbedder.begin, CollectionWriter.write

    def hand_over(ahead: BatchEmbedder, texts: list[str], known: dict[str, Any]) -> Any:
        next(each for each in handed_over if not each.is_set()).set()
        return begin(ahead, texts, known)

    def embed_once_both_are_handed_over(number: int) -> None:
        begun[number - 1].set()
        wait_for(handed_over[1])

    def write_once_the_second_has_begun(writer: CollectionWriter, *batch: Any) -> None:
        wait_for(begun[1])
        write(writer, *batch)

    monkeypatch.setattr(BatchEmbedder, "begin", hand_over)
    ingests = replace(in_pairs, embedder=FakeEmbedder(before_batch=embed_once_both_are_handed_over))
    monkeypatch.setattr(CollectionWriter, "write", write_once_the_second_has_begun)
    texts = {f"docs/{number}.md": f"text {number}" for number in range(4)}
    for name, text in texts.items():
        in_pairs.put(name, text)

    assert ingests.run("docs") == dict.fromkeys(texts, "added")
    assert ingests.stored() == texts


def test_files_are_read_while_a_batch_is_embedded(in_pairs: Ingests, monkeypatch: pytest.MonkeyPatch) -> None:
    last_read = Event()
    read = compare.read_record

    def note(file: FoundFile, *details: Any, **named: Any) -> tuple[DocumentRecord, RawFile]:
        if file.path.name == "3.md":
            last_read.set()
        return read(file, *details, **named)

    monkeypatch.setattr(reading, "read_record", note)
    embedder = FakeEmbedder(before_batch=lambda number: wait_for(last_read) if number == 1 else None)
    ingests = replace(in_pairs, embedder=embedder)
    for number in range(4):
        in_pairs.put(f"docs/{number}.md", f"text {number}")

    assert len(ingests.run("docs")) == 4
    assert ingests.done.counts["added"] == 4


def test_embedded_batches_are_written_while_a_slow_file_is_read(
    in_pairs: Ingests, monkeypatch: pytest.MonkeyPatch, embedder: FakeEmbedder
) -> None:
    written = Event()
    read, write = compare.read_record, CollectionWriter.write

    def slow(file: FoundFile, *details: Any, **named: Any) -> tuple[DocumentRecord, RawFile]:
        if file.path.name == "2.md":
            wait_for(written)
        return read(file, *details, **named)

    def note(writer: CollectionWriter, *batch: Any) -> None:
        write(writer, *batch)
        written.set()

    monkeypatch.setattr(reading, "read_record", slow)
    monkeypatch.setattr(CollectionWriter, "write", note)
    for number in range(3):
        in_pairs.put(f"docs/{number}.md", f"text {number}")

    assert in_pairs.run("docs") == dict.fromkeys(("docs/0.md", "docs/1.md", "docs/2.md"), "added")
    assert [len(batch) for batch in embedder.batches] == [2, 1]


def test_only_the_callers_thread_uses_the_store(in_pairs: Ingests, monkeypatch: pytest.MonkeyPatch) -> None:
    users: set[str] = set()

    def noting_who(method: Any) -> Any:
        def wrapped(*args: Any, **named: Any) -> Any:
            users.add(current_thread().name)
            return method(*args, **named)

        return wrapped

    for room, name in [(Catalog, "_rows"), (Catalog, "_many"), (Catalog, "_execute"), (WritableVectors, "add")]:
        monkeypatch.setattr(room, name, noting_who(getattr(room, name)))
    for number in range(5):
        in_pairs.put(f"docs/{number}.md", f"text {number}")
    in_pairs.run("docs")

    assert users == {current_thread().name}


def test_each_text_is_embedded_once_and_longer_texts_of_a_batch_come_first(
    in_pairs: Ingests, embedder: FakeEmbedder
) -> None:
    texts = {"docs/a.md": "short", "docs/b.md": "rather long", "docs/c.md": "short", "docs/d.md": "longer than short"}
    for name, text in texts.items():
        in_pairs.put(name, f"# T\n\n{text}")
    in_pairs.run("docs")

    assert embedder.batches == [
        ["T\n# T\n\nrather long", "T\n# T\n\nshort"],
        ["T\n# T\n\nlonger than short"],
    ]
    assert in_pairs.stored() == {name: f"# T\n\n{text}" for name, text in texts.items()}


def test_no_further_batches_are_sent_to_a_failed_server() -> None:
    embedder = FakeEmbedder(before_batch=dies_at(2))
    with BatchEmbedder(embedder, remembered_texts=9) as ahead:
        first, second, third = [ahead.begin([text], {}) for text in ("one", "two", "three")]
        errors = [type(future.exception(WAIT_S)) for future in (first, second, third)]

    assert (errors, embedder.batches) == ([type(None), ModelServerError, EmbeddingCancelledError], [["one"], ["two"]])


def test_closing_the_embedder_cancels_a_running_batch() -> None:
    embedder = BuiltinEmbedder()
    embedder.embed_query("the model is loaded")
    with BatchEmbedder(embedder, remembered_texts=9) as ahead:
        under_way = ahead.begin([f"{number} word" * 100 for number in range(5000)], {})  # takes more than a minute
        behind = ahead.begin(["something else"], {})

    assert isinstance(under_way.exception(WAIT_S), EmbeddingCancelledError)
    assert behind.cancelled()


def test_the_text_of_finished_files_does_not_stay_in_memory(
    ingests: Ingests, monkeypatch: pytest.MonkeyPatch, embedder: FakeEmbedder
) -> None:
    small = replace(ingests, limits=IngestLimits(batch_chunks=20, files_ahead=8, remembered_texts=32))
    monkeypatch.setattr(embedder, "batches", deque(maxlen=0))
    file_chars = 5000

    def peak_bytes(count: int) -> int:
        for number in range(count):
            ingests.put(f"{count}/{number}.md", f"{number} ".ljust(file_chars, "x"))
        events = ingest(small.request(str(count)), ingests.settings, embedder)
        tracemalloc.start()
        actions = Counter(event.action for event in events if isinstance(event, DocumentSeen))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert actions == {"added": count}
        return peak

    peak_bytes(10)  # imports
    assert (peak_bytes(220) - peak_bytes(70)) / 150 < file_chars / 5
