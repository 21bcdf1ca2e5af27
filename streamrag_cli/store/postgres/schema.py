"""The tables, their versions and their indexes.

`migrations/` holds one file for each version of what all collections share; a writer applies those that are missing,
each in one transaction. A reader changes nothing and says what to run.
"""

from pathlib import Path
from typing import Final

from psycopg import errors, sql

from streamrag_cli.errors import StoreError
from streamrag_cli.store.backend import missing_collection
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.connection import Connection

_MIGRATIONS: Final = sorted(Path(__file__).with_name("migrations").glob("*.sql"))
VERSION: Final = len(_MIGRATIONS)
_EPOCH_TABLES: Final = ("documents", "chunks", "words", "word_counts", "vectors")
_MOST_INDEXED: Final = 2000
_MOST_INDEXED_HALF: Final = 4000  # dimensions that pgvector indexes, at full and at half precision


def migrate(conn: Connection, address: PostgresUrl) -> None:
    """Make the schema, or bring it up to date. Writers that come at once wait for each other."""
    if _version(conn, address) == VERSION:
        return
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"streamrag {address.schema}",))
        if conn.execute("SELECT to_regnamespace(quote_ident(%s))", (address.schema,)).fetchone() == (None,):
            conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(address.schema)))
        conn.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {}.migrations"
                " (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
            ).format(sql.Identifier(address.schema))
        )
        found = _version(conn, address)
        if found > VERSION:
            raise _another_format(address, found)
        for number, file in enumerate(_MIGRATIONS[found:], start=found + 1):
            conn.execute(file.read_text(encoding="utf-8"))
            conn.execute("INSERT INTO migrations (version) VALUES (%s)", (number,))


def current_epoch(conn: Connection, address: PostgresUrl, collection: str) -> int:
    """The epoch that counts. Raises StoreError `store_missing`, or `store_format` where it is another version's."""
    # Qualified: where our schema is not there yet, the search path leads to other people's tables.
    query = sql.SQL(
        "SELECT (SELECT max(version) FROM {schema}.migrations),"
        " (SELECT epoch FROM {schema}.collections WHERE name = %s)"
    ).format(schema=sql.Identifier(address.schema))
    try:
        [(version, epoch)] = conn.execute(query, (collection,)).fetchall()
    except errors.UndefinedTable:
        raise missing_collection(address, collection) from None
    if version != VERSION:
        raise _another_format(address, version or 0)
    if epoch is None:
        raise missing_collection(address, collection)
    return int(epoch)


def _version(conn: Connection, address: PostgresUrl) -> int:
    """0 where there is nothing yet."""
    migrations = sql.Identifier(address.schema, "migrations")
    try:
        with conn.transaction():
            [(version,)] = conn.execute(
                sql.SQL("SELECT coalesce(max(version), 0) FROM {}").format(migrations)
            ).fetchall()
    except errors.UndefinedTable:
        return 0
    return int(version)


def _another_format(address: PostgresUrl, found: int) -> StoreError:
    if found > VERSION:
        hint = "upgrade streamrag to the version that created it"
    else:
        hint = "upgrade the schema: streamrag ingest PATH"
    return StoreError(
        f"the schema in {address} has format {found}; this version reads format {VERSION}",
        code="store_format",
        hint=hint,
    )


def make_epoch(conn: Connection, collection: str, embedding: str) -> int:
    """Make an empty epoch, inside a transaction."""
    [(epoch,)] = conn.execute(
        "INSERT INTO epochs (collection, embedding) VALUES (%s, %s) RETURNING id", (collection, embedding)
    ).fetchall()
    tables = Path(__file__).with_name("epoch.sql").read_text(encoding="utf-8")
    conn.execute(tables.replace("EPOCH", str(int(epoch))))
    return int(epoch)


def drop_epoch(conn: Connection, epoch: int) -> bool:
    """Drop what no longer counts. False where a reader is still amid a question: the next writer will."""
    try:
        with conn.transaction():
            conn.execute("SET LOCAL lock_timeout = '100ms'")
            names = ", ".join(f"{table}_{epoch}" for table in _EPOCH_TABLES)
            conn.execute(f"DROP TABLE IF EXISTS {names}")
            conn.execute("DELETE FROM epochs WHERE id = %s", (epoch,))
    except (errors.LockNotAvailable, errors.DeadlockDetected):
        return False
    return True


def set_embedding(conn: Connection, epoch: int, embedding: str, dimension: int, *, index: bool) -> tuple[str, int]:
    """The embedding and dimension of the epoch's vectors, from now on these if it had none; inside a transaction."""
    # Locked only before the first vectors: a writer would hold up the others for as long as its batch takes.
    for lock in ("", " FOR UPDATE"):
        [(made_with, known)] = conn.execute(
            f"SELECT embedding, dimension FROM epochs WHERE id = %s{lock}", (epoch,)
        ).fetchall()
        if known is not None:
            return str(made_with), int(known)
    conn.execute(f"ALTER TABLE vectors_{epoch} ALTER COLUMN embedding TYPE vector({dimension})")
    if index:
        make_vector_index(conn, epoch, dimension)
    conn.execute("UPDATE epochs SET embedding = %s, dimension = %s WHERE id = %s", (embedding, dimension, epoch))
    return embedding, dimension


def make_vector_index(conn: Connection, epoch: int, dimension: int) -> None:
    """The index that finds neighbours. Beyond what pgvector can index, every search reads every vector."""
    column, operators = "embedding", "vector_cosine_ops"
    if dimension > _MOST_INDEXED:
        column, operators = f"(embedding::halfvec({dimension}))", "halfvec_cosine_ops"
    if dimension <= _MOST_INDEXED_HALF:
        name = f"vectors_{epoch}_nearest"
        conn.execute(f"CREATE INDEX IF NOT EXISTS {name} ON vectors_{epoch} USING hnsw ({column} {operators})")


def distance(dimension: int) -> str:
    """What to order by so that the index is used, with a place for the vector."""
    if _MOST_INDEXED < dimension <= _MOST_INDEXED_HALF:
        return f"embedding::halfvec({dimension}) <=> %b::vector::halfvec({dimension})"
    return "embedding <=> %b"
