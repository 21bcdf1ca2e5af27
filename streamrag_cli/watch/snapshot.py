"""The state of directories when they were last listed, to detect changes without events.

One number per directory is kept, so a folder with 100,000 files takes little memory. Comparing it takes one `stat` per
file in a supported format.
"""

import os
import stat
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import PurePath

from streamrag_cli.documents.formats import is_supported
from streamrag_cli.documents.gitignore import GIT_IGNORE_FILE, OWN_IGNORE_FILE

IGNORE_FILES = frozenset({GIT_IGNORE_FILE, OWN_IGNORE_FILE})


class Snapshot:
    """The state of directories and of single files, by path."""

    def __init__(self) -> None:
        self._states: dict[str, int] = {}
        self._identities: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, path: str) -> bool:
        return path in self._states

    def clear(self) -> None:
        self._states.clear()
        self._identities.clear()

    def take(self, path: str) -> None:
        """Record the current state of a directory or file."""
        self._states[path] = _state_of(path)

    def take_identity(self, path: str) -> None:
        """Record which directory the path leads to, or that it is a file. Changes to the content are not detected."""
        self._identities[path] = _identity_of(path)

    def changed(self) -> list[str]:
        """Return the paths that have changed since the last call or since they were recorded."""
        return [*_changed(self._states, _state_of), *_changed(self._identities, _identity_of)]


def _changed(states: dict[str, int], state_of: Callable[[str], int]) -> Iterator[str]:
    for path, state in list(states.items()):
        if (current := state_of(path)) != state:
            states[path] = current
            yield path


def _identity_of(path: str) -> int:
    try:
        status = os.stat(path)  # noqa: PTH116 - called often
    except OSError:
        return 0
    return hash((status.st_dev, status.st_ino)) if stat.S_ISDIR(status.st_mode) else 1


def _state_of(path: str) -> int:
    try:
        status = os.stat(path)  # noqa: PTH116 - called for every directory
    except OSError:
        return 0
    try:
        with os.scandir(path) as entries:
            # A sum, because the order of entries may differ between calls.
            return sum(map(_state_of_entry, entries)) + hash((status.st_dev, status.st_ino))
    except NotADirectoryError:
        return hash((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    except OSError:
        return -1


def _state_of_entry(entry: os.DirEntry[str]) -> int:
    try:
        if entry.is_dir():
            # The times of a subdirectory also change with ignored entries.
            return hash((entry.name, entry.inode()))
        if not _matters(entry.name if "." not in entry.name else entry.name[entry.name.rindex(".") :], entry.name[:1]):
            return 0
        status = entry.stat()
        return hash((entry.name, entry.inode(), status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    except OSError:
        return hash(entry.name)


@lru_cache(maxsize=10_000)
def _matters(suffix_or_name: str, first: str) -> bool:
    if suffix_or_name in IGNORE_FILES:
        return True
    return first != "." and is_supported(
        PurePath(f"a{suffix_or_name}" if suffix_or_name[:1] == "." else suffix_or_name)
    )
