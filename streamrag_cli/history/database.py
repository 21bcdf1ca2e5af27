"""The SQLite file of the log: where it is, how it is opened, and what its errors mean.

$XDG_STATE_HOME/streamrag/log.db     0600, in a directory of the user (0700); SQLite adds log.db-wal and log.db-shm
"""

import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from streamrag_cli.errors import StoreError

VERSION: Final = 1
BUSY_S: Final = 0.5
"""How long a statement waits for other processes, whose transactions take milliseconds."""
_APPLICATION_ID: Final = 0x73726C67
_NEXT_TO_IT: Final = ("", "-wal", "-shm", "-journal")


class LogError(StoreError):
    """The log cannot be opened, read or written. Never the reason for a missing answer."""


def log_file(environment: Mapping[str, str]) -> Path:
    """Raises LogError `no_log_directory` if neither HOME nor XDG_STATE_HOME is an absolute path."""
    state = Path(environment.get("XDG_STATE_HOME", ""))
    home = Path(environment.get("HOME", ""))
    if not state.is_absolute() and not home.is_absolute():
        hint = 'export XDG_STATE_HOME="$PWD/.state"'
        raise LogError("there is no directory for the log, because HOME is not set", code="no_log_directory", hint=hint)
    return (state if state.is_absolute() else home / ".local/state") / "streamrag" / "log.db"


def open_for_reading(file: Path, *, busy_s: float = 5.0) -> sqlite3.Connection | None:
    """A connection to the log, or None if it does not exist. Raises LogError."""
    with translated_errors(file):
        if not _checked(file):
            return None
        return _connect(file, busy_s)


def open_for_writing(file: Path, *, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """A connection to the log, which is created if it does not exist. Raises LogError."""
    with translated_errors(file):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = file.parent.stat()
        if directory.st_uid == os.getuid() and stat.S_IMODE(directory.st_mode) != 0o700:
            file.parent.chmod(0o700)
        if not _checked(file):
            # The file is opened and closed only here: closing it would release the locks of other connections.
            with suppress(FileExistsError):
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return _connect(file, busy_s)


def _checked(file: Path) -> bool:
    """Whether the file exists. It is made private if it is not. Raises OSError if it is not a regular file."""
    exists = False
    for suffix in _NEXT_TO_IT:
        path = file.with_name(file.name + suffix)
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise LogError(
                f"the log {path} is not a regular file",
                code="log_not_a_file",
                hint=f"move it away: mv {path} {path}.old",
            )
        if status.st_mode & 0o077 and status.st_uid == os.getuid():
            path.chmod(0o600)
        exists = exists or not suffix
    return exists


def _connect(file: Path, busy_s: float) -> sqlite3.Connection:
    uri = f"{file.as_uri()}?mode=rw"
    db = sqlite3.connect(uri, uri=True, timeout=busy_s, check_same_thread=False, isolation_level=None)
    try:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA synchronous = NORMAL")  # with a WAL, a killed process loses nothing
        _check_version(db, file, busy_s)
    except BaseException:
        db.close()
        raise
    return db


def _check_version(db: sqlite3.Connection, file: Path, busy_s: float) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        _create(db, busy_s)
    elif db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise LogError(
            f"{file} is not a log of streamrag", code="log_damaged", hint=f"move it away: mv {file} {file}.old"
        )
    elif version > VERSION:
        raise LogError(
            f"the log {file} was written by a newer version of streamrag",
            code="log_newer",
            hint=f"upgrade streamrag, or move the log away: mv {file} {file}.newer",
        )


def _create(db: sqlite3.Connection, busy_s: float) -> None:
    """Create the tables, unless another process has just done so."""
    deadline_s = time.monotonic() + busy_s
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:  # SQLite does not wait for another process that does the same
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)
    with transaction(db):
        if db.execute("PRAGMA user_version").fetchone()[0]:
            return
        script = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
        for statement in script.split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """A short write transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def translated_errors(file: Path) -> Iterator[None]:
    """Turn errors of SQLite and the operating system into LogError."""
    try:
        yield
    except LogError:
        raise
    except OSError as error:
        message = f"the log {file} cannot be opened: {error.strerror or error}"
        raise LogError(message, code="log_not_writable", hint="streamrag log path") from error
    except (sqlite3.Error, UnicodeError) as error:
        raise _log_error(file, error) from error


def _log_error(file: Path, error: Exception) -> LogError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        message = f"the log {file} is locked by another process"
        return LogError(message, code="log_busy", hint="retry later", retryable=True)
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM")):
        message = f"the log {file} cannot be written: {error}"
        return LogError(message, code="log_not_writable", hint="streamrag log path")
    message = f"the log {file} is damaged: {error}"
    return LogError(message, code="log_damaged", hint="streamrag log rm --all")
