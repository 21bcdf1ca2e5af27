"""What is in a schema, and the end of one."""

from contextlib import closing

from psycopg import errors, sql

from streamrag_cli.store.backend import CollectionStatus, IntegrityReport
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.connection import connect
from streamrag_cli.store.postgres.errors import translated
from streamrag_cli.store.postgres.reader import PostgresReader


def collections(place: PostgresUrl, *, non_empty: bool) -> list[str]:
    """The names of the collections, sorted; with `non_empty` of those with a document in them."""
    some = " JOIN {epochs} ON epochs.id = collections.epoch WHERE documents > 0" if non_empty else ""
    names = {each: sql.Identifier(place.schema, each) for each in ("collections", "epochs")}
    with closing(connect(place)) as conn, translated(place):
        try:
            query = sql.SQL(f"SELECT name FROM {{collections}}{some} ORDER BY 1").format(**names)
            return [name for (name,) in conn.execute(query)]
        except errors.UndefinedTable:
            return []


def status_of(place: PostgresUrl, collection: str) -> CollectionStatus:
    """One collection. Raises StoreError `store_missing`."""
    with closing(PostgresReader(place, collection)) as reader, reader.session() as session:
        [(size_bytes,)] = session.rows(
            "SELECT sum(pg_total_relation_size(format('%%I_%%s', each, %s::bigint)::regclass))"
            " FROM unnest(ARRAY['documents', 'chunks', 'words', 'word_counts', 'vectors']) AS each",
            (session.epoch,),
        )
        return CollectionStatus.of(collection, reader.catalog, size_bytes=int(size_bytes))


def check_integrity(place: PostgresUrl, collection: str) -> IntegrityReport:
    """What the tables say of each other. Of its files and indexes the database takes care itself."""
    with closing(PostgresReader(place, collection)) as reader, reader.session() as session:
        counts, epoch, generation = reader.counts(), session.epoch, reader.catalog.generation
        [(documents, chunks)] = session.rows(
            f"SELECT (SELECT count(*) FROM documents_{epoch}), (SELECT count(*) FROM chunks_{epoch})"
        )
        [(orphans,)] = session.rows(
            f"SELECT count(*) FROM chunks_{epoch} LEFT JOIN documents_{epoch} ON id = document_id WHERE id IS NULL"
        )
        [(without_words,)], [(without_vector,)] = (
            session.rows(
                f"SELECT count(*) FROM chunks_{epoch} AS c FULL JOIN {table}_{epoch} AS i USING (chunk_id)"
                " WHERE c.chunk_id IS NULL OR i.chunk_id IS NULL"
            )
            for table in ("words", "vectors")
        )
    counted = f"the {counts.documents:,} and {counts.chunks:,} counted"
    said = {
        f"{documents:,} documents and {chunks:,} chunks are not {counted}": (documents, chunks)
        != (counts.documents, counts.chunks),
        f"{orphans:,} chunks belong to no document": orphans,
        f"{without_words:,} chunks and entries of the full-text index do not go together": without_words,
        f"{without_vector:,} chunks and vectors do not go together": without_vector,
    }
    held = f"{counts.chunks:,} chunks of {counts.documents:,} documents, each with its words and its vector"
    return IntegrityReport(
        chunks=counts.chunks,
        summary=f"{held}; generation {generation}",
        figures={"documents": counts.documents, "chunks": counts.chunks, "generation": generation},
        problems=tuple(clause for clause, is_wrong in said.items() if is_wrong),
    )


def drop_schema(place: PostgresUrl) -> None:
    """Drop the schema with all its collections."""
    with closing(connect(place)) as conn, translated(place):
        conn.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(place.schema)))
