"""Detects changed files. A file is read only if its metadata does not prove that it is unchanged."""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from streamrag_cli.addresses import format_path
from streamrag_cli.documents import RECIPE
from streamrag_cli.documents.discovery_results import FoundFile
from streamrag_cli.documents.formats import has_front_matter
from streamrag_cli.documents.read import RawFile, read_file
from streamrag_cli.documents.withheld import RULES
from streamrag_cli.model import DocumentRecord, FileVersion

# A file that was written shortly before it was read may change again without getting a new time stamp.
_TIMESTAMP_RESOLUTION_NS: Final = 2_000_000_000


class FileStatus(Protocol):
    """The fields of `os.stat_result` that are compared to detect changes."""

    @property
    def st_size(self) -> int: ...

    @property
    def st_mtime_ns(self) -> int: ...


def is_unchanged_by_stat(status: FileStatus, record: DocumentRecord | FileVersion) -> bool:
    """Whether size, time stamp and recipe prove that the stored document is up to date.

    If this is False, the document may still be up to date. It is False if an earlier version did not store the tags.
    """
    same = (record.size, record.mtime_ns, record.recipe) == (status.st_size, status.st_mtime_ns, _stored_recipe())
    return same and not lacks_tags(record) and record.mtime_ns < record.read_at_ns - _TIMESTAMP_RESOLUTION_NS


def lacks_tags(record: DocumentRecord | FileVersion) -> bool:
    """Whether the document may have tags that are not in the store, because an earlier version ingested it."""
    return record.tags is None and has_front_matter(format_path(record.path))


def is_older(path: str, moment: str) -> bool:
    """Whether the file or folder has not changed since `moment`, in ISO 8601. False if this cannot be determined."""
    try:
        status = os.lstat(path)
        return max(status.st_mtime, status.st_ctime) < datetime.fromisoformat(moment).timestamp()
    except (OSError, ValueError):
        return False


def read_record(file: FoundFile, source: str, *, limit_bytes: int) -> tuple[DocumentRecord, RawFile]:
    """Read a file. Return its record, which has no title yet, and its content. Raises DocumentError."""
    raw = read_file(Path(file.real), limit_bytes=limit_bytes, follow_links=False)
    record = DocumentRecord(
        path=file.name,
        source=source,
        size=raw.size,
        mtime_ns=raw.mtime_ns,
        read_at_ns=raw.read_at_ns,
        sha256=raw.sha256,
        recipe=_stored_recipe(),
    )
    return record, raw


def refreshed(stored: DocumentRecord, current: DocumentRecord) -> DocumentRecord | None:
    """Add the metadata of `stored` to `current` if the content and `RECIPE` are unchanged; otherwise return None."""
    if (stored.sha256, _chunking_version(stored.recipe)) != (current.sha256, _chunking_version(current.recipe)):
        return None
    return replace(current, title=stored.title, language=stored.language, date=stored.date, tags=stored.tags)


def _stored_recipe() -> str:
    """The stored form of `RECIPE`, which includes the version of the rules for withholding files.

    If only these rules have changed, a file is checked again, but its chunks remain valid.
    """
    return f"{RECIPE}/{RULES}"


def _chunking_version(stored_recipe: str) -> str:
    return stored_recipe.partition("/")[0]
