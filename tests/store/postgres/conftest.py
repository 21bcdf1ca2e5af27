"""A store in PostgreSQL."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.postgres_server import fresh_schema, server_url
from tests.support.stores import PostgresStore


@pytest.fixture
def store() -> Iterator[PostgresStore]:
    """A schema in which nothing is yet."""
    with fresh_schema() as place:
        yield PostgresStore(place)


@pytest.fixture
def database() -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
    """The server's own user, to look at what is there and to do harm."""
    with psycopg.connect(server_url(), autocommit=True) as conn:
        yield conn
