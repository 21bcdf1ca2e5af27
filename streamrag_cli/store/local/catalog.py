"""The catalog: one SQLite file that says what a collection holds. It is the truth; Chroma follows it.

A chunk is in the collection if and only if its row is here. Every change of a batch of documents is one
transaction and raises the generation by one, so a reader can tell that something is new.
"""

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final
from zlib import crc32

from streamrag_cli.errors import StoreError, StreamragError
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.interface import Counts, ScoredIds, StoredChunk, busy, damaged
from streamrag_cli.store.local.full_text import create_index, merged, register, statements, upgrade_index
from streamrag_cli.store.local.lock import not_writable
from streamrag_cli.store.local.private_copy import PrivateCopy, Stamp, copied_database, may_write, stamp_of
from streamrag_cli.store.rows import (
    CHUNK_COLUMNS,
    RECORD_COLUMNS,
    chunk_of,
    chunk_row,
    in_pages,
    range_below,
    record_of,
    record_row,
)
from streamrag_cli.store.time_limit import TimeLimit
from streamrag_cli.system_errors import cannot_open, out_of_memory, refusal

SCHEMA_VERSION: Final = "4"
_UPGRADED: Final = frozenset({"2", "3"})
"""Without languages and token states, and 2 without Chinese words: a writer upgrades them, a reader reads them."""
_SCHEMA: Final = Path(__file__).with_name("schema.sql")
_UNOPENED: Final = ("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_READONLY")
_UNWRITTEN: Final = ("SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM")
_AT_A_TIME: Final = 500  # below SQLite's limit on the variables of one statement
_MERGED_PAGES: Final = 1000
_STEPS_BETWEEN_CHECKS: Final = 2000  # of SQLite's virtual machine: about a millisecond, and ten of a costly search


class Catalog:
    """One open catalog. Safe to share between threads; one statement runs at a time.

    Raises StoreError `store_damaged` where the file is not a sound catalog. `create` makes a new one, to write to.
    """

    def __init__(self, file: Path, *, write: bool = False, create: bool = False) -> None:
        self._file = file
        self._write = write or create
        self._lock = RLock()
        self._copy: PrivateCopy | None = None
        self._copied_at: Stamp = ()
        self._limit: TimeLimit | None = None
        with self._translated():
            try:
                self._open(create=create)
            except sqlite3.OperationalError:
                if self._write or may_write(file) or not os.access(file, os.R_OK):
                    raise
                self._open_copy()

    def _open(self, *, create: bool = False) -> None:
        self._db = self._connect("rwc" if create else "rw")
        try:
            self._prepare(write=self._write, create=create)
        except BaseException:
            self._db.close()
            raise

    def _connect(self, mode: str) -> sqlite3.Connection:
        file = self._copy.directory / self._file.name if self._copy else self._file
        uri = f"{file.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=5, check_same_thread=False, isolation_level=None)

    def _open_copy(self) -> None:
        """Open what was committed by now, for a process that may not write beside the file."""
        try:
            self._copy, self._copied_at = copied_database(self._file)
        except OSError as error:
            raise refusal(self._file, error) or damaged_catalog(self._file, str(error)) from error
        try:
            self._open()
        except BaseException:
            self._copy.close()
            raise

    def is_outdated(self) -> bool:
        """Whether the file has changed since, of which this catalog, being a copy, will see nothing."""
        return self._copy is not None and stamp_of(self._file) != self._copied_at

    def _prepare(self, *, write: bool, create: bool) -> None:
        self._db.execute("PRAGMA temp_store = MEMORY")
        register(self._db)
        if not write:
            self._db.execute("PRAGMA query_only = ON")
            self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # opens the files next to it, or fails
        else:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
        if create:
            self._db.executescript(f"BEGIN; {_SCHEMA.read_text(encoding='utf-8')}")
            create_index(self._db)
            self._db.execute("COMMIT")
            self.set_meta("schema_version", SCHEMA_VERSION)
            self.set_meta("generation", "0")
        found = self.meta("schema_version")
        self._is_older = found in _UPGRADED and not write
        if found in _UPGRADED and write:
            with self.transaction():
                self._db.execute("ALTER TABLE documents ADD COLUMN language TEXT NOT NULL DEFAULT ''")
                for statement in statements(_SCHEMA):
                    if "TABLE token_states" in statement or "INDEX documents_in_language" in statement:
                        self._db.execute(statement)
                upgrade_index(self._db)
                self.set_meta("schema_version", SCHEMA_VERSION)
        elif found not in {SCHEMA_VERSION, *_UPGRADED}:
            raise StoreError(
                f"the catalog {self._file} has format {found}; this version reads format {SCHEMA_VERSION}",
                code="store_format",
                hint="streamrag ingest --rebuild",
            )

    def close(self) -> None:
        with self._lock:
            self._db.close()
            if self._copy is not None:
                self._copy.close()
                self._copy = None

    # What is in it

    def meta(self, key: str) -> str | None:
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    @property
    def generation(self) -> int:
        found = self.meta("generation") or ""
        if not found.isdecimal():
            raise damaged_catalog(self._file, "it has no generation")
        return int(found)

    def counts(self) -> Counts:
        documents, chunks = self._rows("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks)")[0]
        languages = self._rows(f"SELECT DISTINCT {self._language} FROM documents ORDER BY 1")
        return Counts(documents=documents, chunks=chunks, languages=tuple(language for (language,) in languages))

    @property
    def _language(self) -> str:
        """The column of a document's language, or what stands for it in formats that have none."""
        return "''" if self._is_older else "language"

    def roots(self) -> list[str]:
        return [path for (path,) in self._rows("SELECT path FROM roots ORDER BY path")]

    def document(self, path: str) -> DocumentRecord | None:
        found = self._records("WHERE path = ?", (path,))
        return found[0] if found else None

    def documents_under(self, root: str) -> Iterator[DocumentRecord]:
        # A range over the index on path; `LIKE` would need escapes and fold case.
        where = "WHERE (path = ? OR (path >= ? AND path < ?)) AND path > ? ORDER BY path LIMIT ?"
        return in_pages(lambda after: self._records(where, (root, *range_below(root), after, _AT_A_TIME)))

    def _records(self, where: str, values: Sequence[object]) -> list[DocumentRecord]:
        columns = RECORD_COLUMNS.replace("language", self._language)
        return [record_of(row) for row in self._rows(f"SELECT {columns} FROM documents {where}", values)]

    def chunks_of(self, path: str) -> list[Chunk]:
        query = (
            "SELECT chunk_id FROM chunks JOIN documents ON documents.id = document_id WHERE path = ? ORDER BY ordinal"
        )
        ids = [chunk_id for (chunk_id,) in self._rows(query, (path,))]
        found = self.chunks(ids)
        return [found[each].chunk for each in ids]

    def chunk_at(self, path: str, ordinal: int) -> Chunk | None:
        query = (
            "SELECT chunk_id FROM chunks JOIN documents ON documents.id = document_id WHERE path = ? AND ordinal = ?"
        )
        ids = [chunk_id for (chunk_id,) in self._rows(query, (path, ordinal))]
        return self.chunks(ids)[ids[0]].chunk if ids else None

    def chunk_ids(self) -> set[str]:
        return {chunk_id for (chunk_id,) in self._rows("SELECT chunk_id FROM chunks")}

    def chunks(self, chunk_ids: Iterable[str]) -> dict[str, StoredChunk]:
        """The chunks with these ids; an id that is not in the collection is left out."""
        found: dict[str, StoredChunk] = {}
        for part in _parts(list(chunk_ids)):
            query = (
                f"SELECT chunks.{CHUNK_COLUMNS}, chunks.checksum, source, path, {self._language}, documents.checksum"
                " FROM chunks JOIN documents ON documents.id = document_id"
                f" WHERE chunks.chunk_id IN ({_marks(part)})"
            )
            for *of_chunk, checksum, source, path, language, checksum_of_document in self._rows(query, part):
                if checksum != _checksum(of_chunk) or checksum_of_document != _checksum((path, source)):
                    raise damaged_catalog(self._file, "a chunk is not what was written")
                found[of_chunk[0]] = StoredChunk(chunk=chunk_of(of_chunk), source=source, path=path, language=language)
        return found

    def known(self, chunk_ids: Iterable[str]) -> set[str]:
        """Which of these ids are in the collection."""
        query = "SELECT chunk_id FROM chunks WHERE chunk_id IN ({})"
        parts = _parts(list(chunk_ids))
        return {found for part in parts for (found,) in self._rows(query.format(_marks(part)), part)}

    def token_states(self, chunk_ids: Collection[str]) -> dict[str, bytes]:
        """The packed token states of these chunks; chunks without any are left out."""
        if self._is_older:
            return {}
        query = "SELECT chunk_id, signs FROM chunks JOIN token_states USING (id) WHERE chunk_id IN ({})"
        return {
            chunk_id: signs
            for part in _parts(list(chunk_ids))
            for chunk_id, signs in self._rows(query.format(_marks(part)), part)
        }

    # Full text

    def search_text(self, matches: Mapping[str, int], limit: int) -> ScoredIds:
        """Chunk ids with their BM25 score, higher is better, best first.

        `matches` gives each FTS5 expression its weight. BM25 is a sum over words, so a chunk that several of them
        match scores the weighted sum.
        """
        one = "SELECT rowid AS id, ? * -bm25(chunks_fts, 1.0, 1.0) AS score FROM chunks_fts WHERE chunks_fts MATCH ?"
        found = " UNION ALL ".join([one] * len(matches))
        if len(matches) > 1:
            found = f"SELECT id, sum(score) AS score FROM ({found}) GROUP BY id"
        # The best are picked inside: joined outside, every chunk that matches would have its row looked up.
        query = (
            f"SELECT chunk_id, score FROM ({found} ORDER BY score DESC, 1 LIMIT ?) JOIN chunks USING (id)"
            " ORDER BY score DESC, id"
        )
        values = [value for match, weight in matches.items() for value in (weight, match)]
        return [(chunk_id, score) for chunk_id, score in self._rows(query, (*values, limit))] if matches else []

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """In how many chunks each stemmed term stands."""
        wanted = list(dict.fromkeys(terms))
        query = "SELECT term, doc FROM chunks_terms WHERE term IN ({})"
        rows = [row for part in _parts(wanted) for row in self._rows(query.format(_marks(part)), part)]
        return dict.fromkeys(wanted, 0) | dict(rows)

    @contextmanager
    def snapshot(self, limit: TimeLimit | None = None) -> Iterator[None]:
        """Everything read inside sees one state, whatever another process commits at the same time.

        Raises StoreError `retrieval_timeout` as soon as `limit` is over.
        """
        with self._lock, self._translated():
            self._db.execute("BEGIN")
            self._limit_to(limit)
            try:
                yield
            finally:
                self._limit_to(None)
                self._roll_back()

    def _limit_to(self, limit: TimeLimit | None) -> None:
        self._limit = limit
        self._db.set_progress_handler(limit.is_over if limit else None, _STEPS_BETWEEN_CHECKS)

    # Changing it

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, also under `kill -9`."""
        with self._lock, self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # SQLite does it of itself where a disk is full
            self._db.execute("ROLLBACK")

    def set_meta(self, key: str, value: str) -> None:
        self._rows("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def raise_generation(self) -> None:
        self.set_meta("generation", str(self.generation + 1))

    def add_root(self, path: str) -> None:
        self._rows("INSERT OR IGNORE INTO roots VALUES (?)", (path,))

    def remove_roots(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._rows("DELETE FROM roots WHERE path = ?", (path,))

    def doubt(self, chunk_ids: Iterable[str]) -> None:
        """Note vectors that are about to be written or deleted."""
        self._many("INSERT OR IGNORE INTO vectors_in_doubt VALUES (?)", [(each,) for each in chunk_ids])

    def settle(self, chunk_ids: Iterable[str]) -> None:
        self._many("DELETE FROM vectors_in_doubt WHERE chunk_id = ?", [(each,) for each in chunk_ids])

    def in_doubt(self) -> set[str]:
        return {chunk_id for (chunk_id,) in self._rows("SELECT chunk_id FROM vectors_in_doubt")}

    def put(self, record: DocumentRecord, chunks: Sequence[Chunk], token_states: Sequence[bytes] = ()) -> set[str]:
        """Replace the document at `record.path`; return the ids of its former chunks.

        `token_states` is empty or has the packed states of each chunk.
        """
        former = self.remove(record.path)
        cursor = self._execute(
            f"INSERT INTO documents ({RECORD_COLUMNS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*record_row(record), _checksum((record.path, record.source))),
        )
        rows = map(chunk_row, chunks)
        self._many(
            f"INSERT INTO chunks ({CHUNK_COLUMNS}, checksum, title, document_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row, _checksum(row), chunk.title, cursor.lastrowid) for row, chunk in zip(rows, chunks, strict=True)],
        )
        self._many(
            "INSERT INTO token_states (id, signs) SELECT id, ? FROM chunks WHERE chunk_id = ?",
            [(signs, chunk.id) for signs, chunk in zip(token_states, chunks, strict=bool(token_states)) if signs],
        )
        return former

    def remove(self, path: str) -> set[str]:
        """Remove the document at `path`, if there is one; return the ids of its chunks."""
        rows = self._rows("SELECT id FROM documents WHERE path = ?", (path,))
        if not rows:
            return set()
        gone = {each for (each,) in self._rows("SELECT chunk_id FROM chunks WHERE document_id = ?", rows[0])}
        self._rows("DELETE FROM chunks WHERE document_id = ?", rows[0])
        self._rows("DELETE FROM documents WHERE id = ?", rows[0])
        return gone

    def touch(self, record: DocumentRecord) -> None:
        """Renew what is known of an unchanged file, so that next time a stat is enough."""
        checksum = _checksum((record.path, record.source))
        values = record.source, checksum, record.size, record.mtime_ns, record.read_at_ns
        self._rows(
            "UPDATE documents SET source = ?, checksum = ?, size = ?, mtime_ns = ?, read_at_ns = ?, recipe = ?"
            " WHERE path = ?",
            (*values, record.recipe, record.path),
        )

    def compact(self) -> None:
        """Give back the space of deleted rows. A reader goes on in its snapshot."""
        pages = -_MERGED_PAGES  # a negative number begins a merge of everything
        with self._lock, self._translated():
            while not merged(self._db, "chunks_fts", pages):
                pages = _MERGED_PAGES
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # SQLite underneath

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with self._lock, self._translated():
            return self._db.execute(query, values).fetchall()

    def _execute(self, query: str, values: Sequence[object]) -> sqlite3.Cursor:
        with self._lock, self._translated():
            return self._db.execute(query, values)

    def _many(self, query: str, rows: Sequence[Sequence[object]]) -> None:
        with self._lock, self._translated():
            self._db.executemany(query, rows)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StreamragError:
            raise
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite quotes the damage it found
            if self._limit is not None and getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
                raise self._limit.error() from error
            raise _store_error(error, self._file, writing=self._write) from error
        except MemoryError as error:
            raise out_of_memory() from error


def _store_error(error: sqlite3.Error | UnicodeDecodeError, file: Path, *, writing: bool) -> StreamragError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(_UNOPENED) and (refused := cannot_open(file, file.parent.parent, writing=writing)):
        return refused
    if name.startswith(_UNWRITTEN) or (name.startswith("SQLITE_CANTOPEN") and file.is_file()):
        return not_writable(file.parent.parent, str(error))
    if name == "SQLITE_NOMEM":
        return out_of_memory()
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return busy(f"{file} is locked")
    return damaged_catalog(file, str(error))


def damaged_catalog(file: Path, why: str) -> StoreError:
    return damaged(f"the catalog {file} is damaged: {why}")


def _checksum(values: Sequence[object]) -> int:
    return crc32(json.dumps(values, default=repr).encode("ascii"))


def _parts(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _AT_A_TIME):
        yield values[start : start + _AT_A_TIME]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
