"""A collection in PostgreSQL, open for writing.

The documents, chunks, words and vectors of a batch are written in one transaction, so there is nothing to repair after
a crash. Other writers can write at the same time, except to the folders that this writer has locked. All writers update
the same row of counts. They do so at the end of a transaction, so they block each other only during the commit.
"""

import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg

from streamrag_cli.errors import StoreError
from streamrag_cli.model import DocumentRecord, UnreadFile
from streamrag_cli.store.interface import (
    Embed,
    EmbeddedPassages,
    FloatArray,
    WrittenDocument,
    busy,
    dimension_mismatch,
    embedding_mismatch,
)
from streamrag_cli.store.postgres import rows, schema
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.advisory_locks import AdvisoryLocks
from streamrag_cli.store.postgres.connection import connect, connected
from streamrag_cli.store.postgres.errors import translate_errors, translate_malformed
from streamrag_cli.store.postgres.establish import Connection
from streamrag_cli.store.postgres.manifest import PostgresManifest, Session
from streamrag_cli.store.postgres.ownership import require_trusted
from streamrag_cli.store.postgres.watchers import forget_watchers
from streamrag_cli.store.rows import EVERYTHING, unread_from_text, unread_to_text, with_unread

_DROP_ATTEMPTS: Final = 50
"""The maximum number of attempts to drop the tables of an epoch, each of which waits 100 ms for readers."""


@contextmanager
def open_for_writing(
    address: PostgresUrl, collection: str, *, embedding: str, rebuild: bool = False
) -> "Iterator[PostgresWriter]":
    """Like `Store.writer`. With `rebuild`, writes go to a new epoch. Also raises the errors of `connect`."""
    conn = connect(address, create=True)
    try:
        with _irreparable(rebuild=rebuild), translate_errors(address, writing=True):
            with translate_malformed(address):
                writer = PostgresWriter(conn, address, collection, embedding=embedding, rebuild=rebuild)
            yield writer
            with translate_malformed(address):
                writer.finish()
    finally:
        conn.close()


@contextmanager
def _irreparable(*, rebuild: bool) -> Iterator[None]:
    """During a rebuild, replace the hint of `store_damaged`, because a rebuild does not repair shared tables."""
    try:
        yield
    except StoreError as error:
        if rebuild and error.code == "store_damaged":
            error.hint = "use a new schema: add schema=NAME to the store's address"
        raise


def remove_collection(address: PostgresUrl, collection: str) -> None:
    """Deactivate a collection in one step, then drop its tables. Raises StoreError."""
    with closing(connect(address)) as conn, translate_errors(address, writing=True):
        require_trusted(conn, address, writing=True)
        AdvisoryLocks(conn, address, collection).lock_exclusive([EVERYTHING])
        conn.execute(f"DELETE FROM {conn.table('collections')} WHERE name = %s", (collection,))
        forget_watchers(conn, collection)
        for (epoch,) in conn.execute(
            f"SELECT id FROM {conn.table('epochs')} WHERE collection = %s ORDER BY id", (collection,)
        ):
            if not any(schema.drop_epoch(conn, epoch) for _ in range(_DROP_ATTEMPTS)):
                raise busy(
                    f"the collection {collection!r} is still being read to answer a question, so its tables have not"
                    " been dropped",
                    hint=f"streamrag ingest --remove --all --yes -c {shlex.quote(collection)}",
                )


def has_remains(address: PostgresUrl, collection: str) -> bool:
    """Whether an interrupted removal of the collection left tables behind."""
    with connected(address) as conn:
        require_trusted(conn, address, writing=False)
        epochs, collections = conn.table("epochs"), conn.table("collections")
        query = (
            f"SELECT EXISTS (SELECT FROM {epochs} WHERE collection = %(name)s)"
            f" AND NOT EXISTS (SELECT FROM {collections} WHERE name = %(name)s)"
        )
        try:
            return conn.execute(query, {"name": collection}).fetchone() == (True,)
        except psycopg.errors.UndefinedTable:
            return False


class PostgresWriter:
    """A `Writer`; created by `open_for_writing`."""

    def __init__(
        self, conn: Connection, address: PostgresUrl, collection: str, *, embedding: str, rebuild: bool
    ) -> None:
        self._conn = conn
        self._address = address
        self._collection = collection
        self._embedding = embedding
        self._rebuild = rebuild
        self._locks = AdvisoryLocks(conn, address, collection)
        self._written = 0
        self._manifest = PostgresManifest(self._session)
        schema.migrate(conn, address)
        if rebuild:
            self._locks.lock_exclusive([EVERYTHING])
        else:
            self._locks.lock_shared()
        self._epoch = self._open_epoch()
        self._drop_other_epochs(self._epoch, self._active_epoch())

    def _open_epoch(self) -> int:
        with self._conn.transaction():
            self._conn.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", (f"{self._locks.name} is made",)
            )
            current = None if self._rebuild else self._active_epoch()
            if current is None:
                current = schema.create_epoch(self._conn, self._collection, self._embedding)
                if not self._rebuild:
                    self._activate(current)
            self._conn.execute(
                f"UPDATE {self._conn.table('epochs')} SET embedding = %s WHERE id = %s AND dimension IS NULL",
                (self._embedding, current),
            )
        [(made_with,)] = self._conn.execute(
            f"SELECT embedding FROM {self._conn.table('epochs')} WHERE id = %s", (current,)
        ).fetchall()
        if made_with != self._embedding:
            raise embedding_mismatch(self._collection, stored=made_with, requested=self._embedding)
        return current

    def _active_epoch(self) -> int | None:
        row: Any = self._conn.execute(
            f"SELECT epoch FROM {self._conn.table('collections')} WHERE name = %s", (self._collection,)
        ).fetchone()
        return int(row[0]) if row else None

    def _activate(self, epoch: int) -> None:
        self._conn.execute(
            f"INSERT INTO {self._conn.table('collections')} VALUES (%s, %s) "
            " ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch",
            (self._collection, epoch),
        )

    def _drop_other_epochs(self, *needed: int | None) -> None:
        """Drop epochs left by interrupted or superseded rebuilds. This writer's lock excludes concurrent rebuilds."""
        others = self._conn.execute(
            f"SELECT id FROM {self._conn.table('epochs')} WHERE collection = %s AND id <> ALL(%s) ORDER BY id",
            (self._collection, [each for each in needed if each is not None]),
        ).fetchall()
        for (epoch,) in others:
            schema.drop_epoch(self._conn, epoch)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with translate_malformed(self._address):
            yield Session(self._conn, self._epoch)

    @property
    def catalog(self) -> PostgresManifest:
        return self._manifest

    def repair(self, embed: Embed) -> int:  # noqa: ARG002
        """Always return 0. Because writes are transactions, there is nothing to repair."""
        return 0

    def prepare(self) -> None:
        """Do nothing, because the connection is already open."""

    def vectors(self, chunk_ids: Collection[str]) -> dict[str, FloatArray]:
        return rows.vectors(self._conn, self._epoch, chunk_ids) if chunk_ids else {}

    def write(self, documents: Sequence[WrittenDocument], passages: EmbeddedPassages) -> None:
        self._ensure_locked()
        chunks = [chunk for _, of_document in documents for chunk in of_document]
        with self._conn.transaction():
            self._check_embedding(passages.vectors)
            removed = rows.remove_documents(self._conn, self._epoch, [record.path for record, _ in documents])
            rows.add_documents(self._conn, self._epoch, documents)
            retained = removed.chunk_ids & {chunk.id for chunk in chunks}
            words = rows.drop_index_rows(self._conn, self._epoch, removed.chunk_ids - retained)
            fresh = [row for row, chunk in enumerate(chunks) if chunk.id not in retained]
            fresh_passages = EmbeddedPassages(passages.vectors[fresh], [passages.token_states[row] for row in fresh])
            of_chunks = [record.language for record, of_document in documents for _ in of_document]
            words += rows.add_index_rows(
                self._conn,
                self._epoch,
                [chunks[row] for row in fresh],
                [of_chunks[row] for row in fresh],
                fresh_passages,
            )
            self._count(len(documents) - removed.documents, len(chunks) - len(removed.chunk_ids), words)
        self._written += len(chunks)

    def remove(self, paths: Iterable[str]) -> None:
        self._ensure_locked()
        with self._conn.transaction():
            removed = rows.remove_documents(self._conn, self._epoch, list(paths))
            words = rows.drop_index_rows(self._conn, self._epoch, removed.chunk_ids)
            self._count(-removed.documents, -len(removed.chunk_ids), words)

    def touch(self, records: Iterable[DocumentRecord]) -> None:
        self._ensure_locked()
        with self._conn.transaction(), self._conn.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {self._conn.table('documents', self._epoch)} SET source = %s, size = %s,"
                " mtime_ns = %s, read_at_ns = %s, recipe = %s, date = %s, tags = %s WHERE path = %s",
                [rows.touched_row(each) for each in records],
            )

    def add_roots(self, roots: Iterable[str]) -> None:
        """Record and lock the paths that are being ingested. Raises StoreError `store_busy`."""
        paths = list(roots)
        self._locks.lock_exclusive(paths)
        with self._conn.transaction(), self._conn.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {self._conn.table('roots')} VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [(self._epoch, root) for root in paths],
            )

    def remove_roots(self, roots: Iterable[str]) -> None:
        self._conn.execute(
            f"DELETE FROM {self._conn.table('roots')} WHERE epoch = %s AND path = ANY(%s)", (self._epoch, list(roots))
        )

    def record_unread(self, roots: Sequence[str], files: Sequence[UnreadFile]) -> None:
        table = self._conn.table("epochs")
        with self._conn.transaction():  # writers for other folders wait until this row is unlocked
            [(known,)] = self._conn.execute(
                f"SELECT unread_files FROM {table} WHERE id = %s FOR UPDATE", (self._epoch,)
            ).fetchall()
            unread = with_unread(unread_from_text(known), roots, files)
            self._conn.execute(
                f"UPDATE {table} SET unread_files = %s WHERE id = %s", (unread_to_text(unread), self._epoch)
            )

    def set_cosine_range(self, cosine_range: str) -> None:
        self._conn.execute(
            f"UPDATE {self._conn.table('epochs')} SET cosine_range = %s WHERE id = %s", (cosine_range, self._epoch)
        )

    def finish(self) -> None:
        """Record the time of the ingest and, after a rebuild, activate the new epoch."""
        former = self._active_epoch()
        with self._conn.transaction():
            self._conn.execute(
                f"UPDATE {self._conn.table('epochs')} SET last_ingest = now() WHERE id = %s", (self._epoch,)
            )
            if self._rebuild:
                dimension = self._manifest.meta("dimension")
                if dimension:
                    schema.create_vector_index(self._conn, self._epoch, int(dimension))
                self._activate(self._epoch)
        rows.tidy_word_counts(self._conn, self._epoch, much_changed=self._written * 10 > self._manifest.counts().chunks)
        if self._rebuild and former is not None:
            schema.drop_epoch(self._conn, former)

    def _ensure_locked(self) -> None:
        if not self._locks.exclusive:
            self._locks.lock_exclusive([EVERYTHING])

    def _check_embedding(self, vectors: FloatArray) -> None:
        if not len(vectors):
            return
        dimension = vectors.shape[1]
        # An epoch is not searched before it is active, and creating the index at the end is much faster.
        made_with, known = schema.set_embedding(
            self._conn, self._epoch, self._embedding, dimension, index=not self._rebuild
        )
        if made_with != self._embedding:  # another writer wrote the first vectors
            raise embedding_mismatch(self._collection, stored=made_with, requested=self._embedding)
        if known != dimension:
            raise dimension_mismatch(self._collection, stored=known, returned=dimension)

    def _count(self, documents: int, chunks: int, words: int) -> None:
        self._conn.execute(
            f"UPDATE {self._conn.table('epochs')} SET generation = generation + 1,"
            " documents = documents + %s, chunks = chunks + %s, words = words + %s WHERE id = %s",
            (documents, chunks, words, self._epoch),
        )
