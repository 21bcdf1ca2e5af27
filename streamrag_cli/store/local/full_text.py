"""The upkeep of SQLite's full-text indexes."""

import sqlite3
from pathlib import Path
from typing import Final

from streamrag_cli.store.stemming import separate

_STILL_MERGING: Final = 2
"""Changes from which on SQLite's manual says that a merge has more to do."""


def merge(database: sqlite3.Connection, table: str, pages: int) -> bool:
    """Merge about so many pages of the index, without the words of deleted rows; whether nothing is left to merge."""
    before = database.total_changes
    database.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (pages,))
    return database.total_changes - before < _STILL_MERGING


def register(database: sqlite3.Connection) -> None:
    """Give a connection the function that the index's view and triggers call."""
    database.execute("PRAGMA trusted_schema = ON")  # else views and triggers may not call it
    database.create_function("separate", 2, separate, deterministic=True)


def create_index(database: sqlite3.Connection) -> None:
    """Create the index of the chunks' words, inside a transaction."""
    for statement in statements(Path(__file__).with_name("full_text.sql")):
        database.execute(statement)


def upgrade_index(database: sqlite3.Connection) -> None:
    """Replace the index of an earlier format and fill it from the chunks' text, inside a transaction.

    It takes about a second for 20,000 chunks. Nothing is read or embedded again.
    """
    for name in ("chunks_inserted", "chunks_deleted"):
        database.execute(f"DROP TRIGGER {name}")
    for name in ("chunks_terms", "chunks_fts"):
        database.execute(f"DROP TABLE {name}")
    database.execute("DROP VIEW IF EXISTS chunks_words")
    create_index(database)
    database.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('rebuild')")


def statements(script: Path) -> list[str]:
    """The statements of a file of SQL."""
    found, statement = [], ""
    for line in script.read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found
