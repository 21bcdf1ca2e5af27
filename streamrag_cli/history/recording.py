"""Writes one answer into the log while it streams, in a thread, so that no token waits for the disk.

SQLite is imported in the thread, when the command waits for the model anyway.
"""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from streamrag_cli.events import THINKING_SHOWN, AskEvent, Citations, Done, Error, Sources, Token
from streamrag_cli.history.location import LogError
from streamrag_cli.model import Source
from streamrag_cli.text import without_secret

if TYPE_CHECKING:
    import sqlite3

EVERY_S: Final = 0.5
"""The time between two writes of an answer. A killed process loses at most the text of this time."""
INTERRUPTED: Final = "interrupted"
COMPLETE: Final = "complete"
SOURCE_KEYS: Final = ("n", "source", "path", "page", "line_start", "line_end", "title", "score", "chunk_id")
_TIMINGS: Final = ("retrieval_ms", "first_token_ms", "total_ms", "tokens_per_second")


@dataclass(slots=True, kw_only=True)
class Entry:
    """What the log records about one question. The API key `secret` is masked in all text."""

    thread: str
    terminal: str
    question: str
    extra: str
    collection: str
    store: str
    model: str
    started_at: str
    keep_days: int
    secret: str = ""
    state: str = INTERRUPTED
    pieces: list[str] = field(default_factory=list)
    sources: tuple[Source, ...] = ()
    cited: tuple[str, ...] = ()
    finish_reason: str = ""
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
                known = {name: getattr(event.timings, name) for name in _TIMINGS}
                self.timings = {name: round(value, 1) for name, value in known.items() if value is not None}
            case Error(code=code):
                self.state = code
            case _ if event == THINKING_SHOWN:
                self.pieces = []

    @property
    def answer(self) -> str:
        return self.masked("".join(self.pieces))

    def masked(self, text: str) -> str:
        return without_secret(text, self.secret, "[key]")

    @property
    def sources_json(self) -> str:
        """The sources without the text of their passages."""
        return json.dumps([{key: getattr(each, key) for key in SOURCE_KEYS} for each in self.sources])


class Recording:
    """The record of one answer, which a `LogWriter` writes at least once a second while it changes, and at the end.

    `ended` becomes the error that prevented this, or None. With `announce`, `is_first` is then set if nobody has been
    informed yet that questions are logged. A turn that another process deletes is not written again.
    """

    def __init__(self, entry: Entry, *, announce: bool) -> None:
        self.ended: Future[LogError | None] = Future()
        self.ended.set_running_or_notify_cancel()  # an event loop that is cancelled must not cancel it
        self.is_first = False
        self._entry = entry
        self._announce = announce
        self._changed = threading.Event()
        self._finished = threading.Event()

    def add(self, event: AskEvent) -> None:
        self._entry.add(event)
        self._changed.set()

    def finish(self) -> None:
        """Let the writer write what is left. `ended` reports when this is done."""
        self._finished.set()
        self._changed.set()

    def write(self, db: "sqlite3.Connection") -> None:
        """Write until the recording is finished. Runs in the thread of the writer. Raises sqlite3.Error."""
        from streamrag_cli.history.entries import insert, is_busy, prune, update

        row: int | None = None
        while True:
            finished = self._finished.is_set()
            self._changed.clear()
            try:
                if row is None:
                    row, self.is_first = insert(db, self._entry, announce=self._announce)
                    prune(db, self._entry.started_at, self._entry.keep_days)
                update(db, row, self._entry, finished=finished)
            except db.OperationalError as error:
                if finished or not is_busy(error):
                    raise
            if finished:
                return
            self._changed.wait()
            self._finished.wait(EVERY_S)


class LogWriter:
    """A thread with a connection to the log, which it creates if necessary. It writes one recording after another.

    The connection is never closed (see `database.open_log`): the thread ends with the process.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._queue: SimpleQueue[Recording] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self, recording: Recording) -> None:
        self._queue.put(recording)
        if self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        from streamrag_cli.history.database import open_to_write, translated_errors

        db: sqlite3.Connection | None = None
        opened: tuple[int, int] | None = None
        while True:
            recording = self._queue.get()
            error: LogError | None = LogError("the log failed", code="log_damaged")
            try:
                with translated_errors(self._file):
                    if db is None or opened != _identity(self._file):  # the user may have removed the file
                        db = open_to_write(self._file)
                        opened = _identity(self._file)
                    recording.write(db)
                error = None
            except LogError as failure:
                error = failure
            finally:
                recording.ended.set_result(error)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
