"""Finds files that no longer exist, without waiting for a disk that does not respond."""

import errno
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import Final

_LIMIT_S: Final = 0.3


def is_missing(path: Path) -> bool:
    """Whether `path` does not exist. A path that cannot be checked counts as existing."""
    try:
        path.stat()
    except OSError as error:
        return error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
    except ValueError:  # the path contains NUL
        return True
    return False


def find_missing_files(paths: Iterable[str]) -> frozenset[str]:
    """The `paths` that do not exist. A path that is not checked within `_LIMIT_S` seconds counts as existing.

    The paths must be absolute. On a disconnected network share `stat` may block for minutes.
    """
    missing: list[str] = []
    to_check = [path for path in dict.fromkeys(paths) if path]

    def check() -> None:
        missing.extend(path for path in to_check if is_missing(Path(path)))

    thread = Thread(target=check, name="check-files", daemon=True)
    thread.start()
    thread.join(_LIMIT_S)
    return frozenset(tuple(missing))


def topmost_missing_folder(path: Path) -> Path:
    """The highest folder above `path` that is also missing, or `path` itself."""
    topmost = path
    for parent in path.parents:
        if not is_missing(parent):
            break
        topmost = parent
    return topmost
