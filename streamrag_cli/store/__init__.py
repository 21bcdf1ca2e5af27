"""Where chunks are kept and found again: a SQLite catalog and Chroma vectors behind one `Collection`."""
