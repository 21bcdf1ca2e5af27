"""Temporary directories that do not outlive their process for long, even if it is killed."""

import fcntl
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_SUFFIX: Final = ".scratch"
_RANDOM: Final = "[a-z0-9_]{8}"
"""The characters that `tempfile` adds to the prefix."""


class ScratchDirectory:
    """A new directory in the temporary directory, which only this user can open. `close` removes it.

    It is locked as long as its process lives. A process that creates a directory with the same prefix first removes
    the directories of this user that are not locked, because their process was killed. It compares whole names, because
    users have directories with similar ones, such as `streamrag-copy-backup`. Raises OSError.
    """

    def __init__(self, prefix: str) -> None:
        _remove_abandoned(prefix)
        while not self._create(prefix):
            pass

    def _create(self, prefix: str) -> bool:
        """Create and lock a directory. False if another process has removed it before it was locked."""
        self.path = Path(tempfile.mkdtemp(_SUFFIX, prefix))
        try:
            self._locked = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        fcntl.flock(self._locked, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._locked), self.path.stat()):
                return True
        os.close(self._locked)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._locked)


def _remove_abandoned(prefix: str) -> None:
    name = re.compile(re.escape(prefix) + _RANDOM + re.escape(_SUFFIX))
    for each in Path(tempfile.gettempdir()).glob(f"{prefix}*{_SUFFIX}"):
        if not name.fullmatch(each.name):
            continue
        with suppress(OSError):
            if each.stat(follow_symlinks=False).st_uid != os.geteuid():
                continue
            descriptor = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(each, ignore_errors=True)
            finally:
                os.close(descriptor)
