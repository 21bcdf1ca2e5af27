"""Opens an SQLite file, runs its snapshots and transactions, and translates SQLite's errors to StoreError."""

import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final

from streamrag_cli.errors import StoreError, StreamragError
from streamrag_cli.regular_files import require_regular_files
from streamrag_cli.store.interface import busy, damaged
from streamrag_cli.store.local.lock import not_writable
from streamrag_cli.store.local.private_copy import PrivateCopy, Stamp, copy_database, is_writable, stamp_of
from streamrag_cli.store.time_limit import TimeLimit
from streamrag_cli.system_errors import cannot_open, out_of_memory, reached_file_size_limit, refusal

_OPEN_ERRORS: Final = ("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_READONLY")
_WRITE_ERRORS: Final = ("SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM")
_STEPS_BETWEEN_CHECKS: Final = (
    2000  # instructions in SQLite's virtual machine: about 1 ms, or 10 ms in an expensive search
)


class Database(ABC):
    """An open SQLite file of a catalog. Safe to share between threads, which execute one statement at a time.

    With `create`, a new file is created for writing. Raises StoreError `store_damaged` if the file is not an intact
    catalog.
    """

    def __init__(self, file: Path, *, write: bool = False, create: bool = False) -> None:
        self._file = file
        self._write = write or create
        self._lock = RLock()
        self._copy: PrivateCopy | None = None
        self._copied_at: Stamp = ()
        self._limit: TimeLimit | None = None
        try:
            require_regular_files(file)
        except OSError as error:
            raise refusal(file, error) or damaged_catalog(file, error.strerror or str(error)) from error
        with self._translate_errors():
            try:
                self._open(create=create)
            except sqlite3.OperationalError:
                if self._write or is_writable(file) or not os.access(file, os.R_OK):
                    raise
                self._open_copy()

    def _open(self, *, create: bool = False) -> None:
        self._db = self._connect("rwc" if create else "rw")
        try:
            self._prepare(write=self._write, create=create)
        except BaseException:
            self._db.close()
            raise

    def _connect(self, mode: str) -> sqlite3.Connection:
        file = self._copy.directory / self._file.name if self._copy else self._file
        uri = f"{file.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=5, check_same_thread=False, isolation_level=None)

    def _open_copy(self) -> None:
        """Open a copy of the last committed state, because this process cannot create files next to the original."""
        try:
            self._copy, self._copied_at = copy_database(self._file)
        except OSError as error:
            raise refusal(self._file, error) or damaged_catalog(self._file, str(error)) from error
        try:
            self._open()
        except BaseException:
            self._copy.close()
            raise

    def is_outdated(self) -> bool:
        """Whether this catalog is a copy and the original has changed since the copy was made."""
        return self._copy is not None and stamp_of(self._file) != self._copied_at

    @abstractmethod
    def _prepare(self, *, write: bool, create: bool) -> None:
        """Configure a new connection; with `create`, also create the tables."""

    def close(self) -> None:
        with self._lock:
            self._db.close()
            if self._copy is not None:
                self._copy.close()
                self._copy = None

    @contextmanager
    def snapshot(self, limit: TimeLimit | None = None) -> Iterator[None]:
        """During the `with` block, all reads see one state, regardless of commits by other processes.

        Raises StoreError `retrieval_timeout` when `limit` expires.
        """
        with self._lock, self._translate_errors():
            self._db.execute("BEGIN")
            self._limit_to(limit)
            try:
                yield
            finally:
                self._limit_to(None)
                self._roll_back()

    def _limit_to(self, limit: TimeLimit | None) -> None:
        self._limit = limit
        self._db.set_progress_handler(limit.is_expired if limit else None, _STEPS_BETWEEN_CHECKS)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the `with` block in a transaction, which is atomic even if the process is killed."""
        with self._lock, self._translate_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # if the disk is full, SQLite has already rolled back
            self._db.execute("ROLLBACK")

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with self._lock, self._translate_errors():
            return self._db.execute(query, values).fetchall()

    def _execute(self, query: str, values: Sequence[object]) -> sqlite3.Cursor:
        with self._lock, self._translate_errors():
            return self._db.execute(query, values)

    def _many(self, query: str, rows: Sequence[Sequence[object]]) -> None:
        with self._lock, self._translate_errors():
            self._db.executemany(query, rows)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except StreamragError:
            raise
        except (sqlite3.Error, UnicodeDecodeError) as error:  # decoding fails if SQLite's message quotes damaged text
            if self._limit is not None and getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
                raise self._limit.error() from error
            raise _store_error(error, self._file, writing=self._write) from error
        except MemoryError as error:
            raise out_of_memory() from error


def _store_error(error: sqlite3.Error | UnicodeDecodeError, file: Path, *, writing: bool) -> StreamragError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(_OPEN_ERRORS) and (refused := cannot_open(file, file.parent.parent, writing=writing)):
        return refused
    if name.startswith(_OPEN_ERRORS) and (limit_error := reached_file_size_limit(file.parent)):
        return limit_error
    if name.startswith(_WRITE_ERRORS) or (name.startswith("SQLITE_CANTOPEN") and file.is_file()):
        return not_writable(file.parent.parent, str(error))
    if name == "SQLITE_NOMEM":
        return out_of_memory()
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return busy(f"{file} is locked")
    return damaged_catalog(file, str(error))


def damaged_catalog(file: Path, why: str) -> StoreError:
    return damaged(f"the catalog {file} is damaged: {why}")
