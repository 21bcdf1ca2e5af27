"""Integrity checks of a catalog and of a Chroma collection. Only `integrity.py` uses this module."""

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from streamrag_cli.counting import counted_noun
from streamrag_cli.errors import StoreError
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.full_text import register
from streamrag_cli.store.local.lock import exclusive
from streamrag_cli.store.local.vector_fingerprints import changed_vectors
from streamrag_cli.store.local.vectors import Vectors
from streamrag_cli.store.rows import EVERYTHING
from streamrag_cli.system_errors import cannot_open

SAME_DIRECTION: Final = 0.999
"""A search result with at least this cosine counts as the vector that was searched for."""
NEARLY_SAME: Final = 0.99
"""A search for one of many near-identical texts may find only the others, even in an intact index. They have at least
this cosine."""
NEIGHBOURS: Final = 10
_AT_A_TIME: Final = 100
_MAX_MESSAGES: Final = 3


class CatalogChecks(Catalog):
    """An open catalog with checks for damage."""

    def problems(self) -> Iterator[str]:
        """Yield a clause for each problem in the catalog.

        FTS5 can check its index only in a writable database. The check uses a private copy, so writers do not have to
        wait.
        """
        with self._lock, self._translate_errors(), closing(sqlite3.connect("")) as copy:
            self._db.backup(copy)
            register(copy)
            messages = [line for (line,) in copy.execute(f"PRAGMA integrity_check({_MAX_MESSAGES})")]
            if messages != ["ok"]:
                yield f"the catalog is damaged: {messages[0]}"
            if orphans := copy.execute("PRAGMA foreign_key_check").fetchall():
                yield counted_noun(len(orphans), "passage belongs to no document", "passages belong to no document")
            try:
                copy.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)")
            except sqlite3.DatabaseError as error:
                yield f"the full-text index does not match the passages: {error}"

    def unreadable(self, chunk_ids: Iterable[str], sample: Sequence[str]) -> Iterator[str]:
        """Yield a clause if a chunk, document, root or sampled token state is unreadable or has changed."""
        ids = list(chunk_ids)
        try:
            for start in range(0, len(ids), _AT_A_TIME):
                self.chunks(ids[start : start + _AT_A_TIME])
            for start in range(0, len(sample), _AT_A_TIME):
                self.token_states(sample[start : start + _AT_A_TIME])
            self.roots()
            deque(self.documents_under(EVERYTHING), maxlen=0)
        except StoreError as error:
            yield error.message


class VectorChecks(Vectors):
    """An open Chroma collection with checks for damage."""

    def changed(self, ids: Sequence[str], expected: Mapping[str, object]) -> list[str]:
        """The ids of the chunks whose vectors do not match their fingerprints."""
        changed: list[str] = []
        self.get(ids, lambda read_ids, vectors: changed.extend(changed_vectors(read_ids, vectors, expected)))
        return changed

    def unfound(self, ids: Sequence[str], *, dimension: int | None) -> set[str]:
        """The ids of the chunks that are not among the `NEIGHBOURS` nearest results of a search with their own vector.

        A chunk also counts as found if all results are almost identical to it. If `dimension` is not the dimension of
        the index, no chunk is found.
        """
        lost: set[str] = set()
        for start in range(0, len(ids), _AT_A_TIME):
            lost |= self._unfound(ids[start : start + _AT_A_TIME], dimension)
        return lost

    def _unfound(self, ids: Sequence[str], dimension: int | None) -> set[str]:
        with self._translate_errors():
            stored = self._collection.get(ids=list(ids), include=["embeddings"])
            vectors = np.asarray(stored["embeddings"], dtype=np.float32)
            if not len(vectors) or vectors.ndim != 2 or (dimension and vectors.shape[1] != dimension):
                return set(ids)
            result = self._collection.query(
                query_embeddings=vectors,
                n_results=max(1, min(NEIGHBOURS, self._loaded)),
                include=["distances"],
            )
        lost = set(ids).difference(stored["ids"])
        for own, near, distances in zip(stored["ids"], result["ids"], result["distances"] or [], strict=True):
            only_copies = len(near) == NEIGHBOURS and 1.0 - max(distances) >= NEARLY_SAME
            is_found = own in near and 1.0 - distances[near.index(own)] >= SAME_DIRECTION
            if not is_found and not only_copies:
                lost.add(own)
        return lost


def database_problem(directory: Path) -> str:
    """Check Chroma's database with SQLite, without opening Chroma. Return the problem, or "" if there is none."""
    file = directory / "chroma.sqlite3"
    if refused := cannot_open(file, directory):
        raise refused
    if not file.is_file():
        return ""
    uri = f"{file.absolute().as_uri()}?mode=ro"
    try:
        # Other processes may change the database when they open Chroma. This lock prevents that.
        with exclusive(directory.with_name("vectors.lock")), closing(sqlite3.connect(uri, uri=True)) as database:
            (message,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        message = str(error)
    return "" if message == "ok" else f"the database {file} is damaged: {message}"
