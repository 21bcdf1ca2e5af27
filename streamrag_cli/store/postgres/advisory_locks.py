"""Session-level advisory locks that writers hold. The database releases them when the connection ends.

Ingests of different folders into the same collection do not block each other, even on several machines. A writer
acquires exclusive locks on the folders that it ingests, and shared locks on all folders above them. Ingests of `/docs`
and `/docs/guide` therefore exclude each other. The collection itself counts as the folder above all others, and a
rebuild locks it exclusively.
"""

from collections.abc import Iterable
from hashlib import blake2b

from psycopg import errors

from streamrag_cli.addresses import names_above
from streamrag_cli.store.interface import BUSY_AFTER_S, busy
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.establish import Connection
from streamrag_cli.store.rows import EVERYTHING


class AdvisoryLocks:
    """The locks that one writer has acquired on a collection through its connection."""

    def __init__(self, conn: Connection, address: PostgresUrl, collection: str) -> None:
        self._conn = conn
        self._address = address
        self._collection = collection
        self._shared: set[str] = set()
        self.exclusive: set[str] = set()

    def lock_shared(self, paths: Iterable[str] = (EVERYTHING,)) -> None:
        """Acquire shared locks on `paths`. Raises StoreError `store_busy`."""
        for path in paths:
            if path not in self._shared:
                self._lock("pg_advisory_lock_shared", path)
                self._shared.add(path)

    def lock_exclusive(self, paths: Iterable[str]) -> None:
        """Acquire exclusive locks on `paths` and everything below them. Raises StoreError `store_busy`."""
        # All writers lock in the same order, to avoid deadlocks.
        for path in sorted(set(paths) - self.exclusive):
            self.lock_shared(_above(path))
            self._lock("pg_advisory_lock", path)
            self.exclusive.add(path)

    def try_watching(self, root: str) -> bool:
        """Try to acquire the watcher's lock on a root, which does not block ingests. Return whether it was acquired."""
        row = self._conn.execute("SELECT pg_try_advisory_lock(%s)", (self._key(f"watched {root}"),)).fetchone()
        return row == (True,)

    def _lock(self, function: str, path: str) -> None:
        try:
            with self._conn.transaction():
                self._conn.execute(f"SET LOCAL lock_timeout = {int(BUSY_AFTER_S * 1000)}")
                self._conn.execute(f"SELECT {function}(%s)", (self._key(path),))
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            target = f"{path!r} in the collection" if path else "the collection"
            raise busy(
                f"another ingest is updating {target} {self._collection!r} in {self._address}",
                hint="wait until the other ingest finishes, or use another collection: streamrag ingest -c NAME PATH",
            ) from error

    @property
    def name(self) -> str:
        """A name for the collection that is unique in the database."""
        return f"streamrag {self._address.schema} {self._collection}"

    def _key(self, path: str) -> int:
        key = f"{self.name} {path.rstrip('/') or path}"
        digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        return int.from_bytes(digest, signed=True)


def _above(path: str) -> list[str]:
    """The paths above `path` from the top down, beginning with "", which means the collection.

    >>> _above("/docs/guide")
    ['', '/', '/docs']
    """
    return [] if path == EVERYTHING else [EVERYTHING, *reversed(names_above(path))]
