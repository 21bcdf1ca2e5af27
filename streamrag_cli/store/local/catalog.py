"""The catalog: one SQLite file per collection, the source of truth for its documents and chunks.

A chunk is in the collection if and only if it has a row in the catalog; Chroma is synced with the catalog. A batch of
documents is changed in one transaction, which increments the generation. Readers detect a change by the generation.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from streamrag_cli.errors import StoreError
from streamrag_cli.model import Chunk, DocumentRecord, FileVersion, Filter, UnreadFile
from streamrag_cli.store.document_filter import FilterRow, allowed_documents
from streamrag_cli.store.interface import Counts, ScoredIds, Selection, StoredChunk
from streamrag_cli.store.languages import ENGLISH, LANGUAGES
from streamrag_cli.store.local.database import Database, damaged_catalog
from streamrag_cli.store.local.full_text import create_index, merge, register, run_script, upgrade_index
from streamrag_cli.store.rows import (
    CHUNK_COLUMNS,
    RECORD_COLUMNS,
    VERSION_COLUMNS,
    chunk_of,
    chunk_row,
    in_pages,
    is_stored_path,
    range_below,
    record_of,
    record_row,
    tags_text,
    unread_from_text,
    unread_to_text,
    version_of,
    with_unread,
)
from streamrag_cli.store.watchers import WatcherState, watcher_from_text, watcher_to_text

SCHEMA_VERSION: Final = "5"
_OLDER_VERSIONS: Final = frozenset({"2", "3", "4"})
"""Older formats, which readers accept and writers upgrade. They do not contain documents' dates and tags."""
_WITHOUT_LANGUAGES: Final = frozenset({"2", "3"})
"""Formats that do not contain languages and token states either. In format 2, the full-text index does not contain
Chinese words."""
_SCHEMA: Final = Path(__file__).with_name("schema.sql")
_OLDER_TABLES: Final = ("roots", "documents", "chunks", "chunks_fts", "chunks_terms", "vectors_in_doubt")
_NUMBERS: Final = frozenset({"generation", "dimension", "dropped"})
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_BATCH_SIZE: Final = 500  # below SQLite's limit on the variables in one statement
_MERGED_PAGES: Final = 1000
_WATCHERS: Final = "watchers"
_IN_DOCUMENTS: Final = "document_id IN (SELECT value FROM json_each(?))"


class Catalog(Database):
    _found_checksums = False
    _version: str | None = None

    def _prepare(self, *, write: bool, create: bool) -> None:
        self._db.execute("PRAGMA temp_store = MEMORY")
        register(self._db)
        if not write:
            self._db.execute("PRAGMA query_only = ON")
            self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # fails if the WAL files cannot be opened
        else:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
        if create:
            with self.transaction():
                run_script(self._db, _SCHEMA)
                create_index(self._db)
                self.set_meta("schema_version", SCHEMA_VERSION)
                self.set_meta("generation", "0")
        self._require_tables("meta")
        version = self.meta("schema_version")
        self._version = SCHEMA_VERSION if write else version
        if version in {SCHEMA_VERSION, *_OLDER_VERSIONS}:
            self._require_tables(*_OLDER_TABLES, *([] if version in _WITHOUT_LANGUAGES else ["token_states"]))
        if version in _OLDER_VERSIONS and write:
            self._upgrade(has_languages=version not in _WITHOUT_LANGUAGES)
        elif version == SCHEMA_VERSION and write and not self._has_checksums:
            with self.transaction():
                run_script(self._db, _SCHEMA)
        elif version not in {SCHEMA_VERSION, *_OLDER_VERSIONS}:
            is_newer = bool(version and _NUMBER.fullmatch(version)) and int(version or 0) > int(SCHEMA_VERSION)
            raise StoreError(
                f"the catalog {self._file} has format {version},"
                f" but this version of streamrag reads format {SCHEMA_VERSION}",
                code="store_format",
                hint="upgrade streamrag to the version that wrote the catalog"
                if is_newer
                else "streamrag ingest --rebuild",
            )

    @property
    def _has_languages(self) -> bool:
        return self._format() not in _WITHOUT_LANGUAGES

    @property
    def _has_tags(self) -> bool:
        return self._format() not in _OLDER_VERSIONS

    def _format(self) -> str | None:
        if self._version in _OLDER_VERSIONS:  # a writer may upgrade the format at any time, and never downgrades it
            self._version = self.meta("schema_version")
        return self._version

    def _upgrade(self, *, has_languages: bool) -> None:
        """Upgrade tables in an older format. The tags of existing documents become None, which means unknown."""
        with self.transaction():
            if not has_languages:
                self._db.execute("ALTER TABLE documents ADD COLUMN language TEXT NOT NULL DEFAULT ''")
            self._db.execute("ALTER TABLE documents ADD COLUMN date TEXT NOT NULL DEFAULT ''")
            self._db.execute("ALTER TABLE documents ADD COLUMN tags TEXT")
            run_script(self._db, _SCHEMA)
            if not has_languages:
                upgrade_index(self._db)
            self.set_meta("schema_version", SCHEMA_VERSION)

    def _require_tables(self, *names: str) -> None:
        """Raise StoreError if a table is missing or is a view, which could run indefinitely or return other rows."""
        tables = {name for (name,) in self._rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        for name in names:
            if name not in tables:
                raise damaged_catalog(self._file, f"the table {name} is missing")

    # Contents

    def meta(self, key: str) -> str | None:
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        if not rows:
            return None
        value = rows[0][0]
        if not isinstance(value, str) or (key in _NUMBERS and not _NUMBER.fullmatch(value)):
            raise damaged_catalog(self._file, f"the value of {key!r} is not valid")
        return value

    @property
    def generation(self) -> int:
        value = self.meta("generation")
        if value is None:
            raise damaged_catalog(self._file, "the generation number is missing")
        return int(value)

    @property
    def dimension(self) -> int | None:
        value = self.meta("dimension")
        return None if value is None else int(value)

    def counts(self) -> Counts:
        documents, chunks = self._rows("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks)")[0]
        return Counts(documents=documents, chunks=chunks)

    def languages(self) -> list[str]:
        if not self._has_languages:
            return [ENGLISH]
        # One index lookup per language; DISTINCT would scan the whole index.
        exists = "EXISTS (SELECT 1 FROM documents WHERE language = value)"
        rows = self._rows(f"SELECT value FROM json_each(?) WHERE {exists}", (json.dumps(LANGUAGES),))
        return sorted(language for (language,) in rows)

    def foreign_chunks(self) -> int:
        if not self._has_languages:
            return 0
        of_documents = "SELECT id FROM documents WHERE language <> ?"
        return int(self._rows(f"SELECT count(*) FROM chunks WHERE document_id IN ({of_documents})", (ENGLISH,))[0][0])

    @property
    def _language(self) -> str:
        """The SQL expression for a document's language. In formats without this column, it is a constant."""
        return "language" if self._has_languages else "''"

    def _columns(self, columns: str) -> str:
        """In a list of columns of the documents table, replace columns that this format lacks with constants."""
        columns = columns.replace("language", self._language)
        return columns if self._has_tags else columns.replace("date", "''").replace("tags", "NULL")

    def roots(self) -> list[str]:
        roots = [path for (path,) in self._rows("SELECT path FROM roots ORDER BY path")]
        if not all(map(is_stored_path, roots)):
            raise damaged_catalog(self._file, "a recorded path is not valid")
        return roots

    def document(self, path: str) -> DocumentRecord | None:
        records = self._records("WHERE path = ?", (path,))
        return records[0] if records else None

    def documents_under(self, root: str) -> Iterator[DocumentRecord]:
        # This scans a range of the index on path. `LIKE` would require escapes and ignore case.
        where = "WHERE (path = ? OR (path >= ? AND path < ?)) AND path > ? ORDER BY path LIMIT ?"
        return in_pages(lambda after: self._records(where, (root, *range_below(root), after, _BATCH_SIZE)))

    def file_versions(self, root: str) -> dict[str, FileVersion]:
        columns = self._columns(VERSION_COLUMNS)
        query = f"SELECT {columns} FROM documents WHERE path = ? OR (path >= ? AND path < ?)"
        try:
            return {row[0]: version_of(row) for row in self._rows(query, (root, *range_below(root)))}
        except (TypeError, ValueError) as error:
            raise damaged_catalog(self._file, str(error)) from error

    def _records(self, where: str, values: Sequence[object]) -> list[DocumentRecord]:
        rows = self._rows(f"SELECT {self._columns(RECORD_COLUMNS)} FROM documents {where}", values)
        try:
            return [record_of(row) for row in rows]
        except ValueError as error:
            raise damaged_catalog(self._file, str(error)) from error

    def chunks_of(self, path: str) -> list[Chunk]:
        query = (
            "SELECT chunk_id FROM chunks JOIN documents ON documents.id = document_id WHERE path = ? ORDER BY ordinal"
        )
        ids = [chunk_id for (chunk_id,) in self._rows(query, (path,))]
        stored = self.chunks(ids)
        return [stored[each].chunk for each in ids]

    def chunk_at(self, path: str, ordinal: int) -> Chunk | None:
        query = (
            "SELECT chunk_id FROM chunks JOIN documents ON documents.id = document_id WHERE path = ? AND ordinal = ?"
        )
        ids = [chunk_id for (chunk_id,) in self._rows(query, (path, ordinal))]
        return self.chunks(ids)[ids[0]].chunk if ids else None

    def chunk_counts(self) -> dict[str, int]:
        counted = "SELECT document_id, count(*) AS chunks FROM chunks GROUP BY document_id"
        return dict(
            self._rows(
                f"SELECT path, coalesce(chunks, 0) FROM documents LEFT JOIN ({counted}) ON document_id = documents.id"
            )
        )

    def chunk_ids_from(self, prefix: str, limit: int) -> list[str]:
        query = "SELECT chunk_id FROM chunks WHERE chunk_id >= ? AND chunk_id < ? ORDER BY chunk_id LIMIT ?"
        return [chunk_id for (chunk_id,) in self._rows(query, (prefix, f"{prefix}g", limit))]

    def unread_files(self) -> list[UnreadFile]:
        try:
            return unread_from_text(self.meta("unread_files"))
        except ValueError as error:
            raise damaged_catalog(self._file, str(error)) from error

    def chunk_ids(self) -> set[str]:
        return {chunk_id for (chunk_id,) in self._rows("SELECT chunk_id FROM chunks")}

    def chunks(self, chunk_ids: Iterable[str]) -> dict[str, StoredChunk]:
        chunks: dict[str, StoredChunk] = {}
        query = (
            f"SELECT chunks.{CHUNK_COLUMNS}, chunks.checksum, source, path, {self._language}, documents.checksum"
            " FROM chunks JOIN documents ON documents.id = document_id WHERE chunks.chunk_id IN ({})"
        )
        for *of_chunk, checksum, source, path, language, checksum_of_document in self._rows_for(query, chunk_ids):
            if checksum != _checksum(of_chunk) or checksum_of_document != _checksum((path, source)):
                raise damaged_catalog(self._file, "a chunk has changed since it was written")
            if not (is_stored_path(path) and isinstance(source, str) and isinstance(language, str)):
                raise damaged_catalog(self._file, "a document has values of the wrong type")
            try:
                chunk = chunk_of(of_chunk)
            except ValueError as error:
                raise damaged_catalog(self._file, str(error)) from error
            chunks[chunk.id] = StoredChunk(chunk=chunk, source=source, path=path, language=language)
        return chunks

    def existing(self, chunk_ids: Iterable[str]) -> set[str]:
        rows = self._rows_for("SELECT chunk_id FROM chunks WHERE chunk_id IN ({})", chunk_ids)
        return {chunk_id for (chunk_id,) in rows}

    def languages_of(self, chunk_ids: Iterable[str]) -> dict[str, str]:
        query = f"SELECT chunk_id, {self._language} FROM chunks JOIN documents ON documents.id = document_id"
        return dict(self._rows_for(f"{query} WHERE chunk_id IN ({{}})", chunk_ids))

    def token_states(self, chunk_ids: Collection[str]) -> dict[str, bytes]:
        if not self._has_languages:
            return {}
        checksum = (
            "(SELECT token_states FROM checksums WHERE checksums.id = chunks.id)" if self._has_checksums else "NULL"
        )
        query = f"SELECT chunk_id, signs, {checksum} FROM chunks JOIN token_states USING (id) WHERE chunk_id IN ({{}})"
        states: dict[str, bytes] = {}
        bytes_per_token = max(1, (self.dimension or 0) // 8)
        for chunk_id, signs, expected in self._rows_for(query, chunk_ids):
            is_whole = isinstance(signs, bytes) and signs and len(signs) % bytes_per_token == 0
            if not is_whole or expected not in {None, crc32(signs)}:
                raise damaged_catalog(self._file, "the token states of a chunk have changed since they were written")
            states[chunk_id] = signs
        return states

    def vector_fingerprints(self, chunk_ids: Iterable[str]) -> dict[str, object]:
        """The fingerprints of the vectors of these chunks. Chunks that an earlier version wrote are left out."""
        if not self._has_checksums:
            return {}
        query = "SELECT chunk_id, vector FROM chunks JOIN checksums USING (id) WHERE chunk_id IN ({})"
        return {chunk_id: vector for chunk_id, vector in self._rows_for(query, chunk_ids) if vector is not None}

    @property
    def _has_checksums(self) -> bool:
        if not self._found_checksums:  # a writer may add the table at any time, and never removes it
            exists = self._rows("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'checksums'")
            self._found_checksums = bool(exists)
        return self._found_checksums

    # Filters

    def select(self, scope: Filter, total: int) -> Selection:
        columns = self._columns("id, path, source, tags")
        query = f"SELECT {columns} FROM documents WHERE path >= ? AND path < ? AND mtime_ns >= ?"

        def fetch(low: str, high: str, since_ns: int) -> Iterator[FilterRow]:
            return map(FilterRow._make, self._rows(query, (low, high, since_ns)))

        try:
            ids, untagged = allowed_documents(scope, fetch)
        except (AttributeError, TypeError, ValueError) as error:
            raise damaged_catalog(self._file, "a document has values of the wrong type") from error
        [(chunks,)] = self._rows(f"SELECT count(*) FROM chunks WHERE {_IN_DOCUMENTS}", (json.dumps(ids),))
        return Selection(documents=tuple(ids), chunks=chunks, total=total, untagged=tuple(untagged))

    def selected_chunk_ids(self, selection: Selection) -> list[str]:
        rows = self._rows(f"SELECT chunk_id FROM chunks WHERE {_IN_DOCUMENTS}", (json.dumps(selection.documents),))
        return [chunk_id for (chunk_id,) in rows]

    def within(self, chunk_ids: Iterable[str], selection: Selection) -> set[str]:
        documents = set(selection.documents)
        rows = self._rows_for("SELECT chunk_id, document_id FROM chunks WHERE chunk_id IN ({})", chunk_ids)
        return {chunk_id for chunk_id, document in rows if document in documents}

    # Full text

    def search_text(self, matches: Mapping[str, int], limit: int, selection: Selection | None = None) -> ScoredIds:
        """Return the ids of matching chunks with their BM25 scores, best (highest) first.

        `matches` maps FTS5 expressions to weights. BM25 is a sum over words, so the score of a chunk that
        matches several expressions is the weighted sum of their scores.
        """
        one = "SELECT rowid AS id, ? * -bm25(chunks_fts, 1.0, 1.0) AS score FROM chunks_fts WHERE chunks_fts MATCH ?"
        if selection is not None:
            # The plus sign prevents SQLite from searching the index once for every selected chunk.
            one += f" AND +rowid IN (SELECT id FROM chunks WHERE {_IN_DOCUMENTS})"
        documents = [] if selection is None else [json.dumps(selection.documents)]
        scored = " UNION ALL ".join([one] * len(matches))
        if len(matches) > 1:
            scored = f"SELECT id, sum(score) AS score FROM ({scored}) GROUP BY id"
        # The limit is applied before the join. Otherwise SQLite would look up the row of every matching chunk.
        query = (
            f"SELECT chunk_id, score FROM ({scored} ORDER BY score DESC, 1 LIMIT ?) JOIN chunks USING (id)"
            " ORDER BY score DESC, id"
        )
        values = [value for match, weight in matches.items() for value in (weight, match, *documents)]
        return [(chunk_id, score) for chunk_id, score in self._rows(query, (*values, limit))] if matches else []

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        distinct = list(dict.fromkeys(terms))
        rows = self._rows_for("SELECT term, doc FROM chunks_terms WHERE term IN ({})", distinct)
        return dict.fromkeys(distinct, 0) | dict(rows)

    def _rows_for(self, query: str, values: Iterable[str]) -> Iterator[Any]:
        """Run `query` for batches of `values` and yield all rows. `{}` in the query is replaced by placeholders."""
        all_values = list(values)
        for start in range(0, len(all_values), _BATCH_SIZE):
            batch = all_values[start : start + _BATCH_SIZE]
            yield from self._rows(query.format(", ".join("?" * len(batch))), batch)

    # Changes

    def set_meta(self, key: str, value: str) -> None:
        self._rows("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def increment_generation(self) -> None:
        self.set_meta("generation", str(self.generation + 1))

    def add_root(self, path: str) -> None:
        self._rows("INSERT OR IGNORE INTO roots VALUES (?)", (path,))

    def remove_roots(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._rows("DELETE FROM roots WHERE path = ?", (path,))

    def record_unread(self, roots: Sequence[str], files: Sequence[UnreadFile]) -> None:
        self.set_meta("unread_files", unread_to_text(with_unread(self.unread_files(), roots, files)))

    def watchers(self) -> list[WatcherState]:
        rows = self._rows("SELECT value FROM meta WHERE key >= ? AND key < ? ORDER BY key", range_below(_WATCHERS))
        return [state for (value,) in rows if (state := watcher_from_text(value))]

    def record_watcher(self, watcher: WatcherState) -> None:
        self.set_meta(f"{_WATCHERS}/{watcher.id}", watcher_to_text(watcher))

    def forget_watcher(self, watcher_id: str) -> None:
        self._rows("DELETE FROM meta WHERE key = ?", (f"{_WATCHERS}/{watcher_id}",))

    def mark_pending(self, chunk_ids: Iterable[str]) -> None:
        """Mark the vectors of these chunks as pending, because they are about to be written or deleted."""
        self._many("INSERT OR IGNORE INTO vectors_in_doubt VALUES (?)", [(each,) for each in chunk_ids])

    def clear_pending(self, chunk_ids: Iterable[str]) -> None:
        self._many("DELETE FROM vectors_in_doubt WHERE chunk_id = ?", [(each,) for each in chunk_ids])

    def pending(self) -> set[str]:
        return {chunk_id for (chunk_id,) in self._rows("SELECT chunk_id FROM vectors_in_doubt")}

    def put(
        self,
        record: DocumentRecord,
        chunks: Sequence[Chunk],
        token_states: Sequence[bytes],
        vector_fingerprints: Sequence[bytes],
    ) -> set[str]:
        """Add or replace the document at `record.path`. Return the ids of the chunks that it had before.

        `token_states` has the packed token states of each chunk, or b"" if it has none.
        """
        former = self.remove(record.path)
        cursor = self._execute(
            f"INSERT INTO documents ({RECORD_COLUMNS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*record_row(record), _checksum((record.path, record.source))),
        )
        rows = map(chunk_row, chunks)
        self._many(
            f"INSERT INTO chunks ({CHUNK_COLUMNS}, checksum, title, document_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row, _checksum(row), chunk.context, cursor.lastrowid) for row, chunk in zip(rows, chunks, strict=True)],
        )
        self._many(
            "INSERT INTO token_states (id, signs) SELECT id, ? FROM chunks WHERE chunk_id = ?",
            [(signs, chunk.id) for signs, chunk in zip(token_states, chunks, strict=True) if signs],
        )
        self._many(
            "INSERT INTO checksums (id, vector, token_states) SELECT id, ?, ? FROM chunks WHERE chunk_id = ?",
            [
                (vector, crc32(signs) if signs else None, chunk.id)
                for vector, signs, chunk in zip(vector_fingerprints, token_states, chunks, strict=True)
            ],
        )
        return former

    def set_vector_fingerprints(self, chunk_ids: Sequence[str], fingerprints: Sequence[bytes]) -> None:
        """Replace the fingerprints of these chunks' vectors, which are about to be computed again."""
        self._many(
            "INSERT INTO checksums (id, vector) SELECT id, ? FROM chunks WHERE chunk_id = ?"
            " ON CONFLICT (id) DO UPDATE SET vector = excluded.vector",
            list(zip(fingerprints, chunk_ids, strict=True)),
        )

    def remove(self, path: str) -> set[str]:
        """Remove the document at `path`, if there is one. Return the ids of its chunks."""
        rows = self._rows("SELECT id FROM documents WHERE path = ?", (path,))
        if not rows:
            return set()
        removed = {each for (each,) in self._rows("SELECT chunk_id FROM chunks WHERE document_id = ?", rows[0])}
        self._rows("DELETE FROM chunks WHERE document_id = ?", rows[0])
        self._rows("DELETE FROM documents WHERE id = ?", rows[0])
        return removed

    def touch(self, record: DocumentRecord) -> None:
        """Update the metadata of an unchanged file, so that the next ingest does not have to read the file."""
        checksum = _checksum((record.path, record.source))
        values = record.source, checksum, record.size, record.mtime_ns, record.read_at_ns
        self._rows(
            "UPDATE documents SET source = ?, checksum = ?, size = ?, mtime_ns = ?, read_at_ns = ?, recipe = ?,"
            " date = ?, tags = ? WHERE path = ?",
            (*values, record.recipe, record.date, tags_text(record.tags), record.path),
        )

    def compact(self) -> None:
        """Return the disk space of deleted rows to the file system. Readers can continue to use their snapshots."""
        pages = -_MERGED_PAGES  # a negative number starts a full merge
        with self._lock, self._translate_errors():
            while not merge(self._db, "chunks_fts", pages):
                pages = _MERGED_PAGES
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _checksum(values: Sequence[object]) -> int:
    return crc32(json.dumps(values, default=repr).encode("ascii"))
