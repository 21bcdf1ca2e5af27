"""Makes private copies of databases that cannot be opened in place because the store is read-only for this process.

SQLite in WAL mode and Chroma can open a database only if they can create files next to it. On a read-only mount, on a
full disk, or in another user's store, copies in the temporary directory are opened instead. Checking whether a store is
writable takes three system calls. Copies left behind by a killed process are removed when the next copy is made.
"""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from streamrag_cli.errors import StoreError
from streamrag_cli.scratch import ScratchDirectory
from streamrag_cli.store.interface import busy
from streamrag_cli.system_errors import refusal

_PREFIX: Final = "streamrag-copy-"
_ATTEMPTS: Final = 20
_MIN_FREE_BYTES: Final = 1 << 20
"""The minimum free space for opening both databases. SQLite may need 32 kB, and Chroma a few pages."""
_INDEX_MARKER: Final = "index_metadata.pickle"

Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]


def is_writable(file: Path) -> bool:
    """Whether this process can write to `file` and create other files next to it. False if the disk is full."""
    return os.access(file.parent, os.W_OK | os.X_OK) and os.access(file, os.W_OK) and _has_space(file.parent)


def _has_space(directory: Path) -> bool:
    try:
        disk = os.statvfs(directory)
    except OSError:
        return True  # opening the file will report the error
    return disk.f_bavail * disk.f_frsize >= _MIN_FREE_BYTES


class PrivateCopy:
    """A temporary directory for copies of files. `close` removes it. Raises StoreError if it cannot be created."""

    def __init__(self) -> None:
        try:
            self._scratch = ScratchDirectory(_PREFIX)
        except OSError as error:
            place = Path(tempfile.gettempprefix() if isinstance(error, FileNotFoundError) else tempfile.gettempdir())
            raise _cannot_copy(place, error) from error
        self.directory = self._scratch.path

    def close(self) -> None:
        self._scratch.close()

    def add(self, *files: Path) -> None:
        """Copy all `files` that exist. Raises OSError if one cannot be read, StoreError if it cannot be written."""
        for file in files:
            with suppress(FileNotFoundError):
                self._copy(file)

    def _copy(self, file: Path) -> None:
        with file.open("rb") as source:
            try:
                with (self.directory / file.name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
            except OSError as error:
                raise _cannot_copy(self.directory.parent, error) from error

    def link_indexes(self, vectors: Path) -> None:
        """Create links to the saved indexes in `vectors`. Small indexes are not saved; Chroma builds them in memory."""
        for each in os.scandir(vectors):
            if each.is_dir() and os.path.exists(os.path.join(each.path, _INDEX_MARKER)):  # noqa: PTH110, PTH118
                (self.directory / each.name).symlink_to(os.path.abspath(each.path))  # noqa: PTH100


def copy_database(file: Path) -> tuple[PrivateCopy, Stamp]:
    """Make a consistent copy of an SQLite database in WAL mode. Return the copy and the database's stamp.

    Every write first creates or changes the WAL. The copy is therefore consistent if neither the database nor its WAL
    changed during the copying. Raises OSError and StoreError.
    """
    for _ in range(_ATTEMPTS):
        before = stamp_of(file)
        copy = PrivateCopy()
        try:
            copy.add(file, _log_of(file))
        except BaseException:
            copy.close()
            raise
        if stamp_of(file) == before:
            return copy, before
        copy.close()
    raise busy(f"{file} keeps changing")


def stamp_of(file: Path) -> Stamp:
    """A value that changes whenever the database `file` changes."""
    return tuple(map(_stamp, (file, _log_of(file))))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _cannot_copy(place: Path, error: OSError) -> StoreError:
    refused = refusal(place, error, writing=True, keeper="the temporary directory")
    if refused and refused.code in {"too_many_open_files", "out_of_memory"}:
        raise refused from error
    return StoreError(
        f"cannot copy the read-only store to {place}: {error.strerror}",
        code="store_not_writable",
        hint="choose a directory with enough space: export TMPDIR=DIR",
    )
