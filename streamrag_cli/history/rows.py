"""Writes and deletes the rows of the log."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from streamrag_cli.history.database import fact, set_fact, transaction
from streamrag_cli.history.entry import Entry


def insert(db: sqlite3.Connection, entry: Entry) -> int:
    """Insert a row for an answer that has just started, and return the row's id."""
    digest = hashlib.sha256(entry.extra.encode("utf-8", "replace")).hexdigest() if entry.extra else ""
    values = {
        **{name: getattr(entry, name) for name in ("thread", "terminal", "started_at", "state", "collection", "store")},
        "model": entry.model,
        "question": entry.question,
        "extra_chars": len(entry.extra),
        "extra_sha256": digest,
    }
    with transaction(db):
        row = db.execute(
            f"INSERT INTO turns ({', '.join(values)}, n) SELECT {', '.join(f':{name}' for name in values)},"
            " coalesce(max(n), 0) + 1 FROM turns WHERE thread = :thread",
            values,
        ).lastrowid
    assert row is not None  # noqa: S101 - every INSERT sets it
    return row


def note_first(db: sqlite3.Connection, now: str) -> bool:
    """Whether the user must be informed that questions are logged. True for the first call only.

    `now` is in ISO 8601.
    """
    with transaction(db):
        is_first = fact(db, "noticed") is None
        if is_first:
            set_fact(db, "noticed", now)
    return is_first


def update(db: sqlite3.Connection, row: int, entry: Entry, *, finished: bool) -> None:
    """Write an answer's current state. If `finished`, also make the answer searchable."""
    values = {
        **{name: getattr(entry, name) for name in ("answer", "state", "model", "finish_reason")},
        "is_indexed": 0,
        "sources": entry.sources_json,
        "cited": json.dumps(entry.cited),
        "timings": json.dumps(entry.timings),
    }
    with transaction(db):
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        changed = db.execute(f"UPDATE turns SET {assignments} WHERE id = :id", {**values, "id": row}).rowcount
        if finished and changed:
            _index(db, row, entry.question, values["answer"])


def prune(db: sqlite3.Connection, now: str, keep_days: int) -> None:
    """Delete conversations whose last turn is older than `keep_days`. Does nothing if it was called earlier that day.

    `now` is in ISO 8601 (UTC). Call `erase_from_wal` afterwards.
    """
    if fact(db, "pruned") == now[:10]:
        return
    limit = (datetime.fromisoformat(now) - timedelta(days=keep_days)).isoformat(timespec="milliseconds")
    with transaction(db):
        delete_turns(db, "thread NOT IN (SELECT thread FROM turns WHERE started_at >= ?)", (limit,))
        set_fact(db, "pruned", now[:10])


def delete_turns(db: sqlite3.Connection, where: str, values: Sequence[object]) -> int:
    """Delete the turns that satisfy an SQL condition, and return their number. Must run inside a transaction.

    SQLite overwrites the deleted text in the database with zeros, but not in the write-ahead log.
    """
    db.execute(f"DELETE FROM turns_fts WHERE rowid IN (SELECT id FROM turns WHERE {where})", values)
    deleted = db.execute(f"DELETE FROM turns WHERE {where}", values).rowcount
    if deleted:
        # The full-text index keeps the words from deleted rows until its segments are merged.
        db.execute("INSERT INTO turns_fts (turns_fts) VALUES ('optimize')")
        set_fact(db, "erasing", "1")
    return deleted


def erase_from_wal(db: sqlite3.Connection) -> None:
    """Empty the write-ahead log after a deletion. If another process reads the log, the next call tries again."""
    if fact(db, "erasing") is not None and not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        db.execute("DELETE FROM facts WHERE name = 'erasing'")


def is_busy(error: sqlite3.Error) -> bool:
    """Whether the error means that another process has locked the database."""
    return (getattr(error, "sqlite_errorname", None) or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def has_unindexed(db: sqlite3.Connection) -> bool:
    """Whether the log has answers that are not searchable yet. They are being written, or their process was killed."""
    return db.execute("SELECT 1 FROM turns WHERE NOT is_indexed LIMIT 1").fetchone() is not None


def index_unfinished(db: sqlite3.Connection) -> None:
    """Make all answers searchable, including unfinished ones."""
    with transaction(db):
        rows = db.execute("SELECT id, question, answer FROM turns WHERE NOT is_indexed").fetchall()
        for row, question, answer in rows:
            _index(db, row, *(each if isinstance(each, str) else "" for each in (question, answer)))


def _index(db: sqlite3.Connection, row: int, question: str, answer: str) -> None:
    db.execute("DELETE FROM turns_fts WHERE rowid = ?", (row,))
    values = (row, separated(question), separated(answer))
    db.execute("INSERT INTO turns_fts (rowid, question, answer) VALUES (?, ?, ?)", values)
    db.execute("UPDATE turns SET is_indexed = 1 WHERE id = ?", (row,))


def separated(text: str) -> str:
    """The text for the full-text index: text in scripts without spaces is split into characters and character pairs."""
    # A pattern would take longer to compile than this takes. Between the two ranges are punctuation and symbols.
    if text.isascii() or not any("\u0e00" <= each < "\u2000" or each > "\u2e7f" for each in set(text)):
        return text
    from streamrag_cli.store.stemming import separate  # 5 ms

    return separate(text)
