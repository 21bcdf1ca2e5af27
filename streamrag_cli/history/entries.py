"""Writes and reads the rows of the log."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from streamrag_cli.history.database import fact, set_fact, transaction
from streamrag_cli.history.recording import Entry

_MAY_BE_UNSPACED: Final = re.compile("[\u0e00-\u1fff\u2e80-\U0010ffff]")
_COLUMNS: Final = (
    "id, thread, n, started_at, question, extra_chars, extra_sha256, answer, state, collection, store, model,"
    " finish_reason, sources, cited, timings"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedTurn:
    """A question and its answer as the log has them.

    `state` is `complete`, `interrupted` or the code of an error. `sources` have the keys `recording.SOURCE_KEYS`.
    """

    id: int
    thread: str
    n: int
    started_at: str
    question: str
    extra_chars: int
    extra_sha256: str
    answer: str
    state: str
    collection: str
    store: str
    model: str
    finish_reason: str
    sources: Sequence[Mapping[str, Any]]
    cited: Sequence[str]
    timings: Mapping[str, float]

    def to_mapping(self) -> dict[str, Any]:
        """The form in JSON."""
        return asdict(self)


def insert(db: sqlite3.Connection, entry: Entry, *, announce: bool) -> tuple[int, bool]:
    """Insert the row of an answer that begins.

    Returns its id, and whether the user has to be informed that questions are logged, which is done only once.
    """
    digest = hashlib.sha256(entry.extra.encode("utf-8", "replace")).hexdigest() if entry.extra else ""
    values = {
        **{name: getattr(entry, name) for name in ("thread", "terminal", "started_at", "state", "collection", "store")},
        "model": entry.model,
        "question": entry.masked(entry.question),
        "extra_chars": len(entry.extra),
        "extra_sha256": digest,
    }
    with transaction(db):
        row = db.execute(
            f"INSERT INTO turns ({', '.join(values)}, n) SELECT {', '.join(f':{name}' for name in values)},"
            " coalesce(max(n), 0) + 1 FROM turns WHERE thread = :thread",
            values,
        ).lastrowid
        is_first = announce and fact(db, "noticed") is None
        if is_first:
            set_fact(db, "noticed", entry.started_at)
    assert row is not None  # noqa: S101 - every INSERT sets it
    return row, is_first


def update(db: sqlite3.Connection, row: int, entry: Entry, *, finished: bool) -> None:
    """Write the current state of an answer; if `finished`, also make it searchable."""
    values = {
        **{name: getattr(entry, name) for name in ("answer", "state", "model", "finish_reason")},
        "sources": entry.sources_json,
        "cited": json.dumps(entry.cited),
        "timings": json.dumps(entry.timings),
    }
    with transaction(db):
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        changed = db.execute(f"UPDATE turns SET {assignments} WHERE id = :id", {**values, "id": row}).rowcount
        if finished and changed:
            _index(db, row, entry.masked(entry.question), values["answer"])


def prune(db: sqlite3.Connection, now: str, keep_days: int) -> None:
    """Delete conversations whose last turn is older than `keep_days`; checked once a day. Erases no free pages.

    `now` is in ISO 8601 (UTC).
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
        # Until its segments are merged, the full-text index keeps the words of deleted rows.
        db.execute("INSERT INTO turns_fts (turns_fts) VALUES ('optimize')")
        set_fact(db, "erasing", "1")
    return deleted


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process holds a lock."""
    return (getattr(error, "sqlite_errorname", None) or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def has_unindexed(db: sqlite3.Connection) -> bool:
    """Whether answers are not searchable yet, because they are being written or their process was killed."""
    return db.execute("SELECT 1 FROM turns WHERE NOT is_indexed LIMIT 1").fetchone() is not None


def index_unfinished(db: sqlite3.Connection) -> None:
    """Make these answers searchable."""
    with transaction(db):
        rows = db.execute("SELECT id, question, answer FROM turns WHERE NOT is_indexed").fetchall()
        for row, question, answer in rows:
            _index(db, row, question, answer)


def _index(db: sqlite3.Connection, row: int, question: str, answer: str) -> None:
    db.execute("DELETE FROM turns_fts WHERE rowid = ?", (row,))
    values = (row, _separated(question), _separated(answer))
    db.execute("INSERT INTO turns_fts (rowid, question, answer) VALUES (?, ?, ?)", values)
    db.execute("UPDATE turns SET is_indexed = 1 WHERE id = ?", (row,))


def _separated(text: str) -> str:
    if not _MAY_BE_UNSPACED.search(text):
        return text
    from streamrag_cli.store.stemming import separate  # compiles its patterns, 5 ms

    return separate(text)


def match_expression(words: str) -> str:
    """An FTS5 expression that matches texts with all the words, or "".

    >>> match_expression('retry "NOT x')
    '"retry" "NOT" "x"'
    """
    terms = re.findall(r"[^\s\"\0]+", words)
    return " ".join(f'"{part}"' for term in terms for part in _separated(term).split())


def find(
    db: sqlite3.Connection,
    *,
    limit: int | None = None,
    words: str = "",
    **conditions: object,
) -> list[LoggedTurn]:
    """The newest turns that satisfy all `conditions` (a key of `_CONDITIONS`; None is ignored), newest first."""
    wheres = {_CONDITIONS[name]: value for name, value in conditions.items() if value is not None}
    if words.strip():
        wheres["id IN (SELECT rowid FROM turns_fts WHERE turns_fts MATCH ?)"] = match_expression(words)
    where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
    query = f"SELECT {_COLUMNS} FROM turns{where} ORDER BY id DESC LIMIT ?"
    rows = db.execute(query, (*wheres.values(), -1 if limit is None else limit)).fetchall()
    return [_turn(row) for row in rows]


_CONDITIONS: Final = {
    "turn": "id = ?",
    "thread": "thread = ?",
    "collection": "collection = ?",
    "since": "started_at >= ?",
}


def _turn(row: Sequence[Any]) -> LoggedTurn:
    names = [name.strip() for name in _COLUMNS.split(",")]
    values = dict(zip(names, row, strict=True))
    return LoggedTurn(**values | {name: json.loads(values[name]) for name in ("sources", "cited", "timings")})
