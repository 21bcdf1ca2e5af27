"""A failure affects only the documents concerned; the store keeps the rest."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.events import Notice
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.ingest.pipeline import ingest
from tests.support.fake_embedder import FakeEmbedder, dies_at
from tests.support.ingests import Ingests


def test_a_file_that_cannot_be_read_keeps_its_stored_document(ingests: Ingests) -> None:
    ingests.put("docs/a.json", '{"name": "first"}')
    ingests.put("docs/b.md", "second")
    ingests.run("docs")
    before = ingests.stored()
    ingests.put("docs/a.json", b"x" * 1_000_001)
    ingests.put("docs/b.md", "second, changed")
    small = replace(ingests, settings=replace(ingests.settings, max_file_mb=1), events=[])

    assert small.run("docs") == {"docs/a.json": "failed", "docs/b.md": "changed"}
    assert small.done.counts["failed"] == 1
    assert small.reasons["docs/a.json"] == "the file is larger than 1 MB"
    assert small.stored() == before | {"docs/b.md": "second, changed"}


def test_an_empty_file_of_a_binary_format_is_reported_as_empty(ingests: Ingests) -> None:
    names = [f"docs/empty.{suffix}" for suffix in ("pdf", "docx", "xlsx", "odt", "ipynb", "eml", "rtf")]
    for name in [*names, "docs/empty.md"]:
        ingests.put(name, "")

    assert ingests.run("docs") == dict.fromkeys(names, "failed") | {"docs/empty.md": "added"}
    assert {ingests.reasons[name] for name in names} == {"the file is empty"}


def test_an_unreadable_directory_removes_no_documents(ingests: Ingests, monkeypatch: pytest.MonkeyPatch) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/deep/b.md", "second")
    ingests.run("docs")
    scan = os.scandir

    def refuse(directory: int | Path) -> object:
        if isinstance(directory, int) and os.path.samestat(os.fstat(directory), (ingests.home / "docs/deep").stat()):
            raise PermissionError(13, "Permission denied")
        return scan(directory)

    monkeypatch.setattr(os, "scandir", refuse)  # root can read everything, so file modes have no effect

    assert ingests.run("docs") == {"docs/a.md": "unchanged", "docs/deep": "failed"}
    assert ingests.stored() == {"docs/a.md": "first", "docs/deep/b.md": "second"}


@pytest.mark.parametrize("file", ["*/catalog.sqlite3", "*/vectors/chroma.sqlite3"])
def test_the_command_in_the_hint_rebuilds_a_damaged_collection(ingests: Ingests, file: str) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    [damaged] = (ingests.store / "collections/default").glob(file)
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


def test_a_rebuild_keeps_the_old_collection_if_the_embedder_fails(
    ingests: Ingests,
) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    replace(ingests, embedder=FakeEmbedder(before_batch=dies_at(1))).run(rebuild=True)

    assert ingests.error.exit_code == 4
    assert ingests.stored() == {"docs/a.md": "first"}


@pytest.mark.fault("embedding-service-dies")
def test_the_next_ingest_continues_after_the_embedder_failed(
    in_pairs: Ingests,
) -> None:
    ingests, revived = in_pairs, FakeEmbedder()
    names = [f"docs/{number}.md" for number in range(7)]
    for name in names:
        ingests.put(name, f"text of {name}")

    dying = replace(ingests, embedder=FakeEmbedder(before_batch=dies_at(3)))
    assert dying.run("docs") == dict.fromkeys(names[:4], "added")
    assert (ingests.error.code, ingests.error.exit_code) == ("model_unreachable", 4)
    assert set(ingests.stored()) == set(names[:4])
    assert replace(ingests, embedder=revived).run("docs") == dict.fromkeys(names[:4], "unchanged") | dict.fromkeys(
        names[4:], "added"
    )
    assert [len(batch) for batch in revived.batches] == [2, 1]
    assert ingests.stored() == {name: f"text of {name}" for name in names}


def test_a_cancelled_ingest_keeps_the_documents_it_reported(
    ingests: Ingests,
) -> None:
    one_by_one = replace(ingests, limits=IngestLimits(batch_chunks=1))
    for number in range(4):
        ingests.put(f"docs/{number}.md", f"text {number}")
    events = ingest(one_by_one.request("docs"), ingests.settings, ingests.embedder)
    reported = [event for _, event in zip(range(3), events, strict=False)][1:]
    events.close()

    assert {event.source for event in reported} <= ingests.stored().keys()  # type: ignore[union-attr]
    ingests.run("docs")
    assert not [event for event in ingests.events if isinstance(event, Notice)]
    assert len(ingests.stored()) == 4


def test_vectors_of_another_dimension_are_rejected_for_a_changed_file(
    ingests: Ingests,
) -> None:
    parts = [f"# Part {number}\n\nPart {number}{' goes on' * 100}\n\n" for number in range(3)]
    ingests.put("a.md", "".join(parts[:2]))
    ingests.run("a.md")
    ingests.put("a.md", "".join(parts))
    replace(ingests, embedder=FakeEmbedder(dimension=8)).run("a.md")

    assert ingests.error.code == "another_embedding"
    assert "has vectors with 16 dimensions, but the embedder returned 8" in ingests.error.message


def test_a_rebuild_includes_the_paths_of_an_interrupted_ingest(
    ingests: Ingests,
) -> None:
    ingests.put("a/one.md", "first")
    ingests.run("a")
    for name in ("two", "three"):
        ingests.put(f"b/{name}.md", f"text {name}")
    failing = FakeEmbedder(before_batch=dies_at(2))
    replace(ingests, embedder=failing, limits=IngestLimits(batch_chunks=1)).run("b")
    assert ingests.error.code == "model_unreachable"
    stored = ingests.stored()
    ingests.run(rebuild=True)

    assert len(stored) == 2
    assert ingests.stored() == {"a/one.md": "first", "b/three.md": "text three", "b/two.md": "text two"}
