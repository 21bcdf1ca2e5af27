"""An interrupted ingest keeps what is embedded, and the next one continues."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from streamrag_cli.events import DocumentSeen, FileProgress, IngestEvent
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.ingest.pipeline import ingest
from streamrag_cli.retrieval.local_embedding import Encoded, LocalEmbedder
from tests.support.ingests import Ingests

DIMENSION = 8
WAIT_S = 60.0


class CountingModel:
    """A model that embeds one text after the other, and waits before the text with number `stops_at`."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.texts: list[str] = []
        self.stopped, self.released = Event(), Event()
        self._stops_at = stops_at

    def encode_passage(self, text: str) -> Encoded:
        if len(self.texts) == self._stops_at:
            self.stopped.set()
            assert self.released.wait(WAIT_S)
        self.texts.append(text)
        vector = np.ones(DIMENSION, dtype=np.float32) / np.sqrt(DIMENSION).astype(np.float32)
        return Encoded(vector=vector, states=np.ones((3, DIMENSION), dtype=np.float32), spans=[(0, 0), (0, 1), (0, 0)])

    def encode_question(self, text: str) -> Encoded:
        return self.encode_passage(text)

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        return [(0, len(text))]


def embedder_of(model: CountingModel) -> LocalEmbedder:
    return LocalEmbedder("counting", DIMENSION, lambda: model, threads=1)


def interrupt(
    ingests: Ingests, model: CountingModel, report: Callable[[int], None] = lambda _passages: None
) -> FileProgress | None:
    """Ingest `docs`, and end like Ctrl-C while the model waits. Returns the progress at that time."""
    limits = IngestLimits(progress_after_s=0.0, progress_every_s=0.01)
    request = replace(replace(ingests, limits=limits).request("docs"), interrupted=report)
    events = ingest(request, ingests.settings, embedder_of(model))
    progress = None
    for event in events:
        if isinstance(event, FileProgress) and model.stopped.is_set():
            progress = event
            break
    events.close()
    model.released.set()
    return progress


def words(texts: Sequence[str]) -> list[str]:
    return sorted(match[0] for text in texts if (match := re.search(r"row\d+", text)))


@pytest.fixture
def resumable(ingests: Ingests, tmp_path: Path) -> Ingests:
    return replace(ingests, settings=replace(ingests.settings, state_directory=str(tmp_path / "state")))


@pytest.mark.fault("ingest-interrupted")
def test_documents_that_are_embedded_are_written_before_their_batch_is_complete(resumable: Ingests) -> None:
    for number in range(6):
        resumable.put(f"docs/{number}.md", f"row{number} of the tide table")
    model, rest = CountingModel(stops_at=4), CountingModel()
    interrupt(resumable, model)

    assert set(resumable.stored()) <= {f"docs/{number}.md" for number in range(6)}
    assert len(resumable.stored()) == 4
    events: list[IngestEvent] = list(ingest(resumable.request("docs"), resumable.settings, embedder_of(rest)))
    actions = [event.action for event in events if isinstance(event, DocumentSeen)]
    assert (actions.count("unchanged"), actions.count("added")) == (4, 2)
    assert words(rest.texts) == sorted({f"row{number}" for number in range(6)} - set(words(model.texts[:4])))


@pytest.mark.fault("ingest-interrupted")
def test_passages_of_an_incomplete_document_are_not_embedded_again(resumable: Ingests) -> None:
    rows = "".join(f"# Row {number}\n\n{f'row{number} of the tide table. ' * 30}\n\n" for number in range(10))
    resumable.put("docs/tides.md", rows)
    model, rest = CountingModel(stops_at=6), CountingModel()
    interrupt(resumable, model)
    embedded = set(words(model.texts[:6]))

    assert resumable.stored() == {}
    list(ingest(resumable.request("docs"), resumable.settings, embedder_of(rest)))
    assert len(embedded) == 6
    assert set(words(rest.texts)) & embedded == set()
    assert set(resumable.stored()) == {"docs/tides.md"}
    assert not list(Path(resumable.settings.state_directory).glob("unfinished-*"))


@pytest.mark.fault("ingest-interrupted")
def test_kept_passages_count_as_done_immediately(resumable: Ingests) -> None:
    rows = "".join(f"# Row {number}\n\n{f'row{number} of the tide table. ' * 30}\n\n" for number in range(10))
    resumable.put("docs/tides.md", rows)
    interrupt(resumable, CountingModel(stops_at=6))
    progress = interrupt(resumable, CountingModel(stops_at=0))

    assert progress is not None
    assert 6 <= progress.embedded < progress.chunks


@pytest.mark.fault("ingest-interrupted")
def test_the_number_of_kept_passages_is_reported_before_saving(resumable: Ingests) -> None:
    for number in range(6):
        resumable.put(f"docs/{number}.md", f"row{number} of the tide table")
    reported = []

    def report(passages: int) -> None:
        reported.append((passages, len(list(Path(resumable.settings.state_directory).glob("unfinished-*")))))

    interrupt(resumable, CountingModel(stops_at=4), report)

    assert reported == [(4, 0)]


@pytest.mark.parametrize("length", [0, 200])
def test_a_damaged_cache_of_passages_is_ignored(resumable: Ingests, length: int) -> None:
    resumable.put("docs/a.md", "row1 of the tide table " * 100)
    interrupt(resumable, CountingModel(stops_at=1))
    (cache,) = Path(resumable.settings.state_directory).glob("unfinished-*.npz")
    cache.write_bytes(cache.read_bytes()[:length])
    rest = CountingModel()

    list(ingest(resumable.request("docs"), resumable.settings, embedder_of(rest)))

    assert set(resumable.stored()) == {"docs/a.md"}


def test_a_cache_of_passages_that_is_a_fifo_is_ignored(resumable: Ingests) -> None:
    resumable.put("docs/a.md", "row1 of the tide table " * 100)
    interrupt(resumable, CountingModel(stops_at=1))
    (cache,) = Path(resumable.settings.state_directory).glob("unfinished-*.npz")
    cache.unlink()
    os.mkfifo(cache)

    list(ingest(resumable.request("docs"), resumable.settings, embedder_of(CountingModel())))

    assert set(resumable.stored()) == {"docs/a.md"}


def test_without_a_path_the_known_roots_are_synced(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "text a")
    ingests.put("notes.md", "text b")
    ingests.put("elsewhere/c.md", "text c")
    ingests.run("docs", "notes.md")
    ingests.put("docs/new.md", "text d")
    (ingests.home / "docs" / "a.md").unlink()

    assert ingests.run() == {"docs/new.md": "added", "notes.md": "unchanged", "docs/a.md": "deleted"}


@pytest.mark.fault("ingest-known-roots")
def test_without_a_path_a_root_that_is_missing_keeps_its_documents(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "text a")
    ingests.put("disk/b.md", "text b")
    ingests.run("docs", "disk")
    (ingests.home / "disk").rename(ingests.home / "unmounted")

    assert ingests.run() == {"docs/a.md": "unchanged"}
    assert set(ingests.stored()) == {"docs/a.md", "disk/b.md"}
    (ingests.home / "docs").rename(ingests.home / "unmounted too")
    ingests.run()
    assert (ingests.error.code, ingests.error.message.partition(" do ")[0], ingests.error.hint) == (
        "no_path",
        "disk, docs",
        "mount the disk or network share, ingest the new location, or remove the documents:"
        " streamrag ingest --remove disk docs",
    )
    assert set(ingests.stored()) == {"docs/a.md", "disk/b.md"}


def test_without_a_path_or_known_roots_the_hint_asks_for_a_path(ingests: Ingests) -> None:
    ingests.run()

    assert (ingests.error.code, ingests.error.hint) == ("no_path", "streamrag ingest PATH")


def test_the_first_event_estimates_the_passages_of_new_files(ingests: Ingests) -> None:
    for number in range(20):
        ingests.put(f"docs/{number}.md", "\n\n".join(f"Paragraph {row} of {number}. " * 12 for row in range(20)))
    ingests.run("docs")
    first, done = ingests.events[0], ingests.done
    ingests.put("docs/20.md", "One more.")
    ingests.run("docs")
    again = ingests.events[0]
    ingests.put("docs/scan.pdf", b"%PDF-1.7")
    ingests.run("docs")

    assert (first.new_documents, again.new_documents, again.passages) == (20, 1, 1)  # type: ignore[union-attr]
    assert abs(first.passages - done.chunks) <= 0.3 * done.chunks  # type: ignore[union-attr, operator]
    assert (ingests.events[0].new_documents, ingests.events[0].passages) == (1, None)  # type: ignore[union-attr]


def test_an_unusable_record_of_the_embedding_speed_is_ignored(resumable: Ingests) -> None:
    state = Path(resumable.settings.state_directory)
    state.mkdir()
    os.mkfifo(state / "passages-per-second.json")
    resumable.put("docs/a.md", "row1 of the tide table " * 100)

    list(ingest(resumable.request("docs"), resumable.settings, embedder_of(CountingModel())))

    assert set(resumable.stored()) == {"docs/a.md"}
