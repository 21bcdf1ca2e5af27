"""A store in a directory: a catalog in SQLite, vectors in Chroma."""
