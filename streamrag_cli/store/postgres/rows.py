"""Reads and writes the rows of an epoch's tables. The caller starts and commits transactions."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.interface import EmbeddedPassages, FloatArray, WrittenDocument
from streamrag_cli.store.postgres.establish import EPOCH_TABLES, Connection
from streamrag_cli.store.postgres.ranking import lexeme, tsvector
from streamrag_cli.store.rows import CHUNK_COLUMNS, RECORD_COLUMNS, chunk_row, record_row, tags_text
from streamrag_cli.store.stemming import stems

_MAX_ROWS_PER_WORD: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The number of removed documents, and the ids of their chunks. The chunks' words and vectors still exist."""

    documents: int
    chunk_ids: set[str]


def remove_documents(conn: Connection, epoch: int, paths: Sequence[str]) -> Removed:
    """Remove the documents at these paths. Paths without a document are ignored."""
    ids = [
        document_id
        for (document_id,) in conn.execute(
            f"DELETE FROM {conn.table('documents', epoch)} WHERE path = ANY(%s) RETURNING id", (list(paths),)
        )
    ]
    deleted = conn.execute(
        f"DELETE FROM {conn.table('chunks', epoch)} WHERE document_id = ANY(%s) RETURNING chunk_id", (ids,)
    )
    return Removed(documents=len(ids), chunk_ids={chunk_id for (chunk_id,) in deleted})


def add_documents(conn: Connection, epoch: int, documents: Sequence[WrittenDocument]) -> None:
    """Add documents and their chunks, but not the chunks' words and vectors."""
    columns = zip(*(record_row(record) for record, _ in documents), strict=True)
    ids: dict[str, int] = dict(
        conn.execute(
            f"INSERT INTO {conn.table('documents', epoch)} ({RECORD_COLUMNS})"
            " SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],"
            " %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) RETURNING path, id",
            [[_text(value) for value in column] for column in columns],
        ).fetchall()
    )
    with (
        conn.cursor() as cursor,
        cursor.copy(f"COPY {conn.table('chunks', epoch)} ({CHUNK_COLUMNS}, document_id) FROM STDIN") as copy,
    ):
        for record, chunks in documents:
            for chunk in chunks:
                copy.write_row((*map(_text, chunk_row(chunk)), ids[record.path]))


def touched_row(record: DocumentRecord) -> tuple[object, ...]:
    """The values for updating the metadata of a document whose content has not changed. The last value is its path."""
    tags = tags_text(record.tags)
    values = record.source, record.size, record.mtime_ns, record.read_at_ns, record.recipe, record.date, tags
    return *map(_text, values), record.path


def add_index_rows(
    conn: Connection, epoch: int, chunks: Sequence[Chunk], languages: Sequence[str], passages: EmbeddedPassages
) -> int:
    """Write the chunks' words, vectors and token states to the indexes. Return the number of words.

    `languages` has one entry per chunk.
    """
    if not chunks:
        return 0
    of_chunks = stems([_words_of(chunk) for chunk in chunks], languages)
    with conn.cursor() as cursor:
        with cursor.copy(f"COPY {conn.table('words', epoch)} FROM STDIN") as copy:
            for chunk, words in zip(chunks, of_chunks, strict=True):
                copy.write_row((chunk.id, len(words), tsvector(words)))
        with cursor.copy(f"COPY {conn.table('vectors', epoch)} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["text", "vector", "bytea"])
            for chunk, vector, signs in zip(chunks, passages.vectors, passages.token_states, strict=True):
                copy.write_row((chunk.id, vector, signs or None))
    _add_counts(conn, epoch, Counter(word for words in of_chunks for word in {lexeme(each) for each in words}))
    return sum(map(len, of_chunks))


def vectors(conn: Connection, epoch: int, chunk_ids: Collection[str]) -> dict[str, FloatArray]:
    """The vectors with these ids. Unknown ids are left out."""
    with conn.cursor(binary=True) as cursor:
        query = f"SELECT chunk_id, embedding FROM {conn.table('vectors', epoch)} WHERE chunk_id = ANY(%s)"
        return dict(cursor.execute(query, (list(chunk_ids),)).fetchall())


def drop_index_rows(conn: Connection, epoch: int, chunk_ids: Collection[str]) -> int:
    """Remove chunks from the word and vector indexes. Return the (negative) change in the number of words."""
    if not chunk_ids:
        return 0
    ids = list(chunk_ids)
    conn.execute(f"DELETE FROM {conn.table('vectors', epoch)} WHERE chunk_id = ANY(%s)", (ids,))
    deleted = conn.execute(
        f"DELETE FROM {conn.table('words', epoch)} WHERE chunk_id = ANY(%s) RETURNING length, tsvector_to_array(words)",
        (ids,),
    ).fetchall()
    counted = Counter(word for _, words in deleted for word in words)
    _add_counts(conn, epoch, {word: -chunks for word, chunks in counted.items()})
    return -sum(int(length) for length, _ in deleted)


def tidy_word_counts(conn: Connection, epoch: int, *, much_changed: bool) -> None:
    """Merge the rows of each word that has many rows of counts.

    With `much_changed`, also merge pending entries into the full-text index and update the planner's statistics.
    """
    counts = conn.table("word_counts", epoch)
    conn.execute(
        f"WITH many AS (SELECT word FROM {counts} GROUP BY word HAVING count(*) > {_MAX_ROWS_PER_WORD}),"
        f" gone AS (DELETE FROM {counts} WHERE word IN (SELECT word FROM many) RETURNING word, chunks)"
        f" INSERT INTO {counts} SELECT word, sum(chunks) FROM gone GROUP BY word"
    )
    if much_changed:
        conn.execute("SELECT gin_clean_pending_list(%s)", (f"{conn.table('words', epoch)}_words",))
        conn.execute(f"ANALYZE {', '.join(conn.table(name, epoch) for name in EPOCH_TABLES)}")


def _add_counts(conn: Connection, epoch: int, counts: "Counter[str] | dict[str, int]") -> None:
    with conn.cursor() as cursor, cursor.copy(f"COPY {conn.table('word_counts', epoch)} FROM STDIN") as copy:
        for row in counts.items():
            copy.write_row(row)


def _words_of(chunk: Chunk) -> str:
    """The heading path, summary and text of a chunk. Their words have equal weight."""
    return str(_text(f"{chunk.context}\n{chunk.text}"))


def _text(value: object) -> object:
    """Replace NUL, which PostgreSQL cannot store, by U+FFFD, if `value` is a string. Offsets stay the same."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
