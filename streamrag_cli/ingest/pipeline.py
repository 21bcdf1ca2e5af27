"""Brings a collection in line with the files under some paths: add new, re-do changed, drop deleted.

Documents are read one after the other and written in batches, so memory does not grow with their number. A
document is in the store as a whole or not at all, and one bad file never stops the rest.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

from streamrag_cli.documents import RECIPE
from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.discover import FoundFile, SkippedPath, UnreadableDirectory, discover
from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.errors import DocumentError, StoreError, StreamragError, UsageError
from streamrag_cli.events import DocumentAction, DocumentSeen, IngestDone, IngestEvent, IngestStarted, Notice, as_event
from streamrag_cli.ingest.compare import is_unchanged_by_stat, read_record, renewed
from streamrag_cli.ingest.sinks import DryRun, Sink, StoreSink, seen
from streamrag_cli.retrieval.embeddings import Embedder
from streamrag_cli.retrieval.retriever import embedder_for
from streamrag_cli.settings import Settings
from streamrag_cli.store.catalog import Catalog
from streamrag_cli.store.layout import Layout
from streamrag_cli.store.writer import CollectionWriter, open_for_writing
from streamrag_cli.text import sanitise_line

_ACTIONS: Final[tuple[DocumentAction, ...]] = get_args(DocumentAction)
_BYTES_PER_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRequest:
    """What to ingest. `paths` may be empty only with `rebuild`: then it is what was ingested before.

    `working_directory` is absolute: where relative paths start and what shown names are relative to.
    """

    paths: tuple[Path, ...]
    working_directory: Path
    rebuild: bool = False
    dry_run: bool = False


def ingest(request: IngestRequest, settings: Settings) -> Iterator[IngestEvent]:
    """Run an ingest; see `events` for the order of what it says."""
    try:
        yield from ingest_or_raise(request, settings)
    except StreamragError as error:
        yield as_event(error)


def remove(request: IngestRequest, settings: Settings) -> Iterator[IngestEvent]:
    """Take the documents at or below the paths out of the collection; the files are not touched."""
    try:
        yield from _remove(request, settings)
    except StreamragError as error:
        yield as_event(error)


def ingest_or_raise(request: IngestRequest, settings: Settings) -> Iterator[IngestEvent]:
    """The same, but a failure that ends the ingest is raised as StreamragError instead of said."""
    started = time.perf_counter()
    roots = _roots(request, settings)
    total = sum(isinstance(found, FoundFile) for found in discover(roots))
    embedder = embedder_for(settings, made_with=_made_with(settings, rebuild=request.rebuild))
    yield IngestStarted(documents=total, collection=settings.collection, embedding=embedder.name)
    yield from _lost_roots(request, settings)
    with ExitStack() as stack:
        loader = stack.enter_context(Loader())
        if request.dry_run:
            catalog = None if request.rebuild else _existing_catalog(settings, stack)
            sink: Sink = DryRun(catalog)
        else:
            opened = open_for_writing(
                settings.store, settings.collection, embedding=embedder.name, rebuild=request.rebuild
            )
            writer = stack.enter_context(opened)
            yield from _repair(writer, embedder)
            writer.add_roots(map(str, roots))
            sink, catalog = StoreSink(writer, embedder), writer.catalog
        run = _Run(sink, loader, request, limit_bytes=settings.max_file_mb * _BYTES_PER_MB)
        yield from run.bring_in_line(roots)
        chunks = catalog.counts().chunks if catalog else 0
    yield run.done(chunks=chunks, started=started)


def _remove(request: IngestRequest, settings: Settings) -> Iterator[IngestEvent]:
    started = time.perf_counter()
    below = [_absolute(path, request.working_directory) for path in request.paths]
    made_with = _made_with(settings, rebuild=False)
    if made_with is None:
        raise Layout(settings.store, settings.collection).missing()
    with open_for_writing(settings.store, settings.collection, embedding=made_with) as writer:
        records = [record for path in below for record in writer.catalog.documents_under(str(path))]
        yield IngestStarted(documents=len(records), collection=settings.collection, embedding=made_with)
        if not records:
            missing = ", ".join(map(str, request.paths))
            raise UsageError(f"nothing from {missing} in the store", code="not_ingested", hint="streamrag status")
        writer.remove(record.path for record in records)
        gone = [root for root in writer.catalog.roots() if any(Path(root).is_relative_to(path) for path in below)]
        writer.remove_roots(gone)
        chunks = writer.counts().chunks
    yield from (seen(record.source, "deleted") for record in records)
    counts = dict.fromkeys(_ACTIONS, 0) | {"deleted": len(records)}
    yield _done(counts, chunks_written=0, chunks=chunks, started=started, dry_run=False)


class _Run:
    """One pass over the files. `counts` says what became of them."""

    def __init__(self, sink: Sink, loader: Loader, request: IngestRequest, *, limit_bytes: int) -> None:
        self._sink = sink
        self._loader = loader
        self._request = request
        self._limit_bytes = limit_bytes
        self._kept: set[str] = set()
        self._unreadable: list[Path] = []
        self.counts: Counter[DocumentAction] = Counter()
        self.chunks_written = 0

    def bring_in_line(self, roots: Sequence[Path]) -> Iterator[DocumentSeen]:
        for event in self._events(roots):
            self.counts[event.action] += 1
            self.chunks_written += event.chunks
            yield event

    def done(self, *, chunks: int, started: float) -> IngestDone:
        counts = {action: self.counts[action] for action in _ACTIONS}
        return _done(
            counts,
            chunks_written=self.chunks_written,
            chunks=chunks,
            started=started,
            dry_run=self._request.dry_run,
        )

    def _events(self, roots: Sequence[Path]) -> Iterator[DocumentSeen]:
        for found in discover(roots):
            match found:
                case FoundFile():
                    yield from self._take(found)
                case SkippedPath(path=path, reason=reason):
                    yield seen(self._name(path, path), "skipped", reason=reason)
                case UnreadableDirectory(path=path, reason=reason):
                    self._unreadable.append(path)
                    yield seen(self._name(path, path), "failed", reason=reason)
        yield from self._sink.flush()
        yield from self._drop_deleted(roots)

    def _take(self, found: FoundFile) -> Iterator[DocumentSeen]:
        source = self._name(found.path, found.root)
        if not _has_utf_8_name(found.path):
            yield seen(source, "failed", reason="its name is not UTF-8")
            return
        known = self._sink.record(str(found.path))
        if known and is_unchanged_by_stat(found, known, recipe=RECIPE):
            self._kept.add(known.path)
            if known.source != source:
                self._sink.renew(replace(known, source=source))
            yield seen(source, "unchanged")
            return
        try:
            yield from self._read(found, source, known is not None)
        except DocumentError as error:
            if error.code == "binary":
                yield seen(source, "skipped", reason=error.message)
                return
            self._kept.add(str(found.path))  # what the store has of it stays until it can be read again
            yield seen(source, "failed", reason=error.message)

    def _read(self, found: FoundFile, source: str, known: bool) -> Iterator[DocumentSeen]:
        record, raw = read_record(found, source, recipe=RECIPE, limit_bytes=self._limit_bytes)
        stored = self._sink.record(record.path) if known else None
        if stored and (same := renewed(stored, record)):
            self._kept.add(record.path)
            self._sink.renew(same)
            yield seen(source, "unchanged")
            return
        action: DocumentAction = "changed" if known else "added"
        remark, chunks = "", []
        if self._sink.wants_chunks:
            document = self._loader.load(found.path, raw)
            chunks = list(chunk(document))
            record = replace(record, title=document.title)
            remark = "; ".join(document.remarks) or ("" if chunks else "no text in it")
        self._kept.add(record.path)
        yield from self._sink.put(record, chunks, action, remark)

    def _drop_deleted(self, roots: Sequence[Path]) -> Iterator[DocumentSeen]:
        for root in roots:
            gone = [
                record
                for record in self._sink.records_under(str(root))
                if record.path not in self._kept
                and not any(Path(record.path).is_relative_to(directory) for directory in self._unreadable)
            ]
            if gone:
                yield from self._sink.remove(gone)

    def _name(self, path: Path, root: Path) -> str:
        """As people know the file: relative to where they are, else from the ingested folder's name on."""
        for base in (self._request.working_directory, root.parent):
            if path.is_relative_to(base):
                return str(path.relative_to(base))
        return str(path)


def _done(
    counts: dict[DocumentAction, int], *, chunks_written: int, chunks: int, started: float, dry_run: bool
) -> IngestDone:
    return IngestDone(
        counts=counts,
        chunks_written=chunks_written,
        chunks=chunks,
        elapsed_ms=(time.perf_counter() - started) * 1000,
        dry_run=dry_run,
    )


def _has_utf_8_name(path: Path) -> bool:
    """Whether the store can keep the path: bytes that are no UTF-8 come as lone surrogates, which SQLite refuses."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _absolute(path: Path, working_directory: Path) -> Path:
    return Path(os.path.normpath(working_directory / path))


def _roots(request: IngestRequest, settings: Settings) -> list[Path]:
    """The absolute paths to ingest, without those that lie below another."""
    given = [_absolute(path, request.working_directory) for path in request.paths]
    if not given and request.rebuild:
        given = [root for root in _recorded_roots(settings) if root.exists()]
    if not given:
        raise UsageError("no path to ingest", code="no_path", hint="streamrag ingest PATH")
    for root in given:
        if not _has_utf_8_name(root):
            raise UsageError(
                f"the name of {sanitise_line(str(root))} is not UTF-8", code="not_utf_8", hint="mv OLD NEW"
            )
    return [root for root in dict.fromkeys(given) if not any(root != up and root.is_relative_to(up) for up in given)]


def _recorded_roots(settings: Settings) -> list[Path]:
    """The absolute paths that earlier ingests were given."""
    current = Layout(settings.store, settings.collection).current()
    return [Path(root) for root in (current.roots if current else ())]


def _lost_roots(request: IngestRequest, settings: Settings) -> Iterator[Notice]:
    """A rebuild from what was ingested before cannot bring back what is gone."""
    if request.rebuild and not request.paths:
        for root in _recorded_roots(settings):
            if not root.exists():
                yield Notice(message=sanitise_line(f"{root} is gone; its documents are left out"), code="root_gone")


def _made_with(settings: Settings, *, rebuild: bool) -> str | None:
    """The embedding of the collection as it is; None where there is none, or where it is too damaged to tell."""
    with ExitStack() as stack:
        try:
            catalog = _existing_catalog(settings, stack)
            return catalog.meta("embedding") if catalog else None
        except StoreError:
            if rebuild:
                return None
            raise


def _existing_catalog(settings: Settings, stack: ExitStack) -> Catalog | None:
    layout = Layout(settings.store, settings.collection)
    current = layout.current()
    if current is None:
        return None
    catalog = Catalog(layout.catalog(current.epoch))
    stack.callback(catalog.close)
    return catalog


def _repair(writer: CollectionWriter, embedder: Embedder) -> Iterator[Notice]:
    mended = writer.repair(embedder.embed_documents)
    if mended:
        yield Notice(message=f"an earlier ingest was interrupted; {mended} vectors put right", code="repaired")
