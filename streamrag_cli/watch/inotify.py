"""Notifications from the Linux kernel about changes in directories.

Only the directories that discovery enters are watched, so ignored and hidden directories cost nothing. A directory is
watched before it is listed, so that every later change in it causes an event.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Final


class _Mask(IntFlag):
    MODIFY = 0x2
    ATTRIB = 0x4
    CLOSE_WRITE = 0x8
    MOVED_FROM = 0x40
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200
    DELETE_SELF = 0x400
    MOVE_SELF = 0x800
    UNMOUNT = 0x2000
    OVERFLOW = 0x4000
    IGNORED = 0x8000
    ONLY_DIRECTORIES = 0x0100_0000
    DO_NOT_FOLLOW = 0x0200_0000
    NO_UNLINKED = 0x0400_0000
    IS_DIRECTORY = 0x4000_0000


_CHANGES: Final = (
    _Mask.MODIFY | _Mask.ATTRIB | _Mask.CLOSE_WRITE | _Mask.MOVED_FROM | _Mask.MOVED_TO | _Mask.CREATE | _Mask.DELETE
    | _Mask.DELETE_SELF | _Mask.MOVE_SELF
)  # fmt: skip
_DIRECTORY: Final = _CHANGES | _Mask.ONLY_DIRECTORIES | _Mask.DO_NOT_FOLLOW | _Mask.NO_UNLINKED
_HEADER: Final = struct.Struct("iIII")
_BUFFER_BYTES: Final = 1 << 18
_NO_SLOTS: Final = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class NoWatchesLeftError(Exception):
    """This user has reached the limit of inotify instances or watches, or the system does not support inotify.

    `command` is the command that raises the limit; "" if a limit is not the reason.
    """

    def __init__(self, reason: str, command: str = "") -> None:
        super().__init__(reason)
        self.command = command


@dataclass(frozen=True, slots=True)
class Changed:
    """A path that may have changed. `is_uncertain` is True if events were lost or the path's disk was unmounted."""

    path: str
    is_uncertain: bool = False


@dataclass(slots=True)
class _Watched:
    """The purpose of one watch: a whole directory, some of its entries, or both.

    `path` is the directory, or "" if only entries are watched. `entries` are the paths to report for a change to an
    entry, by the entry's name.
    """

    path: str = ""
    entries: dict[str, set[str]] = field(default_factory=dict)


class Inotify:
    """This process's inotify watches. Raises NoWatchesLeftError."""

    def __init__(self) -> None:
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor: int = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        except (AttributeError, OSError) as error:
            raise NoWatchesLeftError(str(error)) from error
        if self._descriptor < 0:
            code = ctypes.get_errno()
            command = "sudo sysctl fs.inotify.max_user_instances=1024" if code == errno.EMFILE else ""
            raise NoWatchesLeftError(os.strerror(code).lower(), command)
        self._watches: dict[int, _Watched] = {}

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def watch_directory(self, path: str, real: str) -> None:
        """Watch the directory with the resolved path `real`. Changes are reported below `path`.

        Does nothing if the directory does not exist or cannot be read.
        """
        if watched := self._add(real):
            watched.path = path

    def watch_entry(self, real: str, reported: str) -> None:
        """Watch the file with the resolved path `real`, even if it is replaced. Changes are reported as `reported`."""
        directory, _, name = real.rpartition("/")
        if watched := self._add(directory or "/"):
            watched.entries.setdefault(name, set()).add(reported)

    def _add(self, real: str) -> _Watched | None:
        number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(real), ctypes.c_uint32(_DIRECTORY))
        if number >= 0:
            return self._watches.setdefault(number, _Watched())
        if (code := ctypes.get_errno()) in _NO_SLOTS:
            if code == errno.ENOSPC:  # "no space left on device", although no disk is full
                raise NoWatchesLeftError(
                    "no inotify watches are left", "sudo sysctl fs.inotify.max_user_watches=524288"
                )
            raise NoWatchesLeftError(os.strerror(code).lower())
        return None

    def read(self) -> Iterator[Changed]:
        """Yield the changes since the last call, without waiting."""
        while content := self._read_once():
            at = 0
            while at < len(content):
                number, mask, _, length = _HEADER.unpack_from(content, at)
                at += _HEADER.size
                name = os.fsdecode(content[at : at + length].rstrip(b"\0"))
                at += length
                yield from self._changes(number, _Mask(mask), name)

    def _read_once(self) -> bytes:
        try:
            return os.read(self._descriptor, _BUFFER_BYTES)
        except BlockingIOError:
            return b""

    def _changes(self, number: int, mask: _Mask, name: str) -> Iterator[Changed]:
        if mask & _Mask.OVERFLOW:
            yield Changed("/", is_uncertain=True)
            return
        watched = self._watches.get(number)
        if watched is None:
            return
        if mask & _Mask.IGNORED:
            del self._watches[number]
        elif name:
            if watched.path:
                path = f"{watched.path.rstrip('/')}/{name}"
                yield Changed(path)
                if mask & _Mask.IS_DIRECTORY and mask & _Mask.MOVED_FROM:
                    self._forget_below(path)
            yield from map(Changed, watched.entries.get(name, ()))
        elif mask & (_Mask.UNMOUNT | _Mask.DELETE_SELF | _Mask.MOVE_SELF):
            is_uncertain = bool(mask & _Mask.UNMOUNT)
            if watched.path:
                yield Changed(watched.path, is_uncertain)
            for reported in watched.entries.values():
                yield from map(Changed, reported)

    def _forget_below(self, path: str) -> None:
        """Remove the watches of a directory that was moved, because they would report changes below its former path."""
        for number, watched in list(self._watches.items()):
            if watched.path == path or watched.path.startswith(f"{path}/"):
                watched.path = ""
                if not watched.entries:
                    self._libc.inotify_rm_watch(self._descriptor, number)
