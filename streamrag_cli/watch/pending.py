"""Changes that are not ingested yet, and the time at which they are due.

A batch is due when nothing has changed for a short time, so that a save in several steps, or a checkout of thousands of
files, becomes one batch. All times are in seconds on a monotonic clock.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LONGEST_WAIT_S: Final = 5.0
"""The time after the first change until a batch is due, even if files continue to change."""
_GIT_LIMIT_S: Final = 60.0
"""The maximum time that a batch waits for git, which keeps `index.lock` while it changes the files in a work tree."""
_MANY_PATHS: Final = 20_000


@dataclass(slots=True)
class Pending:
    """The changed paths. If `is_whole`, the whole roots must be compared, because changed paths may be missing here."""

    settle_s: float
    paths: set[str] = field(default_factory=set)
    is_whole: bool = False
    first_at: float | None = None
    last_at: float = 0.0

    def add(self, path: str, now: float) -> None:
        if len(self.paths) < _MANY_PATHS:
            self.paths.add(path)
        else:
            self.is_whole = True
        self._touch(now)

    def add_whole(self, now: float) -> None:
        self.is_whole = True
        self._touch(now)

    def _touch(self, now: float) -> None:
        self.first_at, self.last_at = now if self.first_at is None else self.first_at, now

    def put_back(self, paths: Iterable[str], *, is_whole: bool, now: float) -> None:
        """Add the changes from a batch that failed."""
        self.paths.update(paths)
        self.is_whole = self.is_whole or is_whole
        self._touch(now)

    @property
    def due_at(self) -> float | None:
        """The time at which the batch is due; None if nothing has changed."""
        if self.first_at is None:
            return None
        return min(self.last_at + self.settle_s, self.first_at + LONGEST_WAIT_S)

    def waits_for_git(self, now: float) -> bool:
        """Whether git is changing a work tree with these paths."""
        if self.first_at is None or now - self.first_at > _GIT_LIMIT_S:
            return False
        folders = {os.path.dirname(path) for path in self.paths}  # noqa: PTH120 - thousands of paths
        return any(map(_is_locked_by_git, _git_directories(folders)))

    def take(self) -> tuple[set[str], bool]:
        """Remove and return the changed paths, and whether the whole roots must be compared."""
        taken = self.paths, self.is_whole
        self.paths, self.is_whole, self.first_at = set(), False, None
        return taken


def _git_directories(folders: Iterable[str]) -> set[str]:
    directories: set[str] = set()
    seen: set[str] = set()
    for folder in folders:
        at = folder
        while at not in seen:
            seen.add(at)
            if os.path.isdir(f"{at}/.git"):  # noqa: PTH112
                directories.add(f"{at}/.git")
                break
            at = os.path.dirname(at)  # noqa: PTH120
    return directories


def _is_locked_by_git(directory: str) -> bool:
    try:
        # An older lock was not removed, because its git process was killed.
        return time.time() - Path(directory, "index.lock").stat().st_mtime < _GIT_LIMIT_S
    except OSError:
        return False


def own_output(paths: Iterable[str]) -> set[str]:
    """Return those of `paths` to which this process writes its events. Changes to them must be ignored."""
    outputs = []
    for descriptor in (1, 2):
        with suppress(OSError):
            outputs.append(os.fstat(descriptor))
    own = set()
    for path in paths:
        with suppress(OSError, ValueError):
            status = os.stat(path)  # noqa: PTH116 - thousands of paths
            if any(os.path.samestat(status, each) for each in outputs):
                own.add(path)
    return own
