"""Whether a file is what the store has of it, told with as little reading as is safe."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from streamrag_cli.documents import RECIPE
from streamrag_cli.documents.discovery_results import FoundFile
from streamrag_cli.documents.read import RawFile, read_file
from streamrag_cli.documents.withheld import RULES
from streamrag_cli.model import DocumentRecord

# A file written within the clock's grain of being read may be written again under the same time stamp.
_STAMP_GRAIN_NS: Final = 2_000_000_000


def is_unchanged_by_stat(status: os.stat_result, record: DocumentRecord) -> bool:
    """True only where size and time stamp prove it; False may still turn out to be unchanged."""
    same = (record.size, record.mtime_ns, record.recipe) == (status.st_size, status.st_mtime_ns, _stored_recipe())
    return same and record.mtime_ns < record.read_at_ns - _STAMP_GRAIN_NS


def read_record(found: FoundFile, source: str, *, limit_bytes: int) -> tuple[DocumentRecord, RawFile]:
    """Read the file; the record says what would be stored of it, but for its title. Raises DocumentError."""
    raw = read_file(Path(found.real), limit_bytes=limit_bytes, follow_links=False)
    record = DocumentRecord(
        path=found.name,
        source=source,
        size=raw.size,
        mtime_ns=raw.mtime_ns,
        read_at_ns=raw.read_at_ns,
        sha256=raw.sha256,
        recipe=_stored_recipe(),
    )
    return record, raw


def renewed(record: DocumentRecord, read: DocumentRecord) -> DocumentRecord | None:
    """`record` with the stat of `read`, if both are of the same content made by the same recipe."""
    if (record.sha256, _cut_by(record.recipe)) != (read.sha256, _cut_by(read.recipe)):
        return None
    return replace(read, title=record.title, language=record.language)


def _stored_recipe() -> str:
    """What the store remembers: how the chunks were cut, and by which rules the file was found fit to be read.

    Chunks cut before there were such rules are as good as new once the file has been looked at.
    """
    return f"{RECIPE}/{RULES}"


def _cut_by(stored_recipe: str) -> str:
    return stored_recipe.partition("/")[0]
