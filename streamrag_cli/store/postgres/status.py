"""Lists, checks and drops the collections in a schema."""

from contextlib import closing

from psycopg import errors

from streamrag_cli.counting import counted_noun
from streamrag_cli.store.backend import CollectionStatus, IntegrityReport
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.connection import connect, connected
from streamrag_cli.store.postgres.errors import translate_errors
from streamrag_cli.store.postgres.establish import EPOCH_TABLES
from streamrag_cli.store.postgres.ownership import foreign_owner, require_trusted
from streamrag_cli.store.postgres.reader import PostgresReader
from streamrag_cli.store.time_limit import Cancellation


def collections(address: PostgresUrl, *, non_empty: bool, cancellation: Cancellation | None = None) -> list[str]:
    """The names of the collections, sorted. With `non_empty`, only collections that have documents."""
    with connected(address, cancellation) as conn:
        require_trusted(conn, address, writing=False)
        epochs = conn.table("epochs")
        condition = f" JOIN {epochs} ON epochs.id = collections.epoch WHERE documents > 0" if non_empty else ""
        query = f"SELECT name FROM {conn.table('collections')}{condition} ORDER BY 1"
        try:
            return [name for (name,) in conn.execute(query)]
        except errors.UndefinedTable:
            return []


def status_of(address: PostgresUrl, collection: str) -> CollectionStatus:
    """The status of one collection. Raises StoreError `store_missing`."""
    with closing(PostgresReader(address, collection)) as reader, reader.session() as session:
        [(size_bytes,)] = session.rows(
            "SELECT sum(pg_total_relation_size(each::regclass)) FROM unnest(%s::text[]) AS each",
            ([session.table(name) for name in EPOCH_TABLES],),
        )
        return CollectionStatus.of(collection, reader.catalog, size_bytes=int(size_bytes))


def check_integrity(address: PostgresUrl, collection: str) -> IntegrityReport:
    """Check whether the tables of a collection are consistent. PostgreSQL's own files and indexes are not checked."""
    with closing(PostgresReader(address, collection)) as reader, reader.session() as session:
        owner = foreign_owner(session.conn, address)
        counts, generation = reader.counts(), reader.catalog.generation
        documents_table, chunks_table = session.table("documents"), session.table("chunks")
        [(documents, chunks)] = session.rows(
            f"SELECT (SELECT count(*) FROM {documents_table}), (SELECT count(*) FROM {chunks_table})"
        )
        [(orphans,)] = session.rows(
            f"SELECT count(*) FROM {chunks_table} LEFT JOIN {documents_table} ON id = document_id WHERE id IS NULL"
        )
        [(words,)], [(vectors,)] = (
            session.rows(
                f"SELECT count(*) FROM {chunks_table} AS c FULL JOIN {session.table(name)} AS i USING (chunk_id)"
                " WHERE c.chunk_id IS NULL OR i.chunk_id IS NULL"
            )
            for name in ("words", "vectors")
        )
    contained = f"{counted_noun(documents, 'document')} and {counted_noun(chunks, 'passage')}"
    recorded = f"{counts.documents:,} and {counts.chunks:,}"
    problems = {
        f"the tables contain {contained}, but the recorded counts are {recorded}": (documents, chunks)
        != (counts.documents, counts.chunks),
        counted_noun(orphans, "passage belongs to no document", "passages belong to no document"): orphans,
        f"the passages and the full-text index differ in {counted_noun(words, 'entry', 'entries')}": words,
        f"the passages and the vectors differ in {counted_noun(vectors, 'entry', 'entries')}": vectors,
    }
    contents = f"{counted_noun(counts.chunks, 'passage')} of {counted_noun(counts.documents, 'document')}"
    contents += "; every passage has a full-text entry and a vector"
    return IntegrityReport(
        chunks=counts.chunks,
        summary=f"{contents}; generation {generation}{f'; the schema belongs to {owner!r}' if owner else ''}",
        figures={"documents": counts.documents, "chunks": counts.chunks, "generation": generation},
        problems=tuple(clause for clause, has_problem in problems.items() if has_problem),
    )


def drop_schema(address: PostgresUrl) -> None:
    """Drop the schema with all its collections."""
    with closing(connect(address)) as conn, translate_errors(address):
        conn.execute(f"DROP SCHEMA IF EXISTS {conn.store} CASCADE")
