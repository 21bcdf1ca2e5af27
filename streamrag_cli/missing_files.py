"""Which files no longer exist, found without waiting for a disk that does not answer."""

import errno
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import Final

_LIMIT_S: Final = 0.3


def is_missing(path: Path) -> bool:
    """Whether nothing is there. What may not be looked at counts as there."""
    try:
        path.stat()
    except OSError as error:
        return error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
    except ValueError:  # a NUL in it
        return True
    return False


def find_missing_files(paths: Iterable[str], *, limit_s: float = _LIMIT_S) -> frozenset[str]:
    """Those of the absolute paths at which nothing is. What is not known after `limit_s` seconds counts as there.

    A network share that is not connected may hold a `stat` up for minutes.
    """
    gone: list[str] = []
    wanted = [path for path in dict.fromkeys(paths) if path]

    def look() -> None:
        gone.extend(path for path in wanted if is_missing(Path(path)))

    looking = Thread(target=look, name="look-for-files", daemon=True)
    looking.start()
    looking.join(limit_s)
    return frozenset(tuple(gone))


def topmost_missing_folder(path: Path) -> Path:
    """The highest folder above `path` that is gone as well, or `path` itself."""
    found = path
    for parent in path.parents:
        if not is_missing(parent):
            break
        found = parent
    return found
