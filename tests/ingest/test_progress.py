"""Progress within a large file is reported in passages; small files report none."""

import io
from collections.abc import Sequence
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

from streamrag_cli.events import FileProgress, IngestStarted
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.ingest.pipeline import ingest
from streamrag_cli.render.ingest import SAY_EVERY_S, IngestLines, IngestView
from streamrag_cli.render.passage_rate import PassageRate
from streamrag_cli.store.local.writer import CollectionWriter
from tests.support.fake_embedder import FakeEmbedder
from tests.support.ingests import Ingests

WAIT_S = 60.0


class StoppingEmbedder(FakeEmbedder):
    """Embeds one text after the other, and waits halfway until the test has seen the progress."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Event()

    def embed_documents(self, texts: Sequence[str], cancellation: object = None) -> NDArray[np.float32]:
        rows = []
        for number in range(len(texts)):
            rows.append(self.embed_query(texts[number]))
            if number == len(texts) // 2:
                assert self.seen.wait(WAIT_S)
        return np.array(rows, dtype=np.float32)


def test_progress_within_a_large_file_is_reported(ingests: Ingests) -> None:
    embedder = StoppingEmbedder()
    impatient = replace(ingests, limits=IngestLimits(progress_after_s=0.0, progress_every_s=0.01))
    ingests.put(
        "docs/gauge.csv", "day,level\n" + "".join(f"{day},{day * 7} with a note\n" for day in range(1000, 1600))
    )

    steps: list[FileProgress] = []
    for event in ingest(impatient.request("docs"), ingests.settings, embedder):
        if isinstance(event, FileProgress) and event.chunks:
            steps.append(event)
            if event.embedded >= event.chunks // 2:
                embedder.seen.set()

    assert {(each.source, each.chunks) for each in steps} == {("docs/gauge.csv", steps[0].chunks)}
    assert any(0 < each.embedded < each.chunks for each in steps)
    assert [each.embedded for each in steps] == sorted(each.embedded for each in steps)


def test_no_progress_is_reported_within_a_small_file(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "text")
    ingests.run("docs")

    assert not any(isinstance(event, FileProgress) for event in ingests.events)


@pytest.mark.parametrize(
    ("quiet", "printed"), [(False, "... 3 of 9 passages of big.csv\n... 5 of 9 passages of big.csv\n"), (True, "")]
)
def test_piped_progress_is_one_line_every_few_seconds_unless_quiet(quiet: bool, printed: str) -> None:
    err, now = io.StringIO(), 0.0
    view = IngestView(err, quiet=quiet, plain=False, verbose=False, clock=lambda: now)

    for embedded in range(1, 7):
        now = embedded * SAY_EVERY_S * 0.4
        view.handle(FileProgress(source="big.csv", embedded=embedded, chunks=9))
    view.close()

    assert err.getvalue().replace("6 of 9", "5 of 9") == printed


def test_before_the_first_passage_a_terminal_shows_which_file_is_read() -> None:
    view = IngestView(io.StringIO(), quiet=False, plain=False, verbose=False, clock=lambda: 0.0)
    view.handle(IngestStarted(documents=3, collection="default", embedding="builtin"))
    rows = []

    for progress in (
        FileProgress(source="scan.pdf", embedded=0, chunks=0),
        FileProgress(source="third.pdf", embedded=0, chunks=0, files_read=2),
        FileProgress(source="scan.pdf", embedded=0, chunks=9, files_read=3),
        FileProgress(source="scan.pdf", embedded=4, chunks=9, passages=4, files_read=3),
    ):
        view.handle(progress)
        rows.append(view._row().plain)

    assert rows[:3] == [
        "reading file 1 of 3  scan.pdf",
        "reading file 3 of 3  third.pdf",
        "embedding the first passages",
    ]
    assert rows[3].startswith("ingesting 4 passages")


def test_json_lines_report_progress_at_most_once_per_second() -> None:
    out, now = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), 0.0
    lines = IngestLines(out, io.StringIO(), clock=lambda: now)

    for step in range(5):
        now = step * 0.4
        lines.handle(FileProgress(source="big.csv", embedded=step, chunks=9))

    assert isinstance(out.buffer, io.BytesIO)
    assert out.buffer.getvalue().decode().splitlines() == [
        f'{{"type":"progress","source":"big.csv","embedded":{step},"chunks":9,"passages":0}}' for step in (0, 3)
    ]


def test_the_rate_and_remaining_time_cover_the_last_thirty_seconds() -> None:
    now = 0.0
    rate = PassageRate(lambda: now)
    shown = {}

    for second in range(1, 101):
        now = float(second)
        rate.add(second * 10 if second <= 50 else 500 + (second - 50) * 2)
        shown[second] = rate.progress(second * 10 if second <= 50 else 500 + (second - 50) * 2, 1000)

    assert [shown[second] for second in (2, 50, 100)] == [
        "20 of about 1,000 passages",
        "500 of about 1,000 passages · 10/s · 50 s left",
        "600 of about 1,000 passages · 2.0/s · 3 min left",
    ]


def test_embedding_is_reported_before_the_store_is_opened_for_writing(
    ingests: Ingests, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[FileProgress] = []
    reported_before: list[int] = []
    prepare = CollectionWriter.prepare

    def observed(writer: CollectionWriter) -> None:
        reported_before.append(len(reported))
        prepare(writer)

    monkeypatch.setattr(CollectionWriter, "prepare", observed)
    embedder = StoppingEmbedder()
    impatient = replace(ingests, limits=IngestLimits(progress_after_s=0.0, progress_every_s=0.01))
    ingests.put("docs/gauge.csv", "day,level\n" + "".join(f"{day},{day * 7} with a note\n" for day in range(600)))
    for event in ingest(impatient.request("docs"), ingests.settings, embedder):
        if isinstance(event, FileProgress) and event.chunks:
            reported.append(event)
            if reported_before:
                embedder.seen.set()

    assert reported_before[0] > 0
