"""Gives back the disk space of what was deleted.

SQLite keeps the pages of deleted rows, and a full-text index keeps the words: both databases stay as large as they ever
were. Their indexes are merged in small steps, so that no reader waits for long, and then each is rewritten; SQLite does
either as a whole or not at all, also under `kill -9`. Chroma's index of vectors, about a seventh of a store, keeps its
size, and what is added later takes the place of what was deleted.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from streamrag_cli.errors import StreamragError
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.full_text import merge
from streamrag_cli.store.local.lock import exclusive

_FEWEST: Final = 64
"""So many deleted chunks take less than a megabyte."""
_SHARE: Final = 3
_PAGES_AT_A_TIME: Final = 1000
_DROPPED: Final = "dropped"


def count_deleted(catalog: Catalog, chunks: int) -> None:
    """Count chunks that were deleted, inside the transaction that deletes them."""
    if chunks:
        catalog.set_meta(_DROPPED, str(_dropped(catalog) + chunks))


def compact_if_worthwhile(catalog: Catalog, vectors: Path) -> None:
    """Compact once as many chunks were deleted as make a third of those left. What fails is left for the next time.

    No client of Chroma may be open in this process.
    """
    dropped = _dropped(catalog)
    if dropped < _FEWEST or dropped * _SHARE < catalog.counts().chunks:
        return
    with suppress(StreamragError, sqlite3.Error):
        catalog.compact()
        _compact_chroma(vectors)
        catalog.set_meta(_DROPPED, "0")


def _dropped(catalog: Catalog) -> int:
    found = catalog.meta(_DROPPED) or ""
    return int(found) if found.isdecimal() else 0


def _compact_chroma(vectors: Path) -> None:
    file, lock = vectors / "chroma.sqlite3", vectors.with_name("vectors.lock")
    if not file.is_file():
        return
    uri = f"{file.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None)) as database:
        is_merged, pages = False, -_PAGES_AT_A_TIME  # a negative number begins a merge of everything
        while not is_merged:
            with exclusive(lock):
                is_merged = merge(database, "embedding_fulltext_search", pages)
            pages = _PAGES_AT_A_TIME
        with exclusive(lock):
            database.execute("VACUUM")
