"""The backend for local directories: a catalog in SQLite and vectors in Chroma."""

from streamrag_cli.store.local.store import LocalStore as Store

__all__ = ["Store"]
