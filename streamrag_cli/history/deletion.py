"""Deletes turns from the log, and erases their text from all of its files."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from streamrag_cli.history.database import (
    COMMAND_BUSY_S,
    database_files,
    fact,
    open_to_write,
    transaction,
    translated_errors,
)
from streamrag_cli.history.location import LogError
from streamrag_cli.history.rows import delete_turns
from streamrag_cli.history.shown_sources import forget

_ERASE_WITHIN_S: Final = 10.0


def delete(file: Path, where: str, values: Sequence[object] = ()) -> int:
    """Delete the turns that satisfy an SQL condition, erase their text, and return their number. Raises LogError.

    Also erases text left by earlier deletions that were interrupted.
    """
    with translated_errors(file):
        if not file.exists():
            return 0
        db = open_to_write(file, busy_s=COMMAND_BUSY_S)
        try:
            with transaction(db):
                deleted = delete_turns(db, where, values)
            if fact(db, "erasing") is not None:
                _erase(db, file)
        finally:
            db.close()
        return deleted


def delete_everything(file: Path) -> int | None:
    """Delete all turns and return their number. If the log cannot be read, remove its files and return None."""
    with translated_errors(file):
        forget(file)
    try:
        return delete(file, "1")
    except LogError as error:
        if error.code not in {"log_damaged", "log_newer"}:
            raise
    with translated_errors(file):
        for path in database_files(file):
            path.unlink(missing_ok=True)
    return None


def _erase(db: sqlite3.Connection, file: Path) -> None:
    """Rewrite the database without free pages, and empty the write-ahead log. Raises LogError `log_busy`."""
    deadline_s = time.monotonic() + _ERASE_WITHIN_S
    db.execute("VACUUM")
    db.execute("DELETE FROM facts WHERE name = 'erasing'")
    while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline_s:
            db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('erasing', '1')")
            raise LogError(
                f"the deleted text may still be in {file}-wal, because another process is reading the log",
                code="log_busy",
                hint="stop that process, then run: streamrag log rm --older 36500d",
                retryable=True,
            )
        time.sleep(0.05)
