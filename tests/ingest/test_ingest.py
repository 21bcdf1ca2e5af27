"""The ingest pipeline over real files and a real store."""

import os
import time
import tracemalloc
from collections import Counter, deque
from pathlib import Path

import pytest

from streamrag_cli.events import DocumentSeen, IngestStarted, Notice
from streamrag_cli.ingest import pipeline, sinks
from tests.fake_embedder import FakeEmbedder, dies_at
from tests.ingest.ingests import LONG_AGO_NS, Ingests


def test_files_are_added_changed_deleted_and_left_alone(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/b.md", "second")
    ingests.put("docs/c.md", "third")
    assert ingests.run("docs") == {"docs/a.md": "added", "docs/b.md": "added", "docs/c.md": "added"}

    ingests.put("docs/b.md", "second, changed")
    (ingests.home / "docs/c.md").unlink()
    ingests.put("docs/d.md", "fourth")

    assert ingests.run("docs") == {
        "docs/a.md": "unchanged",
        "docs/b.md": "changed",
        "docs/c.md": "deleted",
        "docs/d.md": "added",
    }
    assert ingests.stored() == {"docs/a.md": "first", "docs/b.md": "second, changed", "docs/d.md": "fourth"}
    assert (ingests.done.counts, ingests.done.chunks, ingests.done.chunks_written) == (
        {"added": 1, "changed": 1, "unchanged": 1, "deleted": 1, "skipped": 0, "failed": 0},
        3,
        2,
    )


def test_it_says_what_it_begins_before_anything_else(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/picture.png", b"\x89PNG")
    ingests.run("docs")

    assert ingests.events[0] == IngestStarted(documents=1, collection="default", embedding="fake")
    assert ingests.events[1:-1] == [
        DocumentSeen(source="docs/picture.png", action="skipped", reason="unsupported format"),
        DocumentSeen(source="docs/a.md", action="added", chunks=1),
    ]


def test_a_file_whose_size_and_time_are_the_same_is_not_read(ingests: Ingests) -> None:
    ingests.put("a.md", "first")
    ingests.run("a.md")
    ingests.put("a.md", "FIRST")

    assert ingests.run("a.md") == {"a.md": "unchanged"}
    assert ingests.stored() == {"a.md": "first"}


def test_a_file_that_was_young_when_it_was_read_is_read_again(ingests: Ingests) -> None:
    just_now_ns = time.time_ns()
    ingests.put("a.md", "first", mtime_ns=just_now_ns)
    ingests.run("a.md")
    ingests.put("a.md", "FIRST", mtime_ns=just_now_ns)

    assert ingests.run("a.md") == {"a.md": "changed"}
    assert ingests.stored() == {"a.md": "FIRST"}


def test_a_file_that_was_only_touched_is_unchanged_and_next_time_not_read(ingests: Ingests) -> None:
    ingests.put("a.md", "first")
    ingests.run("a.md")
    ingests.put("a.md", "first", mtime_ns=LONG_AGO_NS + 1)
    assert ingests.run("a.md") == {"a.md": "unchanged"}
    ingests.put("a.md", "FIRST", mtime_ns=LONG_AGO_NS + 1)

    assert ingests.run("a.md") == {"a.md": "unchanged"}
    assert ingests.stored() == {"a.md": "first"}


def test_unchanged_files_cost_no_embedding(ingests: Ingests, embedder: FakeEmbedder) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    ingests.put("docs/b.md", "second")
    embedder.batches.clear()
    ingests.run("docs")

    assert embedder.batches == [["second"]]


def test_a_renamed_file_moves(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    (ingests.home / "docs/a.md").rename(ingests.home / "docs/b.md")

    assert ingests.run("docs") == {"docs/a.md": "deleted", "docs/b.md": "added"}
    assert ingests.stored() == {"docs/b.md": "first"}


def test_two_files_of_the_same_content_are_two_documents(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "the same")
    ingests.put("docs/b.md", "the same")
    ingests.run("docs")
    (ingests.home / "docs/a.md").unlink()
    ingests.run("docs")

    assert ingests.stored() == {"docs/b.md": "the same"}


def test_a_file_that_became_binary_is_skipped_and_its_text_dropped(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/b.md", "second")
    ingests.run("docs")
    ingests.put("docs/a.md", b"\0\1\2\3\4\5")

    ingests.run("docs")
    events = [event for event in ingests.events if isinstance(event, DocumentSeen)]
    assert events == [
        DocumentSeen(source="docs/a.md", action="skipped", reason="binary, not text"),
        DocumentSeen(source="docs/b.md", action="unchanged"),
        DocumentSeen(source="docs/a.md", action="deleted"),
    ]
    assert ingests.stored() == {"docs/b.md": "second"}


def test_a_file_that_fails_keeps_what_the_store_has_of_it(ingests: Ingests) -> None:
    ingests.put("docs/a.json", '{"name": "first"}')
    ingests.put("docs/b.md", "second")
    ingests.run("docs")
    before = ingests.stored()
    ingests.put("docs/a.json", b"x" * 1_000_001)
    ingests.put("docs/b.md", "second, changed")
    small = Ingests(ingests.home, ingests.settings.__class__(store=ingests.settings.store, max_file_mb=1))

    assert small.run("docs") == {"docs/a.json": "failed", "docs/b.md": "changed"}
    assert small.done.counts["failed"] == 1
    assert "larger than" in small.reasons["docs/a.json"]
    assert small.stored() == before | {"docs/b.md": "second, changed"}


def test_an_empty_file_is_added_with_a_remark(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "")

    assert (ingests.run("docs"), ingests.reasons) == ({"docs/a.md": "added"}, {"docs/a.md": "no text in it"})
    assert ingests.run("docs") == {"docs/a.md": "unchanged"}


def test_a_directory_that_cannot_be_read_drops_nothing(ingests: Ingests, monkeypatch: pytest.MonkeyPatch) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/deep/b.md", "second")
    ingests.run("docs")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything, so no mode will do

    assert ingests.run("docs") == {"docs/a.md": "unchanged", "docs/deep": "failed"}
    assert ingests.stored() == {"docs/a.md": "first", "docs/deep/b.md": "second"}


@pytest.mark.parametrize("paths", [("docs", "docs/deep"), ("docs/deep", "docs"), ("docs", "docs/../docs/deep/b.md")])
def test_a_file_under_two_of_the_paths_is_ingested_once(ingests: Ingests, paths: tuple[str, ...]) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/deep/b.md", "second")

    assert ingests.run(*paths) == {"docs/a.md": "added", "docs/deep/b.md": "added"}
    assert (ingests.done.counts["added"], ingests.done.chunks) == (2, 2)
    assert ingests.run("docs/deep") == {"docs/deep/b.md": "unchanged"}
    assert ingests.stored() == {"docs/a.md": "first", "docs/deep/b.md": "second"}


def test_documents_outside_the_path_are_left_alone(ingests: Ingests) -> None:
    ingests.put("one/a.md", "first")
    ingests.put("one-more/b.md", "second")
    ingests.run("one", "one-more")
    (ingests.home / "one/a.md").unlink()
    (ingests.home / "one-more/b.md").unlink()

    assert ingests.run("one") == {"one/a.md": "deleted"}
    assert ingests.stored() == {"one-more/b.md": "second"}


def test_names_are_shown_from_the_working_directory_else_from_the_folder(ingests: Ingests, tmp_path: Path) -> None:
    ingests.put("a.md", "first")
    ingests.put("../elsewhere/deep/b.md", "second")

    assert ingests.run("a.md", str(tmp_path / "elsewhere")) == {"a.md": "added", "elsewhere/deep/b.md": "added"}


def test_a_name_is_renewed_when_the_working_directory_is_another(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    elsewhere = Ingests(ingests.home / "docs", ingests.settings)

    assert elsewhere.run(".") == {"a.md": "unchanged"}
    assert elsewhere.stored() == {"a.md": "first"}


def test_what_is_removed_is_gone_until_it_is_ingested_again(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/deep/b.md", "second")
    ingests.put("other/c.md", "third")
    ingests.run("docs", "other")

    assert ingests.remove("docs/deep", "other") == {"docs/deep/b.md": "deleted", "other/c.md": "deleted"}
    assert (ingests.done.counts["deleted"], ingests.done.chunks) == (2, 1)
    assert ingests.stored() == {"docs/a.md": "first"}
    ingests.run(rebuild=True)
    assert ingests.stored() == {"docs/a.md": "first", "docs/deep/b.md": "second"}


def test_removing_what_was_never_ingested_is_a_usage_error(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.remove("docs")
    assert (ingests.error.code, ingests.error.exit_code) == ("store_missing", 5)
    ingests.run("docs")
    ingests.remove("elsewhere")

    assert (ingests.error.code, ingests.error.exit_code) == ("not_ingested", 2)
    assert ingests.stored() == {"docs/a.md": "first"}


def test_a_dry_run_writes_nothing_at_all(ingests: Ingests, embedder: FakeEmbedder) -> None:
    ingests.put("docs/a.md", "first")

    assert ingests.run("docs", dry_run=True) == {"docs/a.md": "added"}
    assert (ingests.settings.store.exists(), embedder.batches, ingests.done.dry_run) == (False, [], True)


def test_a_dry_run_says_what_a_run_would_do(ingests: Ingests) -> None:
    for name in ("a.md", "b.md", "c.md"):
        ingests.put(f"docs/{name}", name)
    ingests.run("docs")
    before = ingests.stored()
    ingests.put("docs/a.md", "changed")
    (ingests.home / "docs/b.md").unlink()
    ingests.put("docs/d.md", "fourth")

    would = ingests.run("docs", dry_run=True)
    assert ingests.stored() == before
    assert would == ingests.run("docs")


def test_a_rebuild_without_paths_takes_those_ingested_before(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("more/b.md", "second")
    ingests.put("never/c.md", "third")
    ingests.run("docs")
    ingests.run("more")

    assert ingests.run(rebuild=True) == {"docs/a.md": "added", "more/b.md": "added"}
    assert ingests.stored() == {"docs/a.md": "first", "more/b.md": "second"}


def test_a_rebuild_says_which_of_the_paths_ingested_before_is_gone(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    gone = ingests.put("more/b.md", "second")
    ingests.run("docs")
    ingests.run("more")
    gone.unlink()
    gone.parent.rmdir()

    assert ingests.run(rebuild=True) == {"docs/a.md": "added"}
    assert [event.code for event in ingests.events if isinstance(event, Notice)] == ["root_gone"]


@pytest.mark.parametrize("file", ["*/catalog.sqlite3", "*/vectors/chroma.sqlite3"])
def test_a_damaged_collection_is_made_anew_by_the_command_that_the_error_names(ingests: Ingests, file: str) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    [damaged] = (ingests.settings.store / "collections/default").glob(file)
    damaged.write_bytes(b"")
    ingests.put("docs/b.md", "second")

    ingests.run("docs")
    assert (ingests.error.code, ingests.error.exit_code, ingests.error.hint) == (
        "store_damaged",
        5,
        "streamrag ingest --rebuild",
    )
    ingests.run(rebuild=True)
    assert ingests.stored() == {"docs/a.md": "first", "docs/b.md": "second"}


def test_without_a_path_and_without_a_rebuild_there_is_nothing_to_do(ingests: Ingests) -> None:
    ingests.run()
    assert (ingests.error.code, ingests.error.exit_code) == ("no_path", 2)
    ingests.run(rebuild=True)
    assert (ingests.error.code, ingests.error.exit_code) == ("no_path", 2)


def test_a_rebuild_in_which_the_embedding_service_dies_leaves_the_former_collection(
    ingests: Ingests, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    monkeypatch.setattr(pipeline, "embedder_for", lambda *_, **__: FakeEmbedder(before_batch=dies_at(1)))
    ingests.run(rebuild=True)

    assert ingests.error.exit_code == 4
    assert ingests.stored() == {"docs/a.md": "first"}


def test_when_the_embedding_service_dies_earlier_files_stay_and_the_next_run_goes_on(
    ingests: Ingests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "BATCH_CHUNKS", 2)
    names = [f"docs/{number}.md" for number in range(7)]
    for name in names:
        ingests.put(name, f"text of {name}")
    monkeypatch.setattr(pipeline, "embedder_for", lambda *_, **__: FakeEmbedder(before_batch=dies_at(3)))

    assert ingests.run("docs") == dict.fromkeys(names[:4], "added")
    assert (ingests.error.code, ingests.error.exit_code) == ("model_unreachable", 4)
    assert set(ingests.stored()) == set(names[:4])
    revived = FakeEmbedder()
    monkeypatch.setattr(pipeline, "embedder_for", lambda *_, **__: revived)
    assert ingests.run("docs") == dict.fromkeys(names[:4], "unchanged") | dict.fromkeys(names[4:], "added")
    assert [len(batch) for batch in revived.batches] == [2, 1]
    assert ingests.stored() == {name: f"text of {name}" for name in names}


def test_an_ingest_that_is_broken_off_keeps_what_it_had_reported(
    ingests: Ingests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "BATCH_CHUNKS", 1)
    for number in range(4):
        ingests.put(f"docs/{number}.md", f"text {number}")
    request = pipeline.IngestRequest(paths=(Path("docs"),), working_directory=ingests.home)
    events = pipeline.ingest(request, ingests.settings)
    reported = [event for _, event in zip(range(3), events, strict=False)][1:]
    events.close()  # type: ignore[attr-defined]

    assert ingests.stored() == {event.source: f"text {number}" for number, event in enumerate(reported)}  # type: ignore[union-attr]
    ingests.run("docs")
    assert not [event for event in ingests.events if isinstance(event, Notice)]
    assert len(ingests.stored()) == 4


def test_names_that_could_command_a_terminal_are_made_safe(ingests: Ingests) -> None:
    ingests.put("docs/a\x1b[31m\nb.md", "first")

    assert ingests.run("docs") == {"docs/a\N{REPLACEMENT CHARACTER}[31m b.md": "added"}
    assert ingests.run("docs") == {"docs/a\N{REPLACEMENT CHARACTER}[31m b.md": "unchanged"}


def test_a_name_that_is_not_utf_8_costs_at_most_that_file(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    name = os.fsdecode(b"docs/\xff.md")
    ingests.put(name, "second")

    told = ingests.run("docs")
    assert told["docs/a.md"] == "added"
    assert ingests.done.counts["added"] + ingests.done.counts["failed"] == 2


def test_of_files_that_are_done_only_the_names_stay_in_memory(
    ingests: Ingests, monkeypatch: pytest.MonkeyPatch, embedder: FakeEmbedder
) -> None:
    monkeypatch.setattr(sinks, "BATCH_CHUNKS", 20)
    monkeypatch.setattr(embedder, "batches", deque(maxlen=0))
    file_chars = 5000

    def peak_bytes(count: int) -> int:
        for number in range(count):
            ingests.put(f"{count}/{number}.md", f"{number} ".ljust(file_chars, "x"))
        request = pipeline.IngestRequest(paths=(Path(str(count)),), working_directory=ingests.home)
        tracemalloc.start()
        actions = Counter(
            event.action for event in pipeline.ingest(request, ingests.settings) if isinstance(event, DocumentSeen)
        )
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert actions == {"added": count}
        return peak

    peak_bytes(10)  # imports
    assert (peak_bytes(220) - peak_bytes(70)) / 150 < file_chars / 5
