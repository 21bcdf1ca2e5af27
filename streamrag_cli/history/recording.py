"""Writes one answer into the log while it streams, in a thread, so that no token waits for the disk."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from streamrag_cli.errors import StreamragError
from streamrag_cli.events import THINKING_SHOWN, AskEvent, Citations, Done, Error, Sources, Token
from streamrag_cli.history.database import LogError, open_for_writing, transaction, translated_errors
from streamrag_cli.store.stemming import separate

EVERY_S: Final = 0.5
"""The least time between two writes of an answer. A killed process loses at most the text of this time."""
INTERRUPTED: Final = "interrupted"
COMPLETE: Final = "complete"


@dataclass(slots=True, kw_only=True)
class Entry:
    """What the log records about one question; the fields from `pieces` on change while the answer streams."""

    thread: str
    terminal: str
    question: str
    extra: str
    collection: str
    store: str
    started_at: str
    model: str = ""
    pieces: list[str] = field(default_factory=list)
    state: str = INTERRUPTED
    finish_reason: str = ""
    sources: tuple[Any, ...] = ()
    cited: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    def add(self, event: AskEvent) -> None:
        """Apply an event of the answer."""
        match event:
            case Token(text=text):
                self.pieces.append(text)
            case Sources(sources=sources):
                self.sources = sources
            case Citations(citations=citations):
                self.cited = tuple(dict.fromkeys(each.chunk_id for each in citations))
            case Done():
                self.state, self.finish_reason, self.model = COMPLETE, event.finish_reason, event.model
                stages = ("retrieval_ms", "first_token_ms", "total_ms")
                self.timings = {name: ms for name in stages if (ms := getattr(event.timings, name)) is not None}
            case Error(code=code):
                self.state = code
            case _ if event == THINKING_SHOWN:
                self.pieces = []

    def sources_json(self) -> str:
        """The sources without the text of their passages."""
        names = ("n", "source", "path", "page", "line_start", "line_end", "title", "score", "chunk_id")
        return json.dumps([{name: getattr(each, name) for name in names} for each in self.sources])


class Recorder:
    """Writes an entry in a thread: at once, at least once a second while it changes, and at the end.

    `ended` becomes the error that made this impossible, or None. The text of an answer whose row was deleted by another
    process is not written again.
    """

    def __init__(self, file: Path, entry: Entry, secret: str = "") -> None:
        self.ended: Future[StreamragError | None] = Future()
        self._file = file
        self._entry = entry
        self._secret = secret
        self._changed = threading.Event()
        self._finished = threading.Event()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def add(self, event: AskEvent) -> None:
        self._entry.add(event)
        self._changed.set()

    def finish(self) -> None:
        """Let the thread write what is left and end."""
        self._finished.set()
        self._changed.set()

    def _run(self) -> None:
        try:
            with translated_errors(self._file):
                db = open_for_writing(self._file)
                try:
                    self._write_until_finished(db)
                finally:
                    db.close()
        except LogError as error:
            self.ended.set_result(error)
        else:
            self.ended.set_result(None)

    def _write_until_finished(self, db: sqlite3.Connection) -> None:
        row = _insert(db, self._entry)
        finished = False
        while not finished:
            self._changed.wait()
            finished = self._finished.is_set()
            self._changed.clear()
            _update(db, row, self._entry)
            if not finished:
                self._finished.wait(EVERY_S)


def _insert(db: sqlite3.Connection, entry: Entry) -> int:
    digest = hashlib.sha256(entry.extra.encode()).hexdigest() if entry.extra else ""
    with transaction(db):
        db.execute("INSERT OR IGNORE INTO threads (id, terminal) VALUES (?, ?)", (entry.thread, entry.terminal))
        db.execute("UPDATE threads SET terminal = ? WHERE id = ?", (entry.terminal, entry.thread))
        row = db.execute(
            "INSERT INTO turns (thread, n, started_at, question, extra_chars, extra_sha256, collection, store, model)"
            " SELECT ?, coalesce(max(n), 0) + 1, ?, ?, ?, ?, ?, ?, ? FROM turns WHERE thread = ?",
            (
                *(entry.thread, entry.started_at, entry.question, len(entry.extra), digest),
                *(entry.collection, entry.store, entry.model, entry.thread),
            ),
        ).lastrowid
        assert row is not None  # noqa: S101 - an INSERT sets it
        db.execute("INSERT INTO turns_fts (rowid, question, answer) VALUES (?, ?, '')", (row, separate(entry.question)))
    return row


def _update(db: sqlite3.Connection, row: int, entry: Entry) -> None:
    answer = "".join(entry.pieces)
    values = (answer, entry.state, entry.model, entry.finish_reason, entry.sources_json())
    with transaction(db):
        changed = db.execute(
            "UPDATE turns SET answer = ?, state = ?, model = ?, finish_reason = ?, sources = ?, cited = ?, timings = ?"
            " WHERE id = ?",
            (*values, json.dumps(entry.cited), json.dumps(entry.timings), row),
        ).rowcount
        if changed:
            db.execute("UPDATE turns_fts SET answer = ? WHERE rowid = ?", (separate(answer), row))
