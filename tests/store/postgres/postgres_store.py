"""A store of which it is known that it is in PostgreSQL."""

from dataclasses import dataclass

from streamrag_cli.store.address import PostgresUrl
from tests.store.stores import Store


@dataclass(frozen=True)
class PostgresStore(Store):
    place: PostgresUrl
