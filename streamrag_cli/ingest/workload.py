"""Estimates the number of passages to embed from file sizes; the estimate improves as files are read."""

import os
from collections.abc import Iterable
from typing import Final, NamedTuple

from streamrag_cli.addresses import format_path
from streamrag_cli.documents.discovery_results import FoundFile
from streamrag_cli.documents.formats import estimated_passages, is_image
from streamrag_cli.ingest.compare import is_unchanged_by_stat
from streamrag_cli.model import DocumentRecord

_UNKNOWN_SHARE: Final = 0.1
"""If the number of passages is unpredictable for more than this share of the files, there is no estimate."""
_ENOUGH_PASSAGES: Final = 200
"""When files with this many estimated passages have been read, they are used to correct the other estimates."""


class Workload:
    """The number of passages in new and changed files.

    `files` is the number of these files, and `images` is the number of images among them. `passages` is the number of
    their passages, which is estimated for files that have not been read yet. It is None if it cannot be estimated.
    """

    def __init__(self, files: Iterable[FoundFile], stored: Iterable[DocumentRecord]) -> None:
        """`files` are all files in the ingest. `stored` are the records of documents that may be up to date."""
        new = {file.name: status for file in files if (status := _status_of(file))}
        for record in stored:
            status = new.get(record.path)
            if status and is_unchanged_by_stat(status, record):
                del new[record.path]
        self.files = len(new)
        self.images = sum(1 for name in new if is_image(format_path(name)))
        estimates = {name: estimated_passages(format_path(name), status.st_size) for name, status in new.items()}
        self._estimates = {name: passages for name, passages in estimates.items() if passages is not None}
        self._is_known = self.files - len(self._estimates) <= self.files * _UNKNOWN_SHARE
        self._unread = sum(self._estimates.values())
        self._estimated = self._counted = self._read = 0

    @property
    def passages(self) -> int | None:
        if not self._is_known:
            return None
        ratio = self._counted / self._estimated if self._estimated >= _ENOUGH_PASSAGES else 1.0
        return self._read + round(self._unread * ratio)

    def add_read(self, path: str, passages: int) -> None:
        """Replace the estimate for the file at `path`, which has been read and has this many new passages."""
        estimate = self._estimates.pop(path, 0)
        if estimate:
            self._unread -= estimate
            self._estimated += estimate
            self._counted += passages
        self._read += passages


class _Status(NamedTuple):
    st_size: int
    st_mtime_ns: int


def _status_of(file: FoundFile) -> _Status | None:
    try:
        status = os.lstat(file.real)
    except OSError:
        return None
    return _Status(status.st_size, status.st_mtime_ns)
