"""Creates, upgrades and drops the tables and indexes of the schema.

`migrations/` contains one file for each version of the tables that all collections share. Writers apply missing
migrations in one transaction. Readers do not change the schema; they raise an error whose hint is the command to run.
"""

from pathlib import Path
from typing import Final

from psycopg import errors

from streamrag_cli.errors import StoreError
from streamrag_cli.store.backend import missing_collection
from streamrag_cli.store.interface import damaged
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.establish import EPOCH_TABLES, Connection
from streamrag_cli.store.postgres.ownership import require_trusted

_MIGRATIONS: Final = sorted(Path(__file__).with_name("migrations").glob("*.sql"))
VERSION: Final = len(_MIGRATIONS)
_OLDEST_READABLE: Final = 3  # documents in this version have no dates or tags
_SHARED_OWNER: Final = (
    "SELECT quote_ident(rolname) FROM pg_namespace JOIN pg_roles ON pg_roles.oid = nspowner"
    " WHERE pg_namespace.oid = to_regnamespace(%s) AND NOT rolsuper AND rolname <> current_user"
    " AND pg_has_role(pg_roles.oid, 'MEMBER')"
)
"""Selects the owner of the schema if it is a role that the user is only a member of."""
_MAX_DIMENSIONS: Final = 2000
_MAX_DIMENSIONS_HALF: Final = 4000  # the maximum dimensions of pgvector's index at full and half precision


def migrate(conn: Connection, address: PostgresUrl) -> None:
    """Create or upgrade the schema. Concurrent writers wait for each other."""
    require_trusted(conn, address, writing=True)
    if _version(conn) == VERSION:
        return
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"streamrag {address.schema}",))
        if conn.execute("SELECT to_regnamespace(quote_ident(%s))", (address.schema,)).fetchone() == (None,):
            conn.execute(f"CREATE SCHEMA {conn.store}")
        require_trusted(conn, address, writing=True)
        conn.execute(
            f"CREATE TABLE IF NOT EXISTS {conn.table('migrations')}"
            " (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        version = _version(conn)
        if version > VERSION:
            raise _format_error(address, version)
        for number, file in enumerate(_MIGRATIONS[version:], start=version + 1):
            conn.execute(_qualified(conn, file))
            conn.execute(f"INSERT INTO {conn.table('migrations')} (version) VALUES (%s)", (number,))


def active_epoch(conn: Connection, address: PostgresUrl, collection: str) -> tuple[int, bool]:
    """Return the active epoch of a collection, and whether its documents have dates and tags.

    Raises StoreError `store_missing`, or `store_format` if this program does not support the version of the schema.
    """
    query = (
        f"SELECT (SELECT max(version) FROM {conn.table('migrations')}),"
        f" (SELECT epoch FROM {conn.table('collections')} WHERE name = %s)"
    )
    try:
        [(version, epoch)] = conn.execute(query, (collection,)).fetchall()
    except errors.UndefinedTable:
        raise missing_collection(address, collection) from None
    if not isinstance(version, int | None) or not isinstance(epoch, int | None) or (epoch is not None and epoch < 1):
        raise damaged(f"the collection {collection!r} in {address} is damaged: its version or epoch is malformed")
    if not _OLDEST_READABLE <= (version or 0) <= VERSION:
        raise _format_error(address, version or 0)
    if epoch is None:
        raise missing_collection(address, collection)
    return epoch, version == VERSION


def _version(conn: Connection) -> int:
    """The version of the schema; 0 if the schema does not exist."""
    try:
        with conn.transaction():
            [(version,)] = conn.execute(f"SELECT coalesce(max(version), 0) FROM {conn.table('migrations')}").fetchall()
    except errors.UndefinedTable:
        return 0
    return int(version)


def _format_error(address: PostgresUrl, version: int) -> StoreError:
    if version > VERSION:
        hint = "upgrade streamrag to the version that created the schema"
    else:
        hint = "upgrade the schema: streamrag ingest PATH"
    return StoreError(
        f"the schema in {address} has format {version}, but this version of streamrag reads format {VERSION}",
        code="store_format",
        hint=hint,
    )


def create_epoch(conn: Connection, collection: str, embedding: str) -> int:
    """Create an empty epoch and return its id. Must run inside a transaction."""
    [(epoch,)] = conn.execute(
        f"INSERT INTO {conn.table('epochs')} (collection, embedding) VALUES (%s, %s) RETURNING id",
        (collection, embedding),
    ).fetchall()
    tables = _qualified(conn, Path(__file__).with_name("epoch.sql"))
    create_tables(conn, tables.replace("EPOCH", str(int(epoch))))
    return int(epoch)


def create_tables(conn: Connection, statements: str) -> None:
    """Run `statements` as the owner of the schema, so that the tables belong to it. Must run inside a transaction."""
    owner = conn.execute(_SHARED_OWNER, (conn.store,)).fetchone()
    if (
        owner is not None
    ):  # otherwise other members of that role, and users to whom it grants access, could not use the tables
        conn.execute(f"SET LOCAL ROLE {owner[0]}")
    conn.execute(statements)
    if owner is not None:
        conn.execute("RESET ROLE")


def _qualified(conn: Connection, file: Path) -> str:
    """Read the statements in `file`, and replace STORE and EXTENSION with the store's and pgvector's schemas."""
    statements = file.read_text(encoding="utf-8")
    return statements.replace("STORE.", f"{conn.store}.").replace("EXTENSION.", f"{conn.extension}.")


def drop_epoch(conn: Connection, epoch: int) -> bool:
    """Drop an inactive epoch. Return False if a reader still uses it; the next writer then drops it."""
    try:
        with conn.transaction():
            conn.execute("SET LOCAL lock_timeout = '100ms'")
            names = ", ".join(conn.table(name, epoch) for name in EPOCH_TABLES)
            conn.execute(f"DROP TABLE IF EXISTS {names}")
            conn.execute(f"DELETE FROM {conn.table('epochs')} WHERE id = %s", (epoch,))
    except (errors.LockNotAvailable, errors.DeadlockDetected):
        return False
    return True


def set_embedding(conn: Connection, epoch: int, embedding: str, dimension: int, *, index: bool) -> tuple[str, int]:
    """Set the embedder and dimension of an epoch, unless it already has vectors. Return the stored values.

    With `index`, also create the vector index. Must run inside a transaction.
    """
    # Lock the row only before the first vectors, because the lock blocks other writers for a whole batch.
    for lock in ("", " FOR UPDATE"):
        [(made_with, known)] = conn.execute(
            f"SELECT embedding, dimension FROM {conn.table('epochs')} WHERE id = %s{lock}", (epoch,)
        ).fetchall()
        if known is not None:
            return str(made_with), int(known)
    conn.execute(
        f"ALTER TABLE {conn.table('vectors', epoch)} ALTER COLUMN embedding TYPE {conn.extension}.vector({dimension})"
    )
    if index:
        create_vector_index(conn, epoch, dimension)
    conn.execute(
        f"UPDATE {conn.table('epochs')} SET embedding = %s, dimension = %s WHERE id = %s", (embedding, dimension, epoch)
    )
    return embedding, dimension


def create_vector_index(conn: Connection, epoch: int, dimension: int) -> None:
    """Create the vector index, unless the dimension is too large for pgvector. Searches then read every vector."""
    column, operators = "embedding", "vector_cosine_ops"
    if dimension > _MAX_DIMENSIONS:
        column, operators = f"(embedding::{conn.extension}.halfvec({dimension}))", "halfvec_cosine_ops"
    if dimension <= _MAX_DIMENSIONS_HALF:
        name = f"vectors_{epoch}_nearest"
        vectors = conn.table("vectors", epoch)
        conn.execute(
            f"CREATE INDEX IF NOT EXISTS {name} ON {vectors} USING hnsw ({column} {conn.extension}.{operators})"
        )


def cosine(conn: Connection) -> str:
    """An SQL expression for the exact cosine of a row's vector and another vector, for which it has a placeholder."""
    return f"1 - (embedding OPERATOR({conn.extension}.<=>) %b)"


def distance(conn: Connection, dimension: int) -> str:
    """An SQL expression for ORDER BY that uses the vector index. It has a placeholder for the question's vector."""
    if _MAX_DIMENSIONS < dimension <= _MAX_DIMENSIONS_HALF:
        half = f"{conn.extension}.halfvec({dimension})"
        return f"embedding::{half} OPERATOR({conn.extension}.<=>) %b::{conn.extension}.vector::{half}"
    return f"embedding OPERATOR({conn.extension}.<=>) %b"
