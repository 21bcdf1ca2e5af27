"""Watcher records (`ingest --watch`), and leases that allow only one watcher per root."""

import json
import os
import socket
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Final, Protocol

BEAT_EVERY_S: Final = 60.0
"""The interval at which a watcher updates its record."""
_SILENT_AFTER_S: Final = 3 * BEAT_EVERY_S
_FORGOTTEN_AFTER_S: Final = 7 * 86_400.0
_MAX_CHARS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherState:
    """The record of one watcher. Times are ISO 8601 in UTC, or "" before the first event or sweep.

    `method` is how the watcher detects changes. `problem` is why its last batch failed, or "" if the batch succeeded.
    Every `sweep_every_s` seconds, it compares all files with the collection.
    """

    id: str
    host: str
    pid: int
    roots: tuple[str, ...]
    method: str
    started_at: str
    beat_at: str
    last_event_at: str = ""
    last_sweep_at: str = ""
    sweep_every_s: float = 900.0
    problem: str = ""

    def silence(self, now_s: float) -> str:
        """A clause that states why the watcher seems to have stopped, or "" if it works. `now_s` is a Unix time."""
        if self.host == host_name() and not _is_running(self.pid):
            return "is no longer running"
        if now_s - _unix_time(self.beat_at) > _SILENT_AFTER_S:
            return f"has not reported since {_local_time(self.beat_at)}"
        if self.last_sweep_at and now_s - _unix_time(self.last_sweep_at) > 3 * self.sweep_every_s:
            return f"has not compared the files since {_local_time(self.last_sweep_at)}"
        return ""

    def is_forgotten(self, now_s: float) -> bool:
        """Whether the watcher updated its record more than a week ago, so that the record can be ignored."""
        return now_s - _unix_time(self.beat_at) > _FORGOTTEN_AFTER_S


class WatchLease(Protocol):
    """The exclusive right to watch some roots. The operating system or the database releases it if the process ends."""

    def acquire(self) -> bool:
        """Try to acquire the lease, and return whether this process has it now. Raises StoreError.

        This does not wait for another process to release the lease.
        """

    def close(self) -> None:
        """Release the lease."""


def host_name() -> str:
    return socket.gethostname()


def watcher_to_text(watcher: WatcherState) -> str:
    return json.dumps(asdict(watcher))


def watcher_from_text(text: object) -> WatcherState | None:
    """Parse a record that `watcher_to_text` wrote; None if it is malformed."""
    try:
        values = json.loads(text) if isinstance(text, str) and len(text) < _MAX_CHARS else {}
        known = {each.name: values[each.name] for each in fields(WatcherState) if each.name in values}
        watcher = WatcherState(**known | {"roots": tuple(map(str, values["roots"]))})
        is_valid = isinstance(watcher.pid, int) and isinstance(watcher.sweep_every_s, int | float)
        names = (watcher.id, watcher.host, watcher.method, watcher.problem, watcher.started_at)
        for moment in filter(None, (watcher.beat_at, watcher.last_event_at, watcher.last_sweep_at)):
            _unix_time(moment)
        return watcher if is_valid and all(isinstance(each, str) for each in names) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def moment_of(unix_time_s: float) -> str:
    """Convert a Unix time to the format that records use.

    >>> moment_of(0.0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(unix_time_s, UTC).isoformat(timespec="seconds")


def _unix_time(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _local_time(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
