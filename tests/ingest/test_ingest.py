"""Ingests of real files into a real store."""

import time
from email.message import EmailMessage

import pytest

from streamrag_cli.events import DocumentSeen, IngestStarted
from tests.support.fake_embedder import FakeEmbedder
from tests.support.fake_secrets import private_key
from tests.support.ingests import LONG_AGO_NS, Ingests


def test_an_ingest_reports_added_changed_deleted_and_unchanged_files(ingests: Ingests) -> None:
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


def test_the_first_event_reports_the_start_of_the_ingest(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/picture.png", b"\x89PNG")
    ingests.run("docs")

    assert ingests.events[0] == IngestStarted(
        documents=1, collection="default", embedding="fake", new_documents=1, passages=1
    )
    assert ingests.events[1:-1] == [
        DocumentSeen(
            source="docs/picture.png", action="skipped", reason="images can be read only with OCR", code="unsupported"
        ),
        DocumentSeen(source="docs/a.md", action="added", chunks=1),
    ]


def test_a_file_with_the_same_size_and_time_is_not_read(ingests: Ingests) -> None:
    ingests.put("a.md", "first")
    ingests.run("a.md")
    ingests.put("a.md", "FIRST")

    assert ingests.run("a.md") == {"a.md": "unchanged"}
    assert ingests.stored() == {"a.md": "first"}


def test_a_file_read_shortly_after_its_change_is_read_again(ingests: Ingests) -> None:
    just_now_ns = time.time_ns()
    ingests.put("a.md", "first", mtime_ns=just_now_ns)
    ingests.run("a.md")
    ingests.put("a.md", "FIRST", mtime_ns=just_now_ns)

    assert ingests.run("a.md") == {"a.md": "changed"}
    assert ingests.stored() == {"a.md": "FIRST"}


def test_a_touched_file_counts_as_unchanged_and_is_not_read_next_time(ingests: Ingests) -> None:
    ingests.put("a.md", "first")
    ingests.run("a.md")
    ingests.put("a.md", "first", mtime_ns=LONG_AGO_NS + 1)
    assert ingests.run("a.md") == {"a.md": "unchanged"}
    ingests.put("a.md", "FIRST", mtime_ns=LONG_AGO_NS + 1)

    assert ingests.run("a.md") == {"a.md": "unchanged"}
    assert ingests.stored() == {"a.md": "first"}


def test_unchanged_files_are_not_embedded(ingests: Ingests, embedder: FakeEmbedder) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    ingests.put("docs/b.md", "second")
    embedder.batches.clear()
    ingests.run("docs")

    assert embedder.batches == [["b\nsecond"]]


def test_only_the_new_chunks_of_a_changed_file_are_embedded(
    ingests: Ingests, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [f"# Part {number}\n\nPart {number}{' goes on' * 100}\n\n" for number in range(4)]
    ingests.put("a.md", "".join(parts))
    ingests.run("a.md")
    before = ingests.vectors()
    embedder.batches.clear()
    ingests.put("a.md", "".join([parts[0], f"# New\n\nThis is new{' and goes on' * 80}\n\n", *parts[1:]]))

    assert ingests.run("a.md") == {"a.md": "changed"}
    assert [[text.split("\n")[0] for text in batch] for batch in embedder.batches] == [["a > New"]]
    now = ingests.vectors()
    assert len(now) == 5
    assert [now[key] for key in before] == [pytest.approx(vector, abs=1e-6) for vector in before.values()]

    embedder.batches.clear()
    for module in ("documents.chunking", "ingest.compare"):
        monkeypatch.setattr(f"streamrag_cli.{module}.RECIPE", "another")
    assert ingests.run("a.md") == {"a.md": "changed"}
    assert len(embedder.batches[0]) == 5


def test_a_renamed_file_is_stored_under_its_new_name(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    (ingests.home / "docs/a.md").rename(ingests.home / "docs/b.md")

    assert ingests.run("docs") == {"docs/a.md": "deleted", "docs/b.md": "added"}
    assert ingests.stored() == {"docs/b.md": "first"}


def test_two_files_with_the_same_content_are_two_documents(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "the same")
    ingests.put("docs/b.md", "the same")
    ingests.run("docs")
    (ingests.home / "docs/a.md").unlink()
    ingests.run("docs")

    assert ingests.stored() == {"docs/b.md": "the same"}


def test_a_document_is_removed_if_its_file_becomes_binary(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/b.md", "second")
    ingests.run("docs")
    ingests.put("docs/a.md", b"\0\1\2\3\4\5")

    ingests.run("docs")
    events = [event for event in ingests.events if isinstance(event, DocumentSeen)]
    assert events == [
        DocumentSeen(source="docs/a.md", action="skipped", reason="the content is binary, not text", code="binary"),
        DocumentSeen(source="docs/b.md", action="unchanged"),
        DocumentSeen(source="docs/a.md", action="deleted"),
    ]
    assert ingests.stored() == {"docs/b.md": "second"}


def test_an_empty_file_is_added_with_a_note(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "")

    assert (ingests.run("docs"), ingests.reasons) == (
        {"docs/a.md": "added"},
        {"docs/a.md": "the document contains no text"},
    )
    assert ingests.run("docs") == {"docs/a.md": "unchanged"}


def test_a_dry_run_writes_nothing_at_all(ingests: Ingests, embedder: FakeEmbedder) -> None:
    ingests.put("docs/a.md", "first")

    assert ingests.run("docs", dry_run=True) == {"docs/a.md": "added"}
    assert (ingests.store.exists(), embedder.batches, ingests.done.dry_run) == (False, [], True)


def test_a_dry_run_reports_what_an_ingest_would_do(ingests: Ingests) -> None:
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


def test_a_file_without_a_title_is_embedded_with_its_name_and_folder(ingests: Ingests, embedder: FakeEmbedder) -> None:
    ingests.put("notes/Cakes/Plum cake.md", "Fifty minutes.")
    ingests.put("notes/Cakes/README.md", "All of them.")
    ingests.put("notes/Named.md", "# Bread\n\nAn hour.")
    ingests.run("notes")

    assert sorted(text for batch in embedder.batches for text in batch) == [
        "Bread\n# Bread\n\nAn hour.",
        "Cakes\nAll of them.",
        "Cakes/Plum cake\nFifty minutes.",
    ]


@pytest.mark.fault("shared-suffixes")
def test_a_file_with_a_numeric_suffix_is_read_if_it_is_a_manual_page(ingests: Ingests) -> None:
    ingests.put("docs/forge.1", ".TH FORGE 1\n.SH NAME\nforge\n")
    ingests.put("docs/forge.log.1", "a line\n")

    assert ingests.run("docs") == {"docs/forge.1": "added", "docs/forge.log.1": "skipped"}
    assert ingests.run("docs/forge.log.1") == {"docs/forge.log.1": "added"}


@pytest.mark.fault("shared-suffixes")
def test_asciidoc_files_with_the_suffix_asc_are_read_but_keys_are_not(ingests: Ingests) -> None:
    ingests.put("docs/page.asc", "== Heat\n\nHow hot.\n")
    ingests.put(
        "docs/key.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGV\n-----END PGP PRIVATE KEY BLOCK-----\n"
    )

    assert ingests.run("docs") == {"docs/key.asc": "skipped", "docs/page.asc": "added"}
    assert ingests.stored() == {"docs/page.asc": "## Heat\n\nHow hot."}


def test_mail_and_subtitles_in_a_folder_are_read(ingests: Ingests) -> None:
    ingests.put("docs/a.eml", "Subject: Tongs\nFrom: a@b.example\n\nThey come on Friday.\n")
    ingests.put("docs/a.srt", "1\n00:00:01,000 --> 00:00:02,000\nHeat it.\n")

    assert ingests.run("docs") == {"docs/a.eml": "added", "docs/a.srt": "added"}
    assert ingests.stored()["docs/a.srt"] == "Heat it."


def test_an_encoded_message_with_a_key_is_skipped(ingests: Ingests) -> None:
    message = EmailMessage()
    message["Subject"] = "The key"
    message.set_content(private_key(), cte="base64")
    ingests.put("docs/a.eml", message.as_bytes())

    assert ingests.run("docs") == {"docs/a.eml": "skipped"}
