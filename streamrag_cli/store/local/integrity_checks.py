"""A catalog and a Chroma collection that answer what only an inspection asks of them."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from streamrag_cli.errors import StoreError
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.full_text import register
from streamrag_cli.store.local.lock import exclusive
from streamrag_cli.store.local.vectors import Vectors
from streamrag_cli.system_errors import cannot_open

SAME_DIRECTION: Final = 0.999
"""The cosine from which a vector that was found counts as the one that was looked for."""
NEARLY_SAME: Final = 0.99
"""Among many texts that are all but copies an approximate index passes some over, sound as it is; others are found."""
NEIGHBOURS: Final = 10
_AT_A_TIME: Final = 100
_COMPLAINTS: Final = 3


class CatalogChecks(Catalog):
    """An open catalog that can look for damage in itself."""

    def problems(self) -> Iterator[str]:
        """Clauses that say what is wrong; none where the catalog is sound.

        FTS5 checks its index only for one who may write. So it does it in a private copy, and no writer has to wait.
        """
        with self._lock, self._translated(), closing(sqlite3.connect("")) as copy:
            self._db.backup(copy)
            register(copy)
            said = [line for (line,) in copy.execute(f"PRAGMA integrity_check({_COMPLAINTS})")]
            if said != ["ok"]:
                yield f"its catalog is damaged: {said[0]}"
            if orphans := copy.execute("PRAGMA foreign_key_check").fetchall():
                yield f"{len(orphans):,} chunks belong to no document"
            try:
                copy.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)")
            except sqlite3.DatabaseError as error:
                yield f"its full-text index does not match its chunks: {error}"

    def unreadable(self, chunk_ids: Iterable[str]) -> Iterator[str]:
        """A clause where a chunk cannot be read as it was written."""
        wanted = list(chunk_ids)
        try:
            for start in range(0, len(wanted), _AT_A_TIME):
                self.chunks(wanted[start : start + _AT_A_TIME])
        except StoreError as error:
            yield error.message


class VectorChecks(Vectors):
    """An open Chroma collection, searched for what it holds."""

    def unfound(self, ids: Sequence[str], *, dimension: int | None) -> set[str]:
        """Which of these a search with their own vector does not have among its nearest `NEIGHBOURS`.

        A chunk counts as found, too, where all of those are all but copies of it. A vector of another dimension finds
        nothing.
        """
        lost: set[str] = set()
        for start in range(0, len(ids), _AT_A_TIME):
            lost |= self._unfound(ids[start : start + _AT_A_TIME], dimension)
        return lost

    def _unfound(self, ids: Sequence[str], dimension: int | None) -> set[str]:
        with self._translated():
            stored = self._collection.get(ids=list(ids), include=["embeddings"])
            vectors = np.asarray(stored["embeddings"], dtype=np.float32)
            if not len(vectors) or vectors.ndim != 2 or (dimension and vectors.shape[1] != dimension):
                return set(ids)
            found = self._collection.query(
                query_embeddings=vectors,
                n_results=max(1, min(NEIGHBOURS, self._loaded)),
                include=["distances"],
            )
        lost = set(ids).difference(stored["ids"])
        for own, near, distances in zip(stored["ids"], found["ids"], found["distances"] or [], strict=True):
            crowded = len(near) == NEIGHBOURS and 1.0 - max(distances) >= NEARLY_SAME
            there = own in near and 1.0 - distances[near.index(own)] >= SAME_DIRECTION
            if not there and not crowded:
                lost.add(own)
        return lost


def database_problem(directory: Path) -> str:
    """What SQLite finds wrong with Chroma's database, "" where it is sound or missing. Chroma is not opened."""
    file = directory / "chroma.sqlite3"
    if refused := cannot_open(file, directory):
        raise refused
    if not file.is_file():
        return ""
    uri = f"{file.absolute().as_uri()}?mode=ro"
    try:
        # The lock that all hold who open Chroma: it may change its database when it is opened.
        with exclusive(directory.with_name("vectors.lock")), closing(sqlite3.connect(uri, uri=True)) as database:
            (said,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        said = str(error)
    return "" if said == "ok" else f"the database {file} is damaged: {said}"
