"""Reads only regular files, because opening a FIFO could block forever, and replaces files atomically."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

_NEXT_TO_DATABASE: Final = ("", "-wal", "-shm", "-journal")


def require_regular_files(database: Path) -> bool:
    """Return whether a SQLite database exists.

    Raises OSError if it or one of its side files is not a regular file, such as a link to another database.
    """
    exists = [_is_regular(database.with_name(database.name + suffix)) for suffix in _NEXT_TO_DATABASE]
    return exists[0]


def _is_regular(file: Path) -> bool:
    try:
        mode = file.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{file.name} is not a regular file")
    return True


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_regular_file(file: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file. Raises OSError if it cannot be read or is larger than `max_bytes`."""
    with open(file, "rb", opener=_open_without_waiting) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "the path is not a regular file")
        content = opened.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EINVAL, "the file is too large")
    return content


@contextmanager
def replacing(file: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Write a file completely or not at all. Raises OSError.

    The block writes to a new file next to `file`, with the permissions `mode` (less the umask). At the end, the new
    file replaces `file`. If the block fails, the new file is deleted.
    """
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb", opener=partial(os.open, mode=mode)) as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
