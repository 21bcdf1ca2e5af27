"""One pass over the files below some paths: each is compared, read if it must be, and put into the sink.

Three things go on side by side: files are read, parsed and cut (`reading`), batches are embedded (`embedding`), and
the caller's thread finds files and does all that touches the store. What is said, and in what order, does not
depend on which of them is ahead.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeAlias

from streamrag_cli.documents import RECIPE
from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.found import Found, FoundFile, SkippedPath, UnreadableDirectory
from streamrag_cli.events import DocumentAction, DocumentSeen, FileProgress
from streamrag_cli.ingest.compare import is_unchanged_by_stat
from streamrag_cli.ingest.reading import Examined, ReadAhead
from streamrag_cli.ingest.roots import IngestRequest, has_utf_8_name, outermost
from streamrag_cli.ingest.sinks import Sink
from streamrag_cli.text import sanitise_line

_FAILS_IF_NAMED: Final = frozenset({"binary", "not_a_regular_file"})
"""Why a file is skipped that is a failure if this ingest was asked for the file itself."""

_Pending: TypeAlias = "_Reading | Examined"


@dataclass(frozen=True, slots=True)
class _Reading:
    """A file that is being read, its size in bytes and its shown name."""

    future: "Future[Examined]"
    size: int
    shown: str


class Run:
    """One pass. `counts` and `chunks_written` say what became of the files, `skipped` and `unsupported` why not."""

    def __init__(self, sink: Sink, reading: ReadAhead, request: IngestRequest, exclude: Sequence[str] = ()) -> None:
        self._sink = sink
        self._reading = reading
        self._request = request
        self._limits = request.limits
        self._asked_for = frozenset(map(str, request.absolute_paths()))
        self._exclude = exclude
        self._ahead: deque[_Pending] = deque()
        self._bytes_ahead = 0
        self._kept: set[str] = set()
        self._unreadable: list[Path] = []
        self.counts: Counter[DocumentAction] = Counter()
        self.skipped: Counter[str] = Counter()
        self.unsupported: Counter[str] = Counter()
        self.chunks_written = 0

    def bring_in_line(self, roots: Sequence[Path]) -> Iterator[DocumentSeen | FileProgress]:
        for event in self._events(roots):
            if isinstance(event, FileProgress):
                yield event
                continue
            self.counts[event.action] += 1
            self.chunks_written += event.chunks
            self._count_skipped(event)
            yield event

    def _events(self, roots: Sequence[Path]) -> Iterator[DocumentSeen | FileProgress]:
        for found in discover(roots, exclude=self._exclude, environment=self._request.environment):
            while self._is_far_ahead(found):
                yield from self._wait_and_take()
            self._ahead.append(self._begin(found))
            yield from self._take_what_is_there()
        while self._ahead:
            yield from self._wait_and_take()
        yield from self._sink.flush()
        yield from self._drop_deleted(roots)

    def _begin(self, found: Found) -> _Pending:
        match found:
            case FoundFile():
                return self._compare(found)
            case SkippedPath(path=path, reason=reason, code=code):
                shown = self._request.shown_name(path)
                return Examined(path=str(path), source=shown, action="skipped", reason=reason, code=code)
            case UnreadableDirectory(path=path, reason=reason):
                self._unreadable.append(path)
                shown = self._request.shown_name(path)
                return Examined(path=str(path), source=shown, action="failed", reason=reason)

    def _compare(self, found: FoundFile) -> _Pending:
        path, shown = str(found.path), self._request.shown_name(found.path)
        if not has_utf_8_name(found.path):
            return Examined(path=path, source=shown, action="failed", reason="its name is not UTF-8")
        source = self._request.stored_name(found.path, found.root)
        known = self._sink.record(path)
        if known and is_unchanged_by_stat(found, known, recipe=RECIPE):
            same = replace(known, source=source) if known.source != source else None
            return Examined(path=path, source=shown, action="unchanged", record=same)
        self._bytes_ahead += found.size
        return _Reading(self._reading.begin(found, source, known, shown=shown), found.size, shown)

    def _count_skipped(self, event: DocumentSeen) -> None:
        if event.action == "skipped":
            self.skipped[event.code] += 1
            if event.code == "unsupported":
                self.unsupported[Path(event.source).suffix.casefold()] += 1

    def unread_roots(self, roots: Sequence[Path]) -> list[Path]:
        """The folders of which no file was read, nor failed."""
        folders = [root for root in outermost(roots) if root.is_dir()]
        kept = [Path(path) for path in self._kept] if folders else []
        return [
            folder
            for folder in folders
            if folder not in self._unreadable and not any(path.is_relative_to(folder) for path in kept)
        ]

    def _is_far_ahead(self, found: Found) -> bool:
        bytes_ahead = self._bytes_ahead + (found.size if isinstance(found, FoundFile) else 0)
        return bool(self._ahead) and (
            len(self._ahead) >= self._limits.files_ahead or bytes_ahead > self._limits.bytes_ahead
        )

    def _wait_and_take(self) -> Iterator[DocumentSeen | FileProgress]:
        """Wait until the oldest is read; what is embedded meanwhile is written meanwhile."""
        since = perf_counter()
        while not isinstance(first := self._ahead[0], Examined) and not first.future.done():
            awaited: list[Future[Any]] = [first.future, *filter(None, [self._sink.waits_for()])]
            wait(awaited, timeout=self._limits.tick_s, return_when=FIRST_COMPLETED)
            yield from self._sink.ready()
            if progress := self._sink.progress():
                yield progress
            elif perf_counter() - since > self._limits.quiet_s:
                yield FileProgress(source=sanitise_line(first.shown), embedded=0, chunks=0)
        yield from self._take_what_is_there()

    def _take_what_is_there(self) -> Iterator[DocumentSeen | FileProgress]:
        """Put what is read into the sink, as far as it goes, so that the embedder has work; only then write."""
        while self._ahead and not self._sink.is_crowded():
            first = self._ahead[0]
            if not isinstance(first, Examined):
                if not first.future.done():
                    break
                self._bytes_ahead -= first.size
                first = first.future.result()
            self._ahead.popleft()
            if first.path in self._asked_for and first.code in _FAILS_IF_NAMED:
                first = replace(first, action="failed", code="")
            if first.is_kept:
                self._kept.add(first.path)
            self._sink.put(first)
        yield from self._sink.ready()

    def _drop_deleted(self, roots: Sequence[Path]) -> Iterator[DocumentSeen]:
        for root in outermost(roots):
            gone = [
                record
                for record in self._sink.records_under(str(root))
                if record.path not in self._kept
                and not any(Path(record.path).is_relative_to(directory) for directory in self._unreadable)
            ]
            if gone:
                shown = [replace(record, source=self._request.shown_name(record.path)) for record in gone]
                yield from self._sink.remove(shown)
