"""This watcher's record in the store, from which `status` and `doctor` read whether the watcher works."""

import os
from contextlib import suppress
from secrets import token_hex

from streamrag_cli.errors import StreamragError
from streamrag_cli.store.backend import Store
from streamrag_cli.store.watchers import WatcherState, host_name, moment_of
from streamrag_cli.watch.files import WatchedFiles
from streamrag_cli.watch.options import WatchOptions


class WatchRecord:
    """One watcher's record. `problem` is why the last batch failed, or "". Set `has_event` after a change."""

    def __init__(self, store: Store, collection: str, files: WatchedFiles, options: WatchOptions) -> None:
        self._store = store
        self._collection = collection
        self._files = files
        self._options = options
        self._id = f"{host_name()}-{os.getpid()}-{token_hex(3)}"
        self._started_at = moment_of(options.wall())
        self._last_event_at = self._last_sweep_at = ""
        self._is_saved = False
        self.has_event = False
        self.problem = ""

    def swept(self) -> None:
        self._last_sweep_at = moment_of(self._options.wall())

    def save(self) -> None:
        """Write the record, and remove the records that former watchers left for the same roots. Raises StoreError."""
        now = moment_of(self._options.wall())
        if self.has_event:
            self._last_event_at, self.has_event = now, False
        roots = tuple(map(str, self._files.roots))
        if not self._is_saved:
            for former in self._store.watchers(self._collection):
                if set(former.roots) <= set(roots):  # this process has the lease
                    self._store.forget_watcher(self._collection, former.id)
        state = WatcherState(
            id=self._id,
            host=host_name(),
            pid=os.getpid(),
            roots=roots,
            method=self._files.method,
            started_at=self._started_at,
            beat_at=now,
            last_event_at=self._last_event_at,
            last_sweep_at=self._last_sweep_at,
            sweep_every_s=self._options.sweep_every_s,
            problem=self.problem,
        )
        self._store.record_watcher(self._collection, state)
        self._is_saved = True

    def forget(self) -> None:
        """Remove the record at a regular exit. After a crash, the record remains, and `doctor` reports it."""
        if self._is_saved:
            with suppress(StreamragError):
                self._store.forget_watcher(self._collection, self._id)
