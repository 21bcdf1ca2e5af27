"""Creates, upgrades and merges SQLite's full-text indexes."""

import sqlite3
from pathlib import Path
from typing import Final

from streamrag_cli.store.stemming import separate

_STILL_MERGING: Final = 2
"""If a merge step makes at least this many changes, another step is needed, according to SQLite's documentation."""


def merge(database: sqlite3.Connection, table: str, pages: int) -> bool:
    """Merge about `pages` pages of a full-text index and drop deleted rows. Return whether the merge is finished."""
    before = database.total_changes
    database.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (pages,))
    return database.total_changes - before < _STILL_MERGING


def register(database: sqlite3.Connection) -> None:
    """Register the SQL function that the view and triggers of the full-text index call."""
    database.execute("PRAGMA trusted_schema = ON")  # required for functions in views and triggers
    database.create_function("separate", -1, separate, deterministic=True)  # triggers in format 3 pass no language


def create_index(database: sqlite3.Connection) -> None:
    """Create the full-text index. Must run inside a transaction."""
    run_script(database, Path(__file__).with_name("full_text.sql"))


def upgrade_index(database: sqlite3.Connection) -> None:
    """Replace the index of an earlier format and rebuild it from the chunks' text. Must run inside a transaction.

    Takes about 1 s for 20,000 chunks. No file is read and nothing is embedded again.
    """
    for name in ("chunks_inserted", "chunks_deleted"):
        database.execute(f"DROP TRIGGER {name}")
    for name in ("chunks_terms", "chunks_fts"):
        database.execute(f"DROP TABLE {name}")
    database.execute("DROP VIEW IF EXISTS chunks_words")
    create_index(database)
    database.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('rebuild')")


def run_script(database: sqlite3.Connection, script: Path) -> None:
    """Run the statements in an SQL script inside the current transaction, which `executescript` would commit."""
    statement = ""
    for line in script.read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            database.execute(statement)
            statement = ""
