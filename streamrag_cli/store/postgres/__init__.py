"""The same store in PostgreSQL with pgvector: for many servers, many writers and more chunks than one machine likes."""

from typing import TYPE_CHECKING

from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.store import PostgresStore

if TYPE_CHECKING:
    from streamrag_cli.store.kind import Store


def address(raw: str) -> PostgresUrl:
    return PostgresUrl(raw)


def open_store(address: PostgresUrl) -> "Store":
    return PostgresStore(address)
