"""Fixtures with a store in PostgreSQL."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.postgres_server import fresh_schema, server_url
from tests.support.stores import PostgresStore


@pytest.fixture
def store() -> Iterator[PostgresStore]:
    """A store in a new, empty schema."""
    with fresh_schema() as place:
        yield PostgresStore(place)


@pytest.fixture
def database() -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
    """A connection as superuser, to inspect tables and to cause faults."""
    with psycopg.connect(server_url(), autocommit=True) as conn:
        yield conn
