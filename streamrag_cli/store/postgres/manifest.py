"""The contents of a collection in PostgreSQL, read from the tables of one epoch."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, TypeAlias

from streamrag_cli.model import LONGEST_CHUNK_CHARS, Chunk, DocumentRecord, FileVersion, UnreadFile
from streamrag_cli.store.interface import Counts, StoredChunk
from streamrag_cli.store.languages import ENGLISH, LANGUAGES
from streamrag_cli.store.postgres.establish import Connection
from streamrag_cli.store.rows import (
    CHUNK_COLUMNS,
    RECORD_COLUMNS,
    VERSION_COLUMNS,
    chunk_of,
    in_pages,
    is_stored_path,
    range_below,
    record_of,
    unread_from_text,
    version_of,
)

_PAGE_SIZE: Final = 500
_LONGEST: Final = LONGEST_CHUNK_CHARS + 1
# A longer text is reported as damage by `chunk_of`. It is truncated, so that the server does not send all of it.
_CHUNK_VALUES: Final = CHUNK_COLUMNS.replace("body, headings", f"left(body, {_LONGEST}), left(headings, {_LONGEST})")


@dataclass(frozen=True, slots=True)
class Session:
    """A connection and the epoch to read from. `has_tags` is False in schemas of the previous version."""

    conn: Connection
    epoch: int
    has_tags: bool = True

    def table(self, name: str) -> str:
        """The qualified name of a table in the session's epoch."""
        return self.conn.table(name, self.epoch)

    def columns(self, columns: str) -> str:
        """In a list of columns of the documents table, replace columns that this schema lacks with constants."""
        return columns if self.has_tags else columns.replace("date", "'' AS date").replace("tags", "NULL AS tags")

    def shared(self, name: str) -> str:
        """The qualified name of a table that all collections share."""
        return self.conn.table(name)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        return self.conn.execute(query, values).fetchall()


Sessions: TypeAlias = Callable[[], AbstractContextManager[Session]]


class PostgresManifest:
    """A `Manifest`. Each method opens a session by calling the function `session`."""

    def __init__(self, session: Sessions) -> None:
        self._session = session

    @property
    def generation(self) -> int:
        return int(self._epoch_value("generation", int))

    def meta(self, key: str) -> str | None:
        if key == "last_ingest":
            value = self._epoch_value(
                "last_ingest", lambda time: time.astimezone(UTC).isoformat(timespec="seconds") if time else None
            )
            return None if value is None else str(value)
        if key in {"embedding", "dimension", "cosine_range"}:
            value = self._epoch_value(key, lambda each: each)
            return None if value is None else str(value)
        return None

    def counts(self) -> Counts:
        with self._session() as session:
            [(documents, chunks)] = session.rows(
                f"SELECT documents, chunks FROM {session.shared('epochs')} WHERE id = %s", (session.epoch,)
            )
            return Counts(documents=int(documents), chunks=int(chunks))

    def languages(self) -> list[str]:
        with self._session() as session:
            # One index lookup per language; DISTINCT would scan the whole index.
            exists = f"EXISTS (SELECT FROM {session.table('documents')} WHERE language = code)"
            rows = session.rows(f"SELECT code FROM unnest(%s::text[]) AS code WHERE {exists}", (list(LANGUAGES),))
        return sorted(language for (language,) in rows)

    def foreign_chunks(self) -> int:
        with self._session() as session:
            of_documents = f"SELECT id FROM {session.table('documents')} WHERE language <> %s"
            query = f"SELECT count(*) FROM {session.table('chunks')} WHERE document_id IN ({of_documents})"
            [(count,)] = session.rows(query, (ENGLISH,))
        return int(count)

    def roots(self) -> list[str]:
        with self._session() as session:
            return [
                path
                for (path,) in session.rows(
                    f"SELECT path FROM {session.shared('roots')} WHERE epoch = %s ORDER BY path", (session.epoch,)
                )
            ]

    def document(self, path: str) -> DocumentRecord | None:
        records = self._records("path = %s", (path,))
        return records[0] if records else None

    def documents_under(self, root: str) -> Iterator[DocumentRecord]:
        where = "(path = %s OR (path >= %s AND path < %s)) AND path > %s ORDER BY path LIMIT %s"
        return in_pages(lambda after: self._records(where, (root, *range_below(root), after, _PAGE_SIZE)))

    def file_versions(self, root: str) -> dict[str, FileVersion]:
        with self._session() as session:
            rows = session.rows(
                f"SELECT {session.columns(VERSION_COLUMNS)} FROM {session.table('documents')}"
                " WHERE path = %s OR (path >= %s AND path < %s)",
                (root, *range_below(root)),
            )
        return {row[0]: version_of(row) for row in rows}

    def chunks_of(self, path: str) -> list[Chunk]:
        with self._session() as session:
            rows = session.rows(
                f"SELECT {_CHUNK_VALUES} FROM {session.table('chunks')} WHERE document_id ="
                f" (SELECT id FROM {session.table('documents')} WHERE path = %s) ORDER BY ordinal",
                (path,),
            )
            return [chunk_of(row) for row in rows]

    def chunk_at(self, path: str, ordinal: int) -> Chunk | None:
        with self._session() as session:
            rows = session.rows(
                f"SELECT {_CHUNK_VALUES} FROM {session.table('chunks')} WHERE ordinal = %s AND document_id ="
                f" (SELECT id FROM {session.table('documents')} WHERE path = %s)",
                (ordinal, path),
            )
            return chunk_of(rows[0]) if rows else None

    def chunk_counts(self) -> dict[str, int]:
        with self._session() as session:
            counted = f"SELECT document_id, count(*) AS chunks FROM {session.table('chunks')} GROUP BY document_id"
            query = (
                f"SELECT path, coalesce(chunks, 0) FROM {session.table('documents')} AS documents"
                f" LEFT JOIN ({counted}) AS counted ON document_id = documents.id"
            )
            return {path: int(chunks) for path, chunks in session.rows(query)}

    def chunk_ids_from(self, prefix: str, limit: int) -> list[str]:
        with self._session() as session:
            query = (
                f"SELECT chunk_id FROM {session.table('chunks')} WHERE chunk_id >= %s AND chunk_id < %s"
                " ORDER BY chunk_id LIMIT %s"
            )
            return [chunk_id for (chunk_id,) in session.rows(query, (prefix, f"{prefix}g", limit))]

    def unread_files(self) -> list[UnreadFile]:
        unread: list[UnreadFile] = self._epoch_value("unread_files", unread_from_text)
        return unread

    def chunk_ids(self) -> set[str]:
        with self._session() as session:
            return {chunk_id for (chunk_id,) in session.rows(f"SELECT chunk_id FROM {session.table('chunks')}")}

    def chunks(self, chunk_ids: Iterable[str]) -> dict[str, StoredChunk]:
        with self._session() as session:
            rows = session.rows(
                f"SELECT {_CHUNK_VALUES}, left(source, {_LONGEST}), left(path, {_LONGEST}), language"
                f" FROM {session.table('chunks')}"
                f" JOIN {session.table('documents')} AS documents ON documents.id = document_id"
                " WHERE chunk_id = ANY(%s)",
                (list(chunk_ids),),
            )
            return {row[0]: _stored_chunk(row) for row in rows}

    def existing(self, chunk_ids: Iterable[str]) -> set[str]:
        with self._session() as session:
            query = f"SELECT chunk_id FROM {session.table('chunks')} WHERE chunk_id = ANY(%s)"
            return {chunk_id for (chunk_id,) in session.rows(query, (list(chunk_ids),))}

    def languages_of(self, chunk_ids: Iterable[str]) -> dict[str, str]:
        with self._session() as session:
            rows = session.rows(
                f"SELECT chunk_id, language FROM {session.table('chunks')}"
                f" JOIN {session.table('documents')} AS documents ON documents.id = document_id"
                " WHERE chunk_id = ANY(%s)",
                (list(chunk_ids),),
            )
            return dict(rows)

    def token_states(self, chunk_ids: Collection[str]) -> dict[str, bytes]:
        if not chunk_ids:
            return {}
        with self._session() as session, session.conn.cursor(binary=True) as cursor:
            query = f"SELECT chunk_id, token_states FROM {session.table('vectors')} WHERE chunk_id = ANY(%s)"
            return dict(cursor.execute(f"{query} AND token_states IS NOT NULL", (list(chunk_ids),)).fetchall())

    def _records(self, where: str, values: Sequence[object]) -> list[DocumentRecord]:
        with self._session() as session:
            columns = session.columns(RECORD_COLUMNS)
            rows = session.rows(f"SELECT {columns} FROM {session.table('documents')} WHERE {where}", values)
            return [record_of(row) for row in rows]

    def _epoch_value(self, column: str, convert: Callable[[Any], object]) -> Any:
        with self._session() as session:
            query = f"SELECT {column} FROM {session.shared('epochs')} WHERE id = %s"
            return convert(session.rows(query, (session.epoch,))[0][0])


def _stored_chunk(row: Sequence[Any]) -> StoredChunk:
    *of_chunk, source, path, language = row
    if not (is_stored_path(path) and isinstance(source, str) and language in LANGUAGES):
        raise ValueError("a document has values of the wrong type")
    if max(len(path), len(source)) > LONGEST_CHUNK_CHARS:
        raise ValueError("the name of a document is too long")
    return StoredChunk(chunk=chunk_of(of_chunk), source=source, path=path, language=language)
