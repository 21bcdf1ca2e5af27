"""The same store in PostgreSQL with pgvector: for many servers, many writers and more chunks than one machine likes."""
