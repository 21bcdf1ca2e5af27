"""Safely opens files and directories that were found in a folder, even if the folder has changed since then.

A file may be read hours after its folder was listed. If a link has replaced the file or a directory above it, that link
must not lead out of the folder. Therefore each component of a resolved path is opened relative to the previous one, and
fails if it is a link.
"""

import errno
import os
import stat
from typing import Final

from streamrag_cli.errors import DocumentError

_MAX_PATH_BYTES: Final = 4096
_AS_DIRECTORY: Final = os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)


def open_resolved(path: str, flags: int) -> int:
    """Open the absolute `path`, which contained no link when it was found. Returns a file descriptor.

    Raises `DocumentError` `replaced_by_link` if the path now contains a link, and OSError.
    """
    if len(os.fsencode(path)) >= _MAX_PATH_BYTES:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    *above, name = [part for part in path.split("/") if part] or ["."]
    directory = os.open("/", _AS_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in above:
            below = _open_in(directory, part, _AS_DIRECTORY)
            os.close(directory)
            directory = below
        return _open_in(directory, name, flags)
    finally:
        os.close(directory)


def open_directory(path: str) -> int:
    """Like `open_resolved`, for a directory that will be listed."""
    return open_resolved(path, os.O_RDONLY | os.O_DIRECTORY)


def _open_in(directory: int, name: str, flags: int) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR} and _is_link(directory, name):
            raise DocumentError(
                "the path was replaced by a symbolic link after discovery", code="replaced_by_link"
            ) from error
        raise


def _is_link(directory: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return False
