"""Opens the log's SQLite file, and translates its errors."""

import os
import shlex
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from streamrag_cli.history.location import LogError, make_private_directory, not_writable

VERSION: Final = 1
WRITE_BUSY_S: Final = 1.0
"""How long writing an answer waits for a lock held by another process, whose transactions take milliseconds."""
COMMAND_BUSY_S: Final = 5.0
_APPLICATION_ID: Final = 0x73726C67
_FILES: Final = ("", "-wal", "-shm", "-journal")
_NOT_WRITABLE: Final = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM")


def open_to_write(file: Path, *, busy_s: float = WRITE_BUSY_S) -> sqlite3.Connection:
    """A connection to the log, which is created if it does not exist. Raises LogError.

    Do not close it at the end of an answer: closing the last connection copies the write-ahead log into the database
    and waits for the disk. This takes longer than everything else that is done for the log.
    """
    with translated_errors(file):
        make_private_directory(file.parent)
        if not _exists(file):
            # Only a new file is opened without SQLite: closing it releases the locks that other connections to the file
            # hold.
            with suppress(FileExistsError):
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        db = _connect(file, "rw", busy_s)
        try:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA synchronous = NORMAL")  # with a write-ahead log, a killed process loses nothing
            if not _is_initialized(db, file):
                _create(db, busy_s)
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection | None]:
    """A read-only connection to the log; None if it does not exist or is empty. Raises LogError.

    Closing this connection does not change the log, while closing the last writable connection does.
    """
    with translated_errors(file):
        if not _exists(file):
            yield None
            return
        with closing(_connect(file, "ro", COMMAND_BUSY_S)) as db:
            yield db if _is_initialized(db, file) else None


def _connect(file: Path, mode: str, busy_s: float) -> sqlite3.Connection:
    uri = f"{file.as_uri()}?mode={mode}"
    db = sqlite3.connect(uri, uri=True, timeout=busy_s, check_same_thread=False, isolation_level=None)
    db.text_factory = _decoded
    return db


def _decoded(text: bytes) -> str | bytes:
    """Decode a text of the database. Invalid UTF-8 is returned as bytes, so that it affects only its own row."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def _exists(file: Path) -> bool:
    """Whether the log exists. Its files are made private. Raises LogError if one of them is not a regular file."""
    exists = False
    for path in database_files(file):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            quoted = shlex.quote(str(path))
            raise LogError(
                f"the log {path} is not a regular file", code="log_not_a_file", hint=f"mv {quoted} {quoted}.old"
            )
        if status.st_mode & 0o077 and status.st_uid == os.getuid():
            path.chmod(0o600)
        exists = exists or path == file
    return exists


def database_files(file: Path) -> list[Path]:
    """The paths of the database and of the files that SQLite creates next to it."""
    return [file.with_name(file.name + suffix) for suffix in _FILES]


def has_version(db: sqlite3.Connection) -> bool:
    """Whether an open log still has the format that this version of streamrag writes."""
    return bool(db.execute("PRAGMA user_version").fetchone()[0] == VERSION)


def _is_initialized(db: sqlite3.Connection, file: Path) -> bool:
    """Whether the log has tables. Raises LogError if they belong to another program or a newer version."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return False
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise _damaged(file, "the file contains another program's database")
    if version > VERSION:
        quoted = shlex.quote(str(file))
        raise LogError(
            f"the log {file} was written by a newer version of streamrag",
            code="log_newer",
            hint=f"upgrade streamrag, or start a new log: mv {quoted} {quoted}.newer",
        )
    return True


def _create(db: sqlite3.Connection, busy_s: float) -> None:
    """Create the tables, unless another process has just done so."""
    deadline_s = time.monotonic() + busy_s
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:  # SQLite does not wait if another process does the same
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)
    with transaction(db):
        if db.execute("PRAGMA user_version").fetchone()[0]:
            return
        schema = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
        for statement in schema.split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Context manager for a short write transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite already rolls back if the disk is full
            db.execute("ROLLBACK")
        raise


def fact(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def set_fact(db: sqlite3.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))


@contextmanager
def translated_errors(file: Path) -> Iterator[None]:
    """Context manager that converts SQLite and operating system errors to LogError."""
    try:
        yield
    except LogError:
        raise
    except OSError as error:
        raise not_writable(file, error.strerror or str(error)) from error
    except sqlite3.Error as error:
        raise _log_error(file, error) from error
    except (ValueError, MemoryError, RecursionError) as error:
        raise _damaged(file, str(error)) from error


def _log_error(file: Path, error: sqlite3.Error) -> LogError:
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        message = f"the log {file} is locked by another process"
        return LogError(message, code="log_busy", hint=f"fuser -v {shlex.quote(str(file))}", retryable=True)
    if name.startswith(_NOT_WRITABLE):
        return not_writable(file, str(error))
    return _damaged(file, str(error))


def _damaged(file: Path, reason: str) -> LogError:
    quoted = shlex.quote(str(file))
    hint = f"start a new log: mv {quoted} {quoted}.damaged"
    return LogError(f"the log {file} is damaged: {reason}", code="log_damaged", hint=hint)
