"""The lease of a watcher in a local store. It locks one byte per root in one of the collection's files.

The kernel releases the locks when the process ends. Such locks also work on network file systems.
"""

import contextlib
import fcntl
import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.lock import not_writable

_FILE: Final = "watch.lock"
_OFFSETS: Final = 1 << 62


class LocalWatchLease:
    """A `WatchLease`. Its process must not open and close the file again, because that would release the locks."""

    def __init__(self, store: Path, collection: str, roots: Sequence[str]) -> None:
        self._layout = Layout(store, collection)
        self._offsets = sorted({_offset(root) for root in roots})
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        file = self._layout.directory / _FILE
        try:
            if self._descriptor is not None and not _is_same(file, self._descriptor):
                self.close()  # the collection was removed
            if self._descriptor is None:
                self._layout.make()
                self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            for offset in self._offsets:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except (BlockingIOError, PermissionError) as error:
            if self._descriptor is None:
                raise not_writable(self._layout.store, error) from error
            self.close()  # releases the locks on other roots
            return False
        except OSError as error:
            raise not_writable(self._layout.store, error) from error
        return True

    def close(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


def _offset(root: str) -> int:
    digest = blake2b(root.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest) % _OFFSETS


def _is_same(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
