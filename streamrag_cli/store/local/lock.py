"""Locks between processes. The kernel drops them when the process dies, however it dies.

Two processes that write one Chroma directory both succeed and lose about a fifth of the vectors, and one that
opens it while another writes fails, or never returns, or, as Chroma brings its index up to date when it is
opened, writes too. So none of these is a courtesy:

- `writing`: one ingest into a collection at a time;
- `exclusive`: one process at a time opens Chroma's files or writes to them;
- `shared`: shared by those who read an epoch, so that a rebuild does not take the files away amid a question.
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

_CHROMA_BUSY_AFTER_S: Final = 30.0  # a writer holds it for one batch, about a second
_POLL_S: Final = 0.01


@contextmanager
def writing(directory: Path, *, wait_s: float = BUSY_AFTER_S) -> Iterator[None]:
    """Hold the writer's lock of a collection, or raise StoreError `store_busy` after `wait_s` seconds."""
    with _held(directory / WRITER_LOCK, wait_s=wait_s) as held:
        if not held:
            raise busy(
                f"another ingest is writing to {directory}",
                hint="wait until it ends, or use another collection: streamrag ingest -c NAME PATH",
            )
        yield


@contextmanager
def exclusive(file: Path, limit: TimeLimit | None = None) -> Iterator[None]:
    """Hold the lock `file` of a Chroma directory.

    Raises StoreError: `store_busy`, or what `limit` raises if that is over before.
    """
    with ExitStack() as stack:
        # Who waits holds the turnstile meanwhile: else a writer would take the lock again before a reader notices.
        with _held(file.with_suffix(".turnstile"), wait_s=_CHROMA_BUSY_AFTER_S, limit=limit) as is_next:
            held = is_next and stack.enter_context(_held(file, wait_s=_CHROMA_BUSY_AFTER_S, limit=limit))
        if not held:
            raise busy(f"another process has locked {file}")
        yield


@contextmanager
def shared(directory: Path) -> Iterator[None]:
    """Keep the files in `directory` from being removed. Raises FileNotFoundError where there is none."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def try_exclusive(directory: Path) -> Iterator[bool]:
    """Whether nobody is `shared` the directory; nobody begins to inside the block."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _locked(descriptor)
    finally:
        os.close(descriptor)


def not_writable(directory: Path, why: OSError | str) -> StreamragError:
    """The store's directory refuses a write: read-only, no space, no permission, or the system lacks something."""
    if isinstance(why, OSError) and (refused := refusal(directory, why, writing=True)):
        return refused
    reason = why if isinstance(why, str) else why.strerror or str(why)
    return StoreError(
        f"the store at {directory} cannot be written: {reason}",
        code="store_not_writable",
        hint="streamrag ingest --store DIR PATH",
    )


@contextmanager
def _held(file: Path, *, wait_s: float, limit: TimeLimit | None = None) -> Iterator[bool]:
    """Hold the lock, if that can be had within `wait_s` seconds. Raises what `limit` raises if that is over before.

    A process that may read and not write locks the file that is there; one that nobody ever wrote to needs no lock.
    """
    until = time.monotonic() + wait_s
    while True:
        descriptor = _opened(file)
        if descriptor is None:
            yield True
            return
        try:
            while not (held := _locked(descriptor)) and time.monotonic() < until:
                if limit is not None:
                    limit.check()
                time.sleep(_POLL_S)
            if not held or not file.parent.exists() or _is_still_there(file, descriptor):
                yield held and file.parent.exists()
                return
        finally:
            os.close(descriptor)


def _is_still_there(file: Path, descriptor: int) -> bool:
    """False if the locked file was removed, with its collection: then the lock keeps nobody out."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _opened(file: Path) -> int | None:
    """None if the lock is not there and this process may not make it."""
    try:
        # It holds nothing: all who may read the store, as its directory says, may wait for the lock.
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise not_writable(file.parent, error) from error
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refusal(file, error) or not_writable(file.parent, error) from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno != errno.EBADF:  # over NFS, where a file that is open to read cannot be locked
            raise
    return True
