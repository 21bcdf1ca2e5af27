"""Removes the files that a store has created, and nothing else.

A collection's directory may also contain the user's own files, or may have been prepared by an attacker. Therefore only
entries with the names and the structure of a store are removed. Symbolic links are removed but never followed.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

EPOCH_NAME: Final = re.compile(r"epoch-[0-9a-f]{12}")
_EPOCH: Final = EPOCH_NAME.pattern
_INDEX: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # Chroma names an index by its UUID
_DATABASE_FILES: Final = r"\.sqlite3(?:-wal|-shm|-journal)?"
_OWN: Final = re.compile(
    rf"current\.json|current\.new|watch\.lock|{_EPOCH}(?:"
    rf"|/catalog{_DATABASE_FILES}|/vectors\.lock|/vectors\.turnstile|/vectors(?:"
    rf"|/chroma{_DATABASE_FILES}|/{_INDEX}(?:|/(?:data_level0|header|length|link_lists)\.bin|/index_metadata\.pickle)))"
)
"""Matches the paths of a store's files in a collection's directory. The writer lock, removed last, is not included."""
_OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_own_files(collection: Path, *, below: str = "", keep: str = "") -> list[Path]:
    """Remove the store's files from a collection's directory, or only from the entry `below` in it.

    Other entries are kept, and returned in sorted order. The entry `keep` is kept but not returned. Raises OSError.
    """
    with _opened(collection) as directory:
        if not below:
            return sorted(collection / each for each in _emptied(directory, "", keep))
        return sorted(collection / each for each in _removed(directory, below, below))


def _emptied(directory: int, prefix: str, keep: str = "") -> Iterator[str]:
    for name in os.listdir(directory):
        if name != keep:
            yield from _removed(directory, name, prefix + name)


def _removed(parent: int, name: str, path: str) -> Iterator[str]:
    """Remove the entry `name` from the directory `parent`, a file descriptor. Yield the paths of kept entries."""
    if not _OWN.fullmatch(path):
        yield path
        return
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=parent)
            return
        with _opened(name, parent) as directory:
            left = list(_emptied(directory, f"{path}/"))
        yield from left
        if not left:
            os.rmdir(name, dir_fd=parent)


@contextmanager
def _opened(path: str | Path, parent: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, _OPEN_DIRECTORY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
