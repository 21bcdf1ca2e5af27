"""Opens only regular files. Opening a FIFO could block forever."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

_NEXT_TO_DATABASE: Final = ("", "-wal", "-shm", "-journal")


def require_regular_files(database: Path) -> bool:
    """Return whether a SQLite database exists. Raises OSError if it or one of its side files is not a regular file."""
    exists = [_is_regular(database.with_name(database.name + suffix)) for suffix in _NEXT_TO_DATABASE]
    return exists[0]


def _is_regular(file: Path) -> bool:
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{file.name} is not a regular file")
    return True


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_regular_file(file: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file. Raises OSError, even if the file is larger than `max_bytes`."""
    with open(file, "rb", opener=_open_without_waiting) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "the path is not a regular file")
        content = opened.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EINVAL, "the file is too large")
    return content
