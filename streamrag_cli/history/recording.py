"""Writes answers into the log while they stream, in a thread, so that no token waits for the disk.

SQLite is imported in the thread, while the command waits for the model anyway.
"""

import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from streamrag_cli.events import AskEvent
from streamrag_cli.history.entry import COMPLETE, Entry
from streamrag_cli.history.location import LogError

if TYPE_CHECKING:
    import sqlite3

_Connection: TypeAlias = "tuple[sqlite3.Connection, tuple[int, int] | None] | None"
"""A connection to the log, and the identity of the file that it has opened."""
EVERY_S: Final = 0.5
"""The time between two writes of an answer. A killed process loses at most the text that arrived in this time."""


class Recording:
    """The record of one answer. A `LogWriter` writes it at least once a second while it changes, and at the end.

    The result of `ended` is the error that prevented writing, or None. With `announce`, `is_first` is set if the answer
    is complete and the user has not been informed yet that questions are logged. A turn that another process deletes is
    not written again.
    """

    def __init__(self, entry: Entry, *, announce: bool) -> None:
        self.ended: Future[LogError | None] = Future()
        self.ended.set_running_or_notify_cancel()  # a cancelled event loop must not cancel the future
        self.is_first = False
        self._entry = entry
        self._announce = announce
        self._changed = threading.Event()
        self._finished = threading.Event()

    def add(self, event: AskEvent) -> None:
        self._entry.add(event)
        self._changed.set()

    def finish(self) -> None:
        """Have the writer write the rest of the record. `ended` has a result when this is done."""
        self._finished.set()
        self._changed.set()

    def write(self, db: "sqlite3.Connection") -> None:
        """Write the record until it is finished. Runs in the writer's thread. Raises sqlite3.Error."""
        from streamrag_cli.history.rows import erase_from_wal, insert, is_busy, note_first, prune, update

        row: int | None = None
        while True:
            finished = self._finished.is_set()
            self._changed.clear()
            try:
                if row is None:
                    row = insert(db, self._entry)
                    prune(db, self._entry.started_at, self._entry.keep_days)
                update(db, row, self._entry, finished=finished)
                if finished and self._announce and self._entry.state == COMPLETE:
                    self.is_first = note_first(db, self._entry.started_at)
            except db.OperationalError as error:
                if finished or not is_busy(error):
                    raise
            if finished:
                erase_from_wal(db)
                return
            self._changed.wait()
            self._finished.wait(EVERY_S)


class LogWriter:
    """A thread that writes one recording after another into the log, which it creates if necessary.

    Its connection to the log is never closed (see `database.open_to_write`): the thread ends with the process.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._recordings: deque[Recording] = deque()
        self._waiting = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self, recording: Recording) -> None:
        try:
            if self._thread.ident is None:
                self._thread.start()
        except RuntimeError as error:  # the limit on processes and threads is reached
            recording.ended.set_result(LogError(f"the log cannot be written: {error}", code="log_not_writable"))
            return
        self._recordings.append(recording)
        self._waiting.release()

    def _run(self) -> None:
        connection: _Connection = None
        while True:
            self._waiting.acquire()
            recording = self._recordings.popleft()
            try:
                connection = self._write(recording, connection)
            except LogError as error:
                recording.ended.set_result(error)
            except Exception as error:  # noqa: BLE001 - a failure in the log must not affect the answer
                message = f"the log cannot be written: {type(error).__name__}: {error}"
                recording.ended.set_result(LogError(message, code="log_not_writable"))
            else:
                recording.ended.set_result(None)

    def _write(self, recording: Recording, connection: "_Connection") -> "_Connection":
        """Write a recording and return the connection, which is new if the log's file was removed or upgraded."""
        from streamrag_cli.history.database import has_version, open_to_write, translated_errors

        with translated_errors(self._file):
            if connection is None or connection[1] != _identity(self._file) or not has_version(connection[0]):
                connection = open_to_write(self._file), _identity(self._file)
            recording.write(connection[0])
        return connection


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
