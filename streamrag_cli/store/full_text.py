"""The upkeep of SQLite's full-text indexes."""

import sqlite3
from typing import Final

_STILL_MERGING: Final = 2
"""Changes from which on SQLite's manual says that a merge has more to do."""


def merged(database: sqlite3.Connection, table: str, pages: int) -> bool:
    """Merge about so many pages of the index, without the words of deleted rows; whether nothing is left to merge."""
    before = database.total_changes
    database.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (pages,))
    return database.total_changes - before < _STILL_MERGING
