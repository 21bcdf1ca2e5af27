"""Tables, indexes and migrations of the schema.

`migrations/` contains one file for each version of the tables that all collections share. Writers apply missing
migrations in one transaction. Readers change nothing; they raise an error with the command to run.
"""

from pathlib import Path
from typing import Final

from psycopg import errors, sql

from streamrag_cli.errors import StoreError
from streamrag_cli.store.backend import missing_collection
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.establish import Connection

_MIGRATIONS: Final = sorted(Path(__file__).with_name("migrations").glob("*.sql"))
VERSION: Final = len(_MIGRATIONS)
_EPOCH_TABLES: Final = ("documents", "chunks", "words", "word_counts", "vectors")
_MAX_DIMENSIONS: Final = 2000
_MAX_DIMENSIONS_HALF: Final = 4000  # the limits of pgvector's index at full and half precision


def migrate(conn: Connection, address: PostgresUrl) -> None:
    """Create or upgrade the schema. Concurrent writers wait for each other."""
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
        version = _version(conn, address)
        if version > VERSION:
            raise _format_error(address, version)
        for number, file in enumerate(_MIGRATIONS[version:], start=version + 1):
            conn.execute(file.read_text(encoding="utf-8"))
            conn.execute("INSERT INTO migrations (version) VALUES (%s)", (number,))


def active_epoch(conn: Connection, address: PostgresUrl, collection: str) -> int:
    """The active epoch. Raises StoreError `store_missing`, or `store_format` if the schema has another version."""
    # Names are qualified: if the schema does not exist yet, the search path leads to tables of other schemas.
    query = sql.SQL(
        "SELECT (SELECT max(version) FROM {schema}.migrations),"
        " (SELECT epoch FROM {schema}.collections WHERE name = %s)"
    ).format(schema=sql.Identifier(address.schema))
    try:
        [(version, epoch)] = conn.execute(query, (collection,)).fetchall()
    except errors.UndefinedTable:
        raise missing_collection(address, collection) from None
    if version != VERSION:
        raise _format_error(address, version or 0)
    if epoch is None:
        raise missing_collection(address, collection)
    return int(epoch)


def _version(conn: Connection, address: PostgresUrl) -> int:
    """The version of the schema; 0 if it does not exist."""
    migrations = sql.Identifier(address.schema, "migrations")
    try:
        with conn.transaction():
            [(version,)] = conn.execute(
                sql.SQL("SELECT coalesce(max(version), 0) FROM {}").format(migrations)
            ).fetchall()
    except errors.UndefinedTable:
        return 0
    return int(version)


def _format_error(address: PostgresUrl, version: int) -> StoreError:
    if version > VERSION:
        hint = "upgrade streamrag to the version that created the schema"
    else:
        hint = "upgrade the schema: streamrag ingest PATH"
    return StoreError(
        f"the schema in {address} has format {version}; this version reads format {VERSION}",
        code="store_format",
        hint=hint,
    )


def create_epoch(conn: Connection, collection: str, embedding: str) -> int:
    """Create an empty epoch. Must run inside a transaction."""
    [(epoch,)] = conn.execute(
        "INSERT INTO epochs (collection, embedding) VALUES (%s, %s) RETURNING id", (collection, embedding)
    ).fetchall()
    tables = Path(__file__).with_name("epoch.sql").read_text(encoding="utf-8")
    conn.execute(tables.replace("EPOCH", str(int(epoch))))
    return int(epoch)


def drop_epoch(conn: Connection, epoch: int) -> bool:
    """Drop an inactive epoch. Return False if a reader still uses it; the next writer then drops it."""
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
    """Set the embedder and dimension of an epoch that has no vectors yet. Return the values that are stored.

    With `index`, also create the vector index. Must run inside a transaction.
    """
    # Lock the row only before the first vectors, because the lock blocks other writers for a whole batch.
    for lock in ("", " FOR UPDATE"):
        [(made_with, known)] = conn.execute(
            f"SELECT embedding, dimension FROM epochs WHERE id = %s{lock}", (epoch,)
        ).fetchall()
        if known is not None:
            return str(made_with), int(known)
    conn.execute(f"ALTER TABLE vectors_{epoch} ALTER COLUMN embedding TYPE vector({dimension})")
    if index:
        create_vector_index(conn, epoch, dimension)
    conn.execute("UPDATE epochs SET embedding = %s, dimension = %s WHERE id = %s", (embedding, dimension, epoch))
    return embedding, dimension


def create_vector_index(conn: Connection, epoch: int, dimension: int) -> None:
    """Create the vector index. If the dimension is too large for pgvector, searches read every vector instead."""
    column, operators = "embedding", "vector_cosine_ops"
    if dimension > _MAX_DIMENSIONS:
        column, operators = f"(embedding::halfvec({dimension}))", "halfvec_cosine_ops"
    if dimension <= _MAX_DIMENSIONS_HALF:
        name = f"vectors_{epoch}_nearest"
        conn.execute(f"CREATE INDEX IF NOT EXISTS {name} ON vectors_{epoch} USING hnsw ({column} {operators})")


def distance(dimension: int) -> str:
    """The ORDER BY expression that uses the index, with a placeholder for the vector."""
    if _MAX_DIMENSIONS < dimension <= _MAX_DIMENSIONS_HALF:
        return f"embedding::halfvec({dimension}) <=> %b::vector::halfvec({dimension})"
    return "embedding <=> %b"
