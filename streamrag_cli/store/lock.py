"""One writer at a time.

Two processes writing one Chroma directory both succeed and lose about a fifth of the vectors, so the
lock is not a courtesy. The kernel drops it when the process dies, however it dies.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streamrag_cli.errors import StoreError

BUSY_AFTER_S: Final = 3.0


@contextmanager
def writing(directory: Path, *, wait_s: float = BUSY_AFTER_S) -> Iterator[None]:
    """Hold the writer's lock of `directory`, or raise StoreError `busy` after `wait_s` seconds."""
    from filelock import FileLock, Timeout

    lock = FileLock(directory / "writer.lock")
    try:
        lock.acquire(timeout=wait_s, poll_interval=0.05)
    except Timeout:
        raise StoreError(
            f"the store is busy: another ingest is writing to {directory}",
            code="store_busy",
            hint="wait for it to end, or use another collection: streamrag ingest -c NAME PATH",
            retryable=True,
        ) from None
    except OSError as error:
        raise not_writable(directory, error) from error
    try:
        yield
    finally:
        lock.release()


def not_writable(directory: Path, error: OSError) -> StoreError:
    """The store's directory refuses a write: read-only, no space, no permission."""
    return StoreError(
        f"the store at {directory} cannot be written: {error.strerror or error}",
        code="store_not_writable",
        hint="streamrag ingest --store DIR PATH",
    )
