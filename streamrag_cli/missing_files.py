"""Finds files that no longer exist or have changed, without waiting for a disk that does not respond."""

import errno
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread
from typing import Final

from streamrag_cli.addresses import Address, Location, is_address

_LIMIT_S: Final = 0.3


def is_missing(path: Location) -> bool:
    """Whether `path` does not exist. A path that cannot be checked, or an address, counts as existing."""
    if isinstance(path, Address):
        return False
    try:
        path.stat()
    except OSError as error:
        return error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
    except ValueError:  # the path contains NUL
        return True
    return False


def find_missing_files(paths: Iterable[str]) -> frozenset[str]:
    """The `paths` that do not exist. A path that is not checked within `_LIMIT_S` seconds counts as existing.

    The paths must be absolute. Addresses count as existing. On a disconnected network share `stat` may block for
    minutes.
    """
    missing: list[str] = []
    to_check = [path for path in dict.fromkeys(paths) if path and not is_address(path)]

    def check() -> None:
        missing.extend(path for path in to_check if is_missing(Path(path)))

    _run_briefly(check)
    return frozenset(tuple(missing))


def has_changed(path: str, *, size: int, mtime_ns: int, sha256: str) -> bool:
    """Whether the file differs from one with these properties. A file that cannot be checked counts as unchanged."""
    if is_address(path):
        return False
    import hashlib  # 2 ms; most callers of this module do not need it

    changed: list[bool] = []

    def check() -> None:
        try:
            status = Path(path).stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                changed.append(True)
            elif status.st_mtime_ns != mtime_ns:
                with Path(path).open("rb") as file:
                    changed.append(hashlib.file_digest(file, "sha256").hexdigest() != sha256)
        except (OSError, ValueError):
            return

    _run_briefly(check)
    return any(changed)


def _run_briefly(work: Callable[[], None]) -> None:
    thread = Thread(target=work, name="check-files", daemon=True)
    thread.start()
    thread.join(_LIMIT_S)


def topmost_missing_folder(path: Path) -> Path:
    """The highest folder above `path` that is also missing, or `path` itself."""
    topmost = path
    for parent in path.parents:
        if not is_missing(parent):
            break
        topmost = parent
    return topmost
