"""Private copies of what cannot be opened in place, for a store that this process may read and not write.

Neither SQLite in WAL mode nor Chroma can open a database without writing next to it. On a read-only mount or a full
disk, or in another user's store, copies of the databases in the temporary directory are opened instead; a writable
store costs two system calls. Copies that a killed process has left are removed by the next one that makes some.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from streamrag_cli.errors import StoreError
from streamrag_cli.store.interface import busy
from streamrag_cli.system_errors import refusal

_PREFIX: Final = "streamrag-copy-"
_ATTEMPTS: Final = 20
_ROOM_BYTES: Final = 1 << 20
"""What opening both databases may write: SQLite 32 kB, Chroma some pages."""
_INDEX_MARKER: Final = "index_metadata.pickle"

Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]


def is_writable(file: Path) -> bool:
    """Whether this process can change the file and put others next to it. False on a read-only mount or a full disk."""
    return os.access(file.parent, os.W_OK | os.X_OK) and os.access(file, os.W_OK) and _has_room(file.parent)


def _has_room(directory: Path) -> bool:
    try:
        disk = os.statvfs(directory)
    except OSError:
        return True  # whoever opens the file learns what is wrong
    return disk.f_bavail * disk.f_frsize >= _ROOM_BYTES


class PrivateCopy:
    """A directory that is gone when it is closed. Raises StoreError if there is no place for it."""

    def __init__(self) -> None:
        try:
            _remove_abandoned()
            self.directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
        except OSError as error:
            place = Path(tempfile.gettempprefix() if isinstance(error, FileNotFoundError) else tempfile.gettempdir())
            raise _no_place(place, error) from error
        self._held = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._held, fcntl.LOCK_SH)

    def close(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self._held)

    def take(self, *files: Path) -> None:
        """Copy the files that exist into the directory. Raises OSError."""
        for file in files:
            with suppress(FileNotFoundError):
                self._copy(file)

    def _copy(self, file: Path) -> None:
        with file.open("rb") as source:
            try:
                with (self.directory / file.name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
            except OSError as error:
                raise _no_place(self.directory.parent, error) from error

    def link_indexes(self, vectors: Path) -> None:
        """Have Chroma find the indexes that are saved in `vectors`; a small one is not, and is made in memory."""
        for each in os.scandir(vectors):
            if each.is_dir() and os.path.exists(os.path.join(each.path, _INDEX_MARKER)):  # noqa: PTH110, PTH118
                (self.directory / each.name).symlink_to(os.path.abspath(each.path))  # noqa: PTH100


def copy_database(file: Path) -> tuple[PrivateCopy, Stamp]:
    """A consistent copy of an SQLite database in WAL mode, and the stamp it had. Raises OSError and StoreError.

    Whoever writes to it creates or changes its log first: a copy made while neither changed is of one state.
    """
    for _ in range(_ATTEMPTS):
        before = stamp_of(file)
        copy = PrivateCopy()
        try:
            copy.take(file, _log_of(file))
        except BaseException:
            copy.close()
            raise
        if stamp_of(file) == before:
            return copy, before
        copy.close()
    raise busy(f"{file} keeps changing")


def stamp_of(file: Path) -> Stamp:
    """Changes whenever the database does."""
    return tuple(map(_stamp, (file, _log_of(file))))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _remove_abandoned() -> None:
    """Copies whose process has ended; the lock on each tells."""
    for each in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if each.stat(follow_symlinks=False).st_uid != os.geteuid():
                continue
            held = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(each, ignore_errors=True)
            finally:
                os.close(held)


def _no_place(place: Path, error: OSError) -> StoreError:
    refused = refusal(place, error, writing=True, keeper="the temporary directory")
    if refused and refused.code in {"too_many_open_files", "out_of_memory"}:
        raise refused from error
    return StoreError(
        f"cannot copy the read-only store to {place}: {error.strerror}",
        code="store_not_writable",
        hint="choose a directory with enough space: export TMPDIR=DIR",
    )
