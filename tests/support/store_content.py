"""The content of a store without times, row numbers and change counters, for comparing two stores.

Excluded are `documents.read_at_ns` and `meta.last_ingest`, which are times; `documents.id`, `chunks.id` and
`chunks.document_id`, which depend on the order of writes; `meta.generation`, which counts writes; and
`meta.vector_files` and `meta.vector_stamps`, which describe Chroma's files and differ after every write.
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

_EXCLUDED = {"read_at_ns", "id", "document_id"}
_META = ("schema_version", "embedding", "dimension")


def main(store: str, collection: str) -> None:
    """Print the content as JSON."""
    sys.stdout.write(json.dumps(content(Path(store), collection)))


def content(store: Path, collection: str) -> dict[str, Any]:
    layout = Layout(store, collection)
    current = layout.active_epoch()
    assert current is not None
    with closing(sqlite3.connect(layout.catalog(current.epoch))) as db:
        full_text.register(db)
        db.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)")
        values: dict[str, Any] = {
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
        stored: Any = vectors._collection.get(include=["embeddings", "documents", "metadatas"])
        rows = zip(stored["ids"], stored["embeddings"], stored["documents"], stored["metadatas"], strict=True)
        values["vectors"] = sorted(
            [id_, [float(n) for n in vector], text, dict(meta)] for id_, vector, text, meta in rows
        )
        values["found by their own vector"] = [
            vectors.nearest(np.asarray(vector, dtype=np.float32), 1)[0][0] == id_
            for id_, vector in zip(stored["ids"], stored["embeddings"], strict=True)
        ]
    return values


def _rows(db: sqlite3.Connection, query: str) -> list[dict[str, Any]]:
    cursor = db.execute(query)
    names = [column[0] for column in cursor.description]
    return [{name: value for name, value in zip(names, row, strict=True) if name not in _EXCLUDED} for row in cursor]
