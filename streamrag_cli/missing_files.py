"""Finds files that no longer exist or have changed, without waiting for a disk that does not respond."""

import errno
import os
import stat
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from streamrag_cli.addresses import Address, Location, is_address

LIMIT_S: Final = 0.3
"""The maximum time that a caller waits for a file check, in seconds."""
_MAX_BLOCKED: Final = 8
"""The number of checks blocked by a disk at which no further check starts, so that threads do not accumulate."""
_BLOCK_BYTES: Final = 1 << 20
Key = TypeVar("Key", bound=Hashable)
FileState: TypeAlias = Literal["changed", "gone"]
STALE_CODES: Final[Mapping[FileState | None, str]] = {"changed": "source_changed", "gone": "source_gone"}
"""The code of the notice for each state of a source's file."""
_NAMED: Final = 3
_DESCRIPTIONS: Final = {
    "changed": ("has changed since it was ingested", "have changed since they were ingested"),
    "gone": ("no longer exists", "no longer exist"),
}


def is_missing(path: Location) -> bool:
    """Whether `path` does not exist. An address, or a path that cannot be checked, counts as existing."""
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
    """Return the `paths` that do not exist. The paths must be absolute; addresses count as existing.

    On a disconnected network share, `stat` may block for minutes. A path that is not checked within `LIMIT_S` seconds
    therefore counts as existing.
    """
    missing: list[str] = []
    to_check = [path for path in dict.fromkeys(paths) if path and not is_address(path)]

    def check() -> None:
        missing.extend(path for path in to_check if is_missing(Path(path)))

    _run_briefly(check)
    return frozenset(tuple(missing))


class StoredFile(Protocol):
    """A file's properties when it was ingested."""

    @property
    def path(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def mtime_ns(self) -> int: ...

    @property
    def sha256(self) -> str: ...


class FileCheck(Generic[Key]):
    """Checks in a thread whether files have changed or no longer exist.

    A file's content is compared only if its time stamp has changed but its size has not. A file that cannot be
    checked, or whose check takes longer than `LIMIT_S`, counts as unchanged.
    """

    def __init__(self, files: Mapping[Key, StoredFile]) -> None:
        """Start the check. The paths of `files` must be absolute."""
        self._files = files
        self._states: dict[Key, FileState] = {}
        self._ends_at_s = time.monotonic() + LIMIT_S
        self._thread = _started(self._check) if self._files else None

    def states(self, wait_s: float) -> dict[Key, FileState]:
        """Wait at most `wait_s` seconds for the check, then return the states found so far, keyed like the files."""
        if self._thread is not None:
            self._thread.join(max(0.0, min(wait_s, self._ends_at_s - time.monotonic())))
        return self._states.copy()

    @property
    def is_done(self) -> bool:
        """Whether the check has finished, could not start, or has reached its time limit."""
        return self._thread is None or not self._thread.is_alive() or time.monotonic() >= self._ends_at_s

    def _check(self) -> None:
        for key, file in self._files.items():
            if state := self._state_of(file):
                self._states[key] = state

    def _state_of(self, file: StoredFile) -> FileState | None:
        path = Path(file.path)
        if is_missing(path):
            return "gone"
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
                return "changed"
            is_same = status.st_mtime_ns == file.mtime_ns or _digest(path, self._ends_at_s) in {file.sha256, None}
        except (OSError, ValueError):
            return None
        return None if is_same else "changed"


def state_of_file(file: StoredFile) -> FileState | None:
    """Return whether the file has changed or disappeared since it was ingested; None if it seems unchanged.

    Waits at most `LIMIT_S`.
    """
    return FileCheck({file.path: file}).states(LIMIT_S).get(file.path)


def _digest(path: Path, until_s: float) -> str | None:
    """Return the SHA-256 of a regular file in hex; None if it is not read before `until_s` (a `monotonic` time)."""
    import hashlib  # 2 ms; most callers of this module do not need it

    digest = hashlib.sha256()
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as opened:
        while block := opened.read(_BLOCK_BYTES):
            digest.update(block)
            if time.monotonic() >= until_s:
                return None
    return digest.hexdigest()


_blocked: Final[list[Thread]] = []
_blocked_lock: Final = Lock()


def _started(work: Callable[[], None]) -> Thread | None:
    """Start `work` in a daemon thread. Return the thread; None if too many are blocked or it cannot be started."""
    with _blocked_lock:
        _blocked[:] = [each for each in _blocked if each.is_alive()]
        if len(_blocked) >= _MAX_BLOCKED:
            return None
        thread = Thread(target=work, name="check-files", daemon=True)
        with suppress(RuntimeError):  # the limit on threads is reached
            thread.start()
            _blocked.append(thread)
            return thread
    return None


def _run_briefly(work: Callable[[], None]) -> None:
    if thread := _started(work):
        thread.join(LIMIT_S)


def stale_message(state: FileState, names: Sequence[str]) -> str:
    """Describe in a clause that the files with these names have changed or no longer exist.

    >>> stale_message("changed", ["lease.md"]), stale_message("gone", ["a.md", "b.md", "c.md", "d.md", "e.md"])
    ('lease.md has changed since it was ingested', 'a.md, b.md, c.md and 2 more no longer exist')
    """
    *first, last = [*names[:_NAMED], *([f"{len(names) - _NAMED} more"] if len(names) > _NAMED else [])]
    singular, plural = _DESCRIPTIONS[state]
    return f"{', '.join(first)} and {last} {plural}" if first else f"{last} {singular}"


def is_local_file(path: str) -> bool:
    """Whether the document was read from a file on a disk, not from an address."""
    return path.startswith("/")


def topmost_missing_folder(path: Path) -> Path:
    """Return the topmost folder above `path` that is also missing, or `path` itself."""
    topmost = path
    for parent in path.parents:
        if not is_missing(parent):
            break
        topmost = parent
    return topmost
