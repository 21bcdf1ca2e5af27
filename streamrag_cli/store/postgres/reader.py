"""A collection in PostgreSQL, open for reading."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import local
from typing import Final
from weakref import WeakKeyDictionary

import psycopg

from streamrag_cli.errors import StoreError
from streamrag_cli.model import Filter
from streamrag_cli.store.interface import Counts, FloatArray, ScoredIds, Selection, StoredChunk, damaged
from streamrag_cli.store.postgres import ranking, rows, selections
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.connection import Connections
from streamrag_cli.store.postgres.errors import translate_errors, translate_malformed
from streamrag_cli.store.postgres.establish import Connection
from streamrag_cli.store.postgres.manifest import PostgresManifest, Session
from streamrag_cli.store.postgres.ownership import require_trusted
from streamrag_cli.store.postgres.schema import active_epoch, cosine
from streamrag_cli.store.stemming import stems
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, TimeLimit

# Deleted entries stay in the index until a vacuum, so a search may have to visit more entries. `lock_timeout` is longer
# than the time limit of a search, because it only ends statements on the server that could not be cancelled.
_BEGIN: Final = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL hnsw.ef_search = 200;"
    " SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL jit = off; SET LOCAL lock_timeout = '20s'"
)
_ATTEMPTS: Final = 5


class PostgresReader:
    """A `Reader`. Each thread has its own connection and its own snapshot."""

    def __init__(self, address: PostgresUrl, collection: str) -> None:
        self._address = address
        self._collection = collection
        self._connections = Connections(address)
        self._thread_state = local()
        self._manifest = PostgresManifest(self.session)
        self._checked: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()
        """Connections on which the owners of the schema and its tables were checked, each with the checked epoch."""
        self._selected: tuple[tuple[int, int], Filter, Selection] | None = None

    @contextmanager
    def snapshot(self, limit: TimeLimit | None = None) -> Iterator[None]:
        if limit is None or getattr(self._thread_state, "session", None) is not None:
            with self._opened(None):
                yield
            return
        limit.check()
        with self._opened(limit):
            yield

    @property
    def is_prepared(self) -> bool:
        """Always True, because connecting takes only milliseconds."""
        return True

    def prepare(self, limit: TimeLimit | None = None) -> None:
        """Do nothing, because connecting takes only milliseconds."""

    def close(self) -> None:
        self._connections.close()

    @property
    def catalog(self) -> PostgresManifest:
        return self._manifest

    @property
    def embedding(self) -> str:
        with self.snapshot(
            TimeLimit(RETRIEVAL_LIMIT_S)
        ):  # commands that open a collection for questions read this value
            return self._manifest.meta("embedding") or ""

    def counts(self) -> Counts:
        return self._manifest.counts()

    def require_chunks(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        chunks = self._manifest.chunks(chunk_ids)
        if lost := [each for each in chunk_ids if each not in chunks]:
            raise self._damaged(f"passages listed in the indexes but missing: {len(lost)}")
        return [chunks[each] for each in chunk_ids]

    def select(self, scope: Filter) -> Selection:
        # Cached, because each question resolves its filter twice, and the questions in a chat share a filter.
        with self.session() as session:
            state = session.epoch, self._manifest.generation
            selected = self._selected
            if selected is None or selected[:2] != (state, scope):
                self._selected = selected = state, scope, selections.select(session, scope)
            return selected[2]

    def within(self, chunk_ids: Iterable[str], selection: Selection) -> set[str]:
        with self.session() as session:
            return selections.within(session, chunk_ids, selection)

    def search_text(self, words: Sequence[str], limit: int, selection: Selection | None = None) -> ScoredIds:
        with self.session() as session:
            [(chunks, of_words)] = session.rows(
                f"SELECT chunks, words FROM {session.shared('epochs')} WHERE id = %s", (session.epoch,)
            )
            [stemmed] = stems([" ".join(words)], are_separate=True)
            size = ranking.Size(chunks=chunks, words=of_words)
            return ranking.best(session.conn, session.epoch, stemmed, size, limit, selection)

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        distinct = list(dict.fromkeys(terms))
        with self.session() as session:
            counts = ranking.frequencies(session.conn, session.epoch, list(map(ranking.lexeme, distinct)))
        return {term: counts[ranking.lexeme(term)] for term in distinct}

    def nearest(self, vector: FloatArray, limit: int, selection: Selection | None = None) -> ScoredIds:
        with self.session() as session:
            if selection is not None:
                return selections.nearest(session, vector, limit, selection)
            return selections.nearest_of_all(session, vector, limit)

    def search_both(
        self, words: Sequence[str], vector: FloatArray, limit: int, selection: Selection | None = None
    ) -> tuple[ScoredIds, ScoredIds]:
        # The searches run one after the other, because a second connection could see a different state.
        return self.search_text(words, limit, selection), self.nearest(vector, limit, selection)

    def cosines(self, vector: FloatArray, ids: Sequence[str]) -> dict[str, float]:
        with self.session() as session:
            query = f"SELECT chunk_id, {cosine(session.conn)} FROM {session.table('vectors')} WHERE chunk_id = ANY(%s)"
            return dict(session.rows(query, (vector, list(ids))))

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        import numpy as np

        with self.session() as session:
            vectors = rows.vectors(session.conn, session.epoch, ids)
            if lost := [each for each in ids if each not in vectors]:
                raise self._damaged(f"{len(lost)} of {len(ids)} vectors are missing")
            return np.array([vectors[each] for each in ids], dtype=np.float32)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session for reading and converting rows. Malformed rows raise StoreError `store_damaged`."""
        with translate_malformed(self._address), self._opened(None) as session:
            yield session

    @contextmanager
    def _opened(self, limit: TimeLimit | None) -> Iterator[Session]:
        """This thread's session, or a new one if it has none. `limit` includes connecting and waiting for locks."""
        session: Session | None = getattr(self._thread_state, "session", None)
        if session is not None:
            with translate_errors(self._address):
                yield session
            return
        with self._connections.acquire(self._start, limit) as session:
            self._thread_state.session = session
            try:
                yield session
            finally:
                self._thread_state.session = None

    def _start(self, conn: Connection) -> Session:
        conn.execute(_BEGIN)
        checked = self._checked.get(conn)
        if checked is None:
            require_trusted(conn, self._address, writing=False)
        epoch, has_tags = self._epoch(conn)
        if checked not in {None, epoch}:
            require_trusted(conn, self._address, writing=False)
        self._checked[conn] = epoch
        return Session(conn, epoch, has_tags)

    def _epoch(self, conn: Connection) -> tuple[int, bool]:
        """Lock the active epoch's tables, so that they are not dropped during the snapshot.

        Returns the same values as `active_epoch`.
        """
        epoch, has_tags = active_epoch(conn, self._address, self._collection)
        for _ in range(_ATTEMPTS):
            tables = ", ".join(conn.table(name, epoch) for name in ("chunks", "words", "vectors"))
            try:
                conn.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE")
            except psycopg.errors.UndefinedTable:
                # A rebuild may have replaced the epoch since the snapshot began.
                conn.execute("ROLLBACK")
                conn.execute(_BEGIN)
                previous = epoch
                epoch, has_tags = active_epoch(conn, self._address, self._collection)
                if previous == epoch:
                    raise
            else:
                return epoch, has_tags
        raise StoreError(
            f"the collection {self._collection!r} in {self._address} is being rebuilt repeatedly",
            code="store_busy",
            hint="try again in a moment",
            retryable=True,
        )

    def _damaged(self, why: str) -> StoreError:
        return damaged(f"the collection {self._collection!r} in {self._address} is damaged: {why}")
