"""The same store in PostgreSQL with pgvector: for many servers, many writers and more chunks than one machine likes."""

from streamrag_cli.store.postgres.store import PostgresStore as Store

__all__ = ["Store"]
