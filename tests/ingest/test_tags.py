"""Document tags, including those of documents that an earlier version stored without tags."""

import sqlite3
from contextlib import closing

from streamrag_cli.model import DocumentRecord
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.registry import open_store
from tests.support.ingests import Ingests

NOTE = "---\ntags: [sea, harbour]\ndate: 2026-03-01\n---\n# Note\n\nThe buoy is red.\n"


def record(ingests: Ingests, name: str) -> DocumentRecord:
    with closing(open_store(ingests.settings.store).reader(ingests.settings.collection)) as reader:
        stored = reader.catalog.document(str(ingests.home / name))
    assert stored is not None
    return stored


def test_date_and_tags_of_front_matter_are_stored(ingests: Ingests) -> None:
    ingests.put("note.md", NOTE)
    ingests.put("plain.txt", "The buoy is green.\n")
    ingests.run("note.md", "plain.txt")

    assert (record(ingests, "note.md").tags, record(ingests, "note.md").date) == (("sea", "harbour"), "2026-03-01")
    assert (record(ingests, "plain.txt").tags, record(ingests, "plain.txt").date) == ((), "")


def test_the_next_ingest_reads_missing_tags_without_embedding_again(ingests: Ingests) -> None:
    ingests.put("note.md", NOTE)
    ingests.put("plain.txt", "The buoy is green.\n")
    ingests.run("note.md", "plain.txt")
    active = Layout(ingests.store, ingests.settings.collection).active_epoch()
    assert active is not None
    with closing(sqlite3.connect(Layout(ingests.store, ingests.settings.collection).catalog(active.epoch))) as database:
        database.execute("UPDATE documents SET tags = NULL, date = ''")
        database.commit()
    ingests.embedder.batches.clear()

    actions = ingests.run("note.md", "plain.txt")

    assert (actions, ingests.embedder.batches) == ({"note.md": "unchanged", "plain.txt": "unchanged"}, [])
    assert (record(ingests, "note.md").tags, record(ingests, "note.md").date) == (("sea", "harbour"), "2026-03-01")
    assert record(ingests, "plain.txt").tags is None
