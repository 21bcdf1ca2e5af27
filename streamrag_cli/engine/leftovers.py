"""Removes files left by engines that have ended, for any version and home directory.

An engine's log is locked while the engine runs (`client` locks it before it starts the engine). The kernel releases the
lock when the process ends, even if it is killed.
"""

import errno
import fcntl
import os
import socket
import stat
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_KEEP_LOG_S: Final = 86_400.0
"""How long a log that is not empty is kept, because it may explain why the engine ended."""


def remove_leftovers(directory: Path) -> None:
    """Remove sockets, locks and logs left by engines that have ended. Other files, such as folders, stay."""
    files: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for suffix in ("sock", "start", "log"):
        for each in directory.glob(f"engine-*.{suffix}"):
            files[each.stem][suffix] = each
    for of_engine in files.values():
        with suppress(OSError):  # if a file cannot be opened or removed, it stays
            _remove_if_ended(of_engine)


def _remove_if_ended(files: dict[str, Path]) -> None:
    with _unlocked(files.get("log")) as log_is_unlocked, _unlocked(files.get("start")) as start_is_unlocked:
        if not log_is_unlocked or not start_is_unlocked:
            return  # the engine runs, or a client is starting it
        if "sock" in files and _is_listening(files["sock"]):
            return  # the engine runs, in a version that did not lock its log
        for suffix, file in files.items():
            status = file.lstat()
            is_recent_log = suffix == "log" and status.st_size and time.time() - status.st_mtime < _KEEP_LOG_S
            if (stat.S_ISREG(status.st_mode) or stat.S_ISSOCK(status.st_mode)) and not is_recent_log:
                file.unlink()


@contextmanager
def _unlocked(file: Path | None) -> Iterator[bool]:
    """Yield True if the file is missing or not locked by another process. Locks the file inside the `with` block."""
    if file is None:
        yield True
        return
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        return connection.connect_ex(str(path)) not in {errno.ECONNREFUSED, errno.ENOENT, errno.ENOTSOCK}
