"""Ingests the files under some paths: compares each file, reads it if necessary, and writes it.

Three threads run concurrently: one reads, parses and chunks files (`reading`), one embeds batches (`embedding`), and
the caller's thread compares files and accesses the store. Except for progress events, the events and their order do not
depend on the timing.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

from streamrag_cli.addresses import Address, Location, format_path, is_at_or_below, location
from streamrag_cli.documents.discovery_results import DiscoveryResult, FoundFile, SkippedPath, UnreadableDirectory
from streamrag_cli.events import DocumentAction, DocumentSeen, FileProgress
from streamrag_cli.ingest.compare import is_older, is_unchanged_by_stat
from streamrag_cli.ingest.embedding import BatchEmbedder
from streamrag_cli.ingest.prefetch import Waiting, prefetch
from streamrag_cli.ingest.progress import document_event
from streamrag_cli.ingest.reading import FileReader, FileResult, Reading
from streamrag_cli.ingest.roots import IngestRequest, has_utf_8_name, is_below, is_folder, outermost
from streamrag_cli.ingest.safeguards import FolderSurvey
from streamrag_cli.ingest.workload import Workload
from streamrag_cli.ingest.writing import as_events, write
from streamrag_cli.missing_files import is_missing
from streamrag_cli.model import UnreadFile
from streamrag_cli.store.interface import Manifest, Writer
from streamrag_cli.text import sanitise_line

_FAILS_IF_NAMED: Final = frozenset({"binary", "not_a_regular_file"})
"""If the user names a file explicitly, skipping it for one of these reasons counts as a failure."""
_Candidate: TypeAlias = tuple[DiscoveryResult, os.stat_result | None]


class IngestRun:
    """One run of an ingest. Its counters are complete when all events have been consumed."""

    def __init__(
        self,
        catalog: Manifest | None,
        reading: FileReader,
        request: IngestRequest,
        survey: FolderSurvey,
        workload: Workload,
    ) -> None:
        """Compare the files in `survey` with `catalog`; None means an empty catalog. `survey` can be used only once."""
        self._workload = workload
        self._catalog = catalog
        self._reading = reading
        self._request = request
        self._named_paths = frozenset(map(str, request.absolute_paths()))
        self._survey = survey
        self._retained_paths: set[str] = set()
        self._unreadable: list[Location] = []
        self._began_at = datetime.now(UTC)
        self.counts: Counter[DocumentAction] = Counter()
        self.skipped: Counter[str] = Counter()
        self.unsupported: Counter[str] = Counter()
        self.unread: list[FileResult] = []
        self.chunks_written = 0
        self._passages = 0
        self._files_read = 0

    def compare(self) -> Iterator[DocumentSeen | FileProgress]:
        """Compare the files without writing to the store, for a dry run."""
        events = as_events(self._results(), self._request.limits, lambda: 0.0)
        return self._counted(events, None)

    def sync(
        self, writer: Writer, embedding: BatchEmbedder, keep: Callable[[int], None]
    ) -> Iterator[DocumentSeen | FileProgress]:
        """Read new and changed files, and sync the store with all files. Yields an event per document, and progress.

        After an interruption, `keep` is called with the number of passages that are written or embedded.
        """
        limits = self._request.limits
        uninterrupted = self._request.uninterrupted
        steps = write(self._results(), writer, embedding, limits, uninterrupted=uninterrupted, keep=keep)
        with closing(steps):  # after an interruption in another stage, it writes the embedded documents
            yield from self._counted(as_events(steps, limits, lambda: embedding.share_done), writer)

    def _counted(
        self, events: Iterable[DocumentSeen | FileProgress], writer: Writer | None
    ) -> Iterator[DocumentSeen | FileProgress]:
        for event in chain(events, self._drop_deleted(writer)):
            if isinstance(event, DocumentSeen):
                self.counts[event.action] += 1
                self.chunks_written += event.chunks
                self._count_skipped(event)
                yield event
            else:
                self._passages = max(self._passages, self.chunks_written + event.passages)
                yield replace(
                    event,
                    passages=self._passages,
                    all_passages=self._workload.passages,
                    files_read=self._files_read,
                )

    def _results(self) -> Iterator[FileResult | Waiting]:
        """Yield the results in the order of discovery, without those for deleted files."""
        size = self._request.limits.bytes_ahead
        for step in prefetch(map(_with_status, self._discovered()), self._begin, weight=self._weight, size=size):
            if isinstance(step, Waiting):
                yield step
                continue
            result = step.future.result() if isinstance(step, Reading) else step
            self._workload.add_read(result.path, len(result.chunks))
            self._files_read += result.action not in {"skipped", "deleted"}
            if result.path in self._named_paths and result.code in _FAILS_IF_NAMED:
                result = replace(result, action="failed", code="")
            if result.action == "deleted" and self._is_out_of_reach(result.path):
                result = replace(result, action="failed")
            if result.action in {"failed", "skipped"}:
                self.unread.append(result)
            if result.keeps_stored:
                self._retained_paths.add(result.path)
            if result.action != "deleted":  # stored documents for missing files are removed at the end
                yield result

    def _discovered(self) -> Iterator[DiscoveryResult]:
        while self._survey.results:
            yield self._survey.results.popleft()

    def _is_out_of_reach(self, path: str) -> bool:
        """Whether a root or mount above the file is missing or empty. The file may then exist on an unmounted disk."""
        folders = (each for each in self._survey.folders if not isinstance(each, Address))
        above = [folder for folder in folders if is_at_or_below(path, str(folder))]
        return any(is_missing(each) or (not self._request.allow_empty and _is_empty(each)) for each in above)

    def _weight(self, item: _Candidate) -> int:
        """The size of a file in bytes, but at least a minimum. This limits how many small files are read in advance."""
        limits, status = self._request.limits, item[1]
        return max(status.st_size if status else 0, limits.bytes_ahead // limits.files_ahead)

    def _begin(self, item: _Candidate) -> FileResult | Reading:
        result, status = item
        if isinstance(result, FoundFile) and result.is_current:
            return FileResult(path=result.name, shown="", action="unchanged")
        shown = self._request.shown_name(result.path)
        match result:
            case FoundFile():
                return self._compare(result, status, shown)
            case SkippedPath(name=name, reason=reason, code=code):
                return FileResult(path=name, shown=shown, action="skipped", reason=reason, code=code)
            case UnreadableDirectory(path=path, reason=reason, code=code):
                self._unreadable.append(path)
                return FileResult(path=str(path), shown=shown, action="failed", reason=reason, code=code)

    def _compare(self, file: FoundFile, status: os.stat_result | None, shown: str) -> FileResult | Reading:
        if not has_utf_8_name(file.path):
            return FileResult(path=file.name, shown=shown, action="failed", reason="the file name is not UTF-8")
        source = self._request.stored_name(file.path, file.root)
        known = self._catalog.document(file.name) if self._catalog else None
        if known and status and is_unchanged_by_stat(status, known):
            renamed = replace(known, source=source) if known.source != source else None
            return FileResult(path=file.name, shown=shown, action="unchanged", record=renamed)
        return self._reading.begin(file, source, known, shown=shown)

    def _count_skipped(self, event: DocumentSeen) -> None:
        if event.action == "skipped":
            self.skipped[event.code] += 1
            if event.code == "unsupported":
                self.unsupported[format_path(event.source).suffix.casefold()] += 1

    def record_unread(self, writer: Writer) -> None:
        """Record the files that failed or were skipped in a complete run. Does not write if they are the same as
        before.
        """
        now = self._began_at.isoformat(timespec="milliseconds")  # a file that changes during the run has a later time
        roots = [str(root) for root in self._survey.tops]
        unrecorded = set(map(str, self._survey.unreachable))
        known = {
            each.path: each for each in writer.catalog.unread_files() if is_below(each.path, list(map(location, roots)))
        }
        files = []
        for result in (each for each in self.unread if each.path not in unrecorded):
            path = result.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            unread = UnreadFile(
                path=path,
                action=result.action,
                reason=sanitise_line(result.reason),
                code=result.code,
                seen_at=now,
            )
            former = known.get(path)
            is_same = former and replace(former, seen_at=now) == unread and is_older(result.path, former.seen_at)
            files.append(former if former and is_same else unread)
        if set(files) != set(known.values()):
            writer.record_unread(roots, files)

    def unread_roots(self) -> list[Location]:
        """The readable root folders in which every file was skipped, or which contain no file."""
        if self._survey.scope is not None:
            return []
        return [
            folder
            for folder in outermost(self._survey.roots)
            if is_folder(folder)
            and folder not in self._unreadable
            and not any(is_at_or_below(path, str(folder)) for path in self._retained_paths)
        ]

    def _drop_deleted(self, writer: Writer | None) -> Iterator[DocumentSeen]:
        for root in self._survey.tops:
            missing = [
                path
                for path in sorted(self._catalog.file_versions(str(root)) if self._catalog else ())
                if path not in self._retained_paths and not is_below(path, self._unreadable)
            ]
            if missing and writer:
                writer.remove(missing)
            yield from (document_event(self._request.shown_name(path), "deleted") for path in missing)


def _with_status(result: DiscoveryResult) -> _Candidate:
    """Return a discovery result and the `lstat` result of its file.

    The `lstat` result is None if there is no file to compare, or if `lstat` fails. The error is reported later, when
    the file is read.
    """
    try:
        return result, os.lstat(result.real) if isinstance(result, FoundFile) and not result.is_current else None
    except OSError:
        return result, None


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False
