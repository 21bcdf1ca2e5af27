"""Selects the events that a watcher reports: news, notices that are shown once, and totals."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from streamrag_cli.events import DocumentSeen, IngestDone, Notice
from streamrag_cli.ingest.roots import IngestRequest
from streamrag_cli.missing_files import is_missing
from streamrag_cli.text import sanitise_line
from streamrag_cli.watch.files import WatchedFiles

_SHOWN_ACTIONS: Final = frozenset({"added", "changed", "deleted"})


class Reports:
    """One watcher's reports.

    `totals` are the totals of all batches so far. `documents` is the number of reported documents in the current batch.
    """

    def __init__(self, request: IngestRequest) -> None:
        self._request = request
        self._has_shown: set[str] = set()
        self._failed: dict[str, str] = {}
        self.documents = 0
        self.totals = IngestDone(counts={}, chunks_written=0, chunks=0, elapsed_ms=0.0, dry_run=False)

    def document(self, event: DocumentSeen, *, is_first: bool) -> Iterator[DocumentSeen]:
        """Yield the event. After the first sync, leave out unchanged files and failures that were already reported."""
        former = self._failed.pop(event.source, None)
        is_news = event.action in _SHOWN_ACTIONS or former is not None
        if event.action == "failed":
            self._failed[event.source] = event.reason
            is_news = event.reason != former
        if is_first or is_news:
            self.documents += 1
            yield event

    def vanished(self, paths: Iterable[str]) -> Iterator[DocumentSeen]:
        """Yield an event for each of these files that had failed, was never stored, and no longer exists."""
        for path in paths:
            shown = sanitise_line(self._request.shown_name(path))
            if shown in self._failed and is_missing(Path(path)):
                del self._failed[shown]
                yield DocumentSeen(source=shown, action="deleted")

    def once(self, notice: Notice) -> Iterator[Notice]:
        """Yield the notice unless it was shown before."""
        if notice.message not in self._has_shown:
            self._has_shown.add(notice.message)
            yield notice

    def fallback(self, files: WatchedFiles) -> Iterator[Notice]:
        """Yield a notice if the system cannot report changes."""
        if (why := files.why_polling) and not files.polls_on_request:
            message = f"the system cannot report changes ({why}), so the files are compared at intervals instead"
            message += f"; to allow more: {why.command}" if why.command else ""
            yield from self.once(Notice(message=message, code="watch_polling"))

    def missing_roots(self, files: WatchedFiles) -> Iterator[Notice]:
        """Yield a notice for each root that has disappeared since the last call."""
        for root in files.roots:
            message = f"{self._request.shown_name(root)} no longer exists; its documents are kept"
            message += f"; to remove them: {self._request.removal_command(root)}"
            notice = Notice(message=sanitise_line(message), code="root_gone")
            if is_missing(root):
                yield from self.once(notice)
            else:
                self._has_shown.discard(notice.message)

    def add(self, done: IngestDone) -> None:
        """Add a batch to the totals."""
        totals = self.totals
        self.totals = replace(
            done,
            counts={action: totals.counts.get(action, 0) + count for action, count in done.counts.items()},
            chunks_written=totals.chunks_written + done.chunks_written,
            elapsed_ms=totals.elapsed_ms + done.elapsed_ms,
        )
