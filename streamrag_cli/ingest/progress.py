"""Creates the events for an ingest or a removal."""

import time
from collections.abc import Mapping
from typing import Final, get_args

from streamrag_cli.events import DocumentAction, DocumentSeen, IngestDone
from streamrag_cli.text import sanitise_line

_ACTIONS: Final[tuple[DocumentAction, ...]] = get_args(DocumentAction)


def done_event(
    counts: Mapping[DocumentAction, int], *, chunks_written: int, chunks: int, started: float, dry_run: bool
) -> IngestDone:
    """The final event. `started` is a value of `perf_counter`. Actions that are not in `counts` get the count 0."""
    return IngestDone(
        counts={action: counts.get(action, 0) for action in _ACTIONS},
        chunks_written=chunks_written,
        chunks=chunks,
        elapsed_ms=(time.perf_counter() - started) * 1000,
        dry_run=dry_run,
    )


def document_event(
    source: str, action: DocumentAction, *, chunks: int = 0, reason: str = "", code: str = ""
) -> DocumentSeen:
    """The event for one document. Its name and reason are sanitised."""
    return DocumentSeen(
        source=sanitise_line(source), action=action, chunks=chunks, reason=sanitise_line(reason), code=code
    )
