"""Frees the disk space that deleted chunks still occupy.

SQLite keeps the pages that deleted rows occupied, and a full-text index keeps their words, so the catalog and Chroma's
database never shrink on their own. First their full-text indexes are merged, in small steps, so that readers wait only
briefly. Then both databases are rewritten. Both operations are atomic, even if the process is killed. Chroma's vector
index, about a seventh of a store, does not shrink; new vectors reuse the space left by deleted ones.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from streamrag_cli.errors import StreamragError
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.full_text import merge
from streamrag_cli.store.local.lock import exclusive

_MIN_DELETED: Final = 64
"""The minimum number of deleted chunks for a compaction. Fewer take up less than 1 MB."""
_REMAINING_PER_DELETED: Final = 3
_PAGES_PER_STEP: Final = 1000
_DELETED: Final = "dropped"


def count_deleted(catalog: Catalog, chunks: int) -> None:
    """Add `chunks` to the counter of deleted chunks. Must run inside the transaction that deletes them."""
    if chunks:
        catalog.set_meta(_DELETED, str(_deleted(catalog) + chunks))


def compact_if_worthwhile(catalog: Catalog, vectors: Path) -> None:
    """Compact if the number of deleted chunks is at least `_MIN_DELETED` and at least a third of the remaining chunks.

    If the compaction fails, the next ingest tries it again. No Chroma client may be open in this process.
    """
    deleted = _deleted(catalog)
    if deleted < _MIN_DELETED or deleted * _REMAINING_PER_DELETED < catalog.counts().chunks:
        return
    with suppress(StreamragError, sqlite3.Error):
        catalog.compact()
        _compact_chroma(vectors)
        catalog.set_meta(_DELETED, "0")


def _deleted(catalog: Catalog) -> int:
    value = catalog.meta(_DELETED) or ""
    return int(value) if value.isdecimal() else 0


def _compact_chroma(vectors: Path) -> None:
    file, lock = vectors / "chroma.sqlite3", vectors.with_name("vectors.lock")
    if not file.is_file():
        return
    uri = f"{file.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None)) as database:
        is_merged, pages = False, -_PAGES_PER_STEP  # a negative number starts a full merge
        while not is_merged:
            with exclusive(lock):
                is_merged = merge(database, "embedding_fulltext_search", pages)
            pages = _PAGES_PER_STEP
        with exclusive(lock):
            database.execute("VACUUM")
