"""File locks between processes. The kernel releases them when a process ends, even if it is killed.

There are three locks:

- `writing` allows one ingest per collection at a time.
- `exclusive` allows only one process at a time to open Chroma's files or to write to them.
- readers of an epoch hold `shared`, so that a rebuild does not remove its files during a question.

All three are required. If two processes write to one Chroma directory, both succeed, but about a fifth of the vectors
are lost. If a process opens the directory while another one is writing, it fails, hangs or also writes, because Chroma
updates its index when it is opened.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from streamrag_cli.errors import StoreError, StreamragError
from streamrag_cli.store.interface import BUSY_AFTER_S, busy
from streamrag_cli.store.time_limit import TimeLimit
from streamrag_cli.system_errors import refusal

WRITER_LOCK: Final = "writer.lock"

_CHROMA_BUSY_AFTER_S: Final = 30.0  # a writer needs the lock for one batch, about a second
_POLL_S: Final = 0.01


@contextmanager
def writing(directory: Path, *, wait_s: float = BUSY_AFTER_S) -> Iterator[None]:
    """Hold the writer lock of a collection. Raises StoreError `store_busy` after `wait_s` seconds."""
    with _acquired(directory / WRITER_LOCK, wait_s=wait_s) as is_locked:
        if not is_locked:
            raise busy(
                f"another ingest is writing to {directory}",
                hint="wait until the other ingest finishes, or use another collection: streamrag ingest -c NAME PATH",
            )
        yield


@contextmanager
def exclusive(file: Path, limit: TimeLimit | None = None) -> Iterator[None]:
    """Hold the lock `file` of a Chroma directory.

    Raises StoreError `store_busy`, or the error that `limit` defines if it expires first.
    """
    with ExitStack() as stack:
        # A waiting process holds the turnstile, so that a writer cannot acquire the lock again before it.
        with _acquired(file.with_suffix(".turnstile"), wait_s=_CHROMA_BUSY_AFTER_S, limit=limit) as is_next:
            is_locked = is_next and stack.enter_context(_acquired(file, wait_s=_CHROMA_BUSY_AFTER_S, limit=limit))
        if not is_locked:
            raise busy(f"another process has locked {file}")
        yield


@contextmanager
def shared(directory: Path) -> Iterator[None]:
    """Protect the files in `directory` from removal. Raises FileNotFoundError if it does not exist."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def try_exclusive(directory: Path) -> Iterator[bool]:
    """Yield True if no process holds the `shared` lock. In this case, none can acquire it during the `with` block.

    Raises OSError if the directory is a symbolic link.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


def not_writable(directory: Path, why: OSError | str) -> StreamragError:
    """The error for a store that cannot be written to, for example because it is read-only or the disk is full."""
    if isinstance(why, OSError) and (refused := refusal(directory, why, writing=True)):
        return refused
    reason = why if isinstance(why, str) else why.strerror or str(why)
    return StoreError(
        f"the store at {directory} cannot be written to: {reason}",
        code="store_not_writable",
        hint="streamrag ingest --store DIR PATH",
    )


@contextmanager
def _acquired(file: Path, *, wait_s: float, limit: TimeLimit | None = None) -> Iterator[bool]:
    """Try to acquire the lock within `wait_s` seconds, and yield whether it was acquired. Raises the error of `limit`.

    A process without write permission locks the existing file. If the file does not exist, no process has ever written,
    so no lock is needed.
    """
    deadline = time.monotonic() + wait_s
    while True:
        descriptor = _open_lock_file(file)
        if descriptor is None:
            yield True
            return
        try:
            while not (is_locked := _try_lock(descriptor)) and time.monotonic() < deadline:
                if limit is not None:
                    limit.check()
                time.sleep(_POLL_S)
            if not is_locked or not file.parent.exists() or _is_same_file(file, descriptor):
                yield is_locked and file.parent.exists()
                return
        finally:
            os.close(descriptor)


def _is_same_file(file: Path, descriptor: int) -> bool:
    """Whether `descriptor` is still the lock file. If the file was removed or replaced, the lock has no effect."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _open_lock_file(file: Path) -> int | None:
    """Open or create the lock file. Return None if it does not exist and this process may not create it."""
    try:
        # The file is empty, and every user with access to the directory must be able to wait for the lock.
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise not_writable(file.parent, error) from error
    try:
        return os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refusal(file, error) or not_writable(file.parent, error) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno != errno.EBADF:  # on NFS, a file that is open only for reading cannot be locked
            raise
    return True
