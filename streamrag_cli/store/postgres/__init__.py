"""The backend for PostgreSQL with pgvector: for many servers, many writers and large collections."""

from streamrag_cli.store.postgres.store import PostgresStore as Store

__all__ = ["Store"]
