"""A store in a directory of this machine: a catalog in SQLite, vectors in Chroma."""

from streamrag_cli.store.local.store import LocalStore as Store

__all__ = ["Store"]
