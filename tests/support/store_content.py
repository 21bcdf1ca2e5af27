"""All that an ingest leaves in a store but for times, row numbers and counters of changes: for comparing two stores.

What is left out, and why: `documents.read_at_ns` and `meta.last_ingest` are times; `documents.id`, `chunks.id` and
`chunks.document_id` number rows in the order of their writing; `meta.generation` counts writings, and
`meta.vector_files` and `meta.vector_stamps` are of Chroma's files, which differ from one writing to the next.
"""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from streamrag_cli.store.local import full_text
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.vectors import Vectors

_LEFT_OUT = {"read_at_ns", "id", "document_id"}
_META = ("schema_version", "embedding", "dimension")


def main(store: str, collection: str) -> None:
    """Say the content as JSON on stdout."""
    sys.stdout.write(json.dumps(content(Path(store), collection)))


def content(store: Path, collection: str) -> dict[str, Any]:
    layout = Layout(store, collection)
    current = layout.active_epoch()
    assert current is not None
    with closing(sqlite3.connect(layout.catalog(current.epoch))) as db:
        full_text.register(db)
        db.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)")
        said: dict[str, Any] = {
            "tables": sorted(name for (name,) in db.execute("SELECT name FROM sqlite_master")),
            "documents": _rows(db, "SELECT * FROM documents ORDER BY path"),
            "chunks": _rows(
                db,
                "SELECT path AS of, chunks.* FROM chunks JOIN documents ON documents.id = document_id"
                " ORDER BY chunk_id",
            ),
            "terms": _rows(db, "SELECT * FROM chunks_terms ORDER BY term"),
            "in doubt": _rows(db, "SELECT * FROM vectors_in_doubt"),
            "meta": _rows(db, f"SELECT * FROM meta WHERE key IN {_META} ORDER BY key"),
            "roots": [*_rows(db, "SELECT * FROM roots ORDER BY path"), *current.roots],
        }
        db.rollback()
    with closing(Vectors(layout.vectors(current.epoch), collection)) as vectors:
        got: Any = vectors._collection.get(include=["embeddings", "documents", "metadatas"])
        rows = zip(got["ids"], got["embeddings"], got["documents"], got["metadatas"], strict=True)
        said["vectors"] = sorted(
            [id_, [float(n) for n in vector], text, dict(meta)] for id_, vector, text, meta in rows
        )
        said["found by their own vector"] = [
            vectors.nearest(np.asarray(vector, dtype=np.float32), 1)[0][0] == id_
            for id_, vector in zip(got["ids"], got["embeddings"], strict=True)
        ]
    return said


def _rows(db: sqlite3.Connection, query: str) -> list[dict[str, Any]]:
    cursor = db.execute(query)
    names = [column[0] for column in cursor.description]
    return [{name: value for name, value in zip(names, row, strict=True) if name not in _LEFT_OUT} for row in cursor]
