"""Syncs a collection with the files under some paths: adds new ones, updates changed ones, removes deleted ones.

Only a limited number of files are read in advance, and documents are written in batches, so only the contents of a few
files are in memory. Each document is written atomically, and an unreadable file does not stop the ingest.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Final

from streamrag_cli.addresses import Address, Location
from streamrag_cli.counting import rough_time
from streamrag_cli.documents.discovery_results import FoundFile
from streamrag_cli.documents.ocr import INSTALL, Ocr, find_ocr, has_program
from streamrag_cli.documents.ocr_cache import OcrCache
from streamrag_cli.errors import ModelServerError, StoreError, StreamragError
from streamrag_cli.events import IngestEvent, IngestStarted, Notice, as_event
from streamrag_cli.ingest.embedding import BatchEmbedder
from streamrag_cli.ingest.newly_skipped import confirm_newly_skipped
from streamrag_cli.ingest.progress import done_event
from streamrag_cli.ingest.reading import FileReader
from streamrag_cli.ingest.removal import remove, remove_all
from streamrag_cli.ingest.roots import (
    IngestRequest,
    copies_of,
    missing_root_notices,
    missing_stored_roots,
    recorded_roots,
    reject_missing_paths,
    roots_to_ingest,
)
from streamrag_cli.ingest.run import IngestRun
from streamrag_cli.ingest.safeguards import (
    BYTES_PER_MB,
    FolderSurvey,
    confirm_rebuild,
    reject_missing_roots,
    survey_folders,
)
from streamrag_cli.ingest.speed import record_speed, seconds_for
from streamrag_cli.ingest.unfinished import UnfinishedPassages
from streamrag_cli.ingest.workload import Workload
from streamrag_cli.retrieval.calibration import COSINE_RANGE, measure, needs_calibration
from streamrag_cli.retrieval.embedder import Embedder
from streamrag_cli.retrieval.language_support import multilingual_suggestion
from streamrag_cli.retrieval.retriever import embedder_for
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import Manifest, Writer, bound_embedding
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line

__all__ = ["IngestRequest", "ingest", "ingest_or_raise", "remove", "remove_all"]

_MANY_IMAGES: Final = 20
_SECONDS_PER_IMAGE: Final = 3.0


def ingest(
    request: IngestRequest, settings: Settings, embedder: Embedder | None = None
) -> Generator[IngestEvent, None, None]:
    """Run an ingest and yield its events, in the order that `events.py` describes.

    `embedder` is used instead of the embedder in the settings.
    """
    try:
        yield from ingest_or_raise(request, settings, embedder)
    except StreamragError as error:
        yield as_event(error)


def ingest_or_raise(
    request: IngestRequest, settings: Settings, embedder: Embedder | None = None
) -> Iterator[IngestEvent]:
    """Like `ingest`, but raises StreamragError instead of yielding an error event."""
    started = time.perf_counter()
    reject_missing_roots(request, settings)
    roots = roots_to_ingest(request, settings)
    reject_missing_paths(request, settings)
    confirm_rebuild(request, settings)
    with _tidy_copies(roots, request, settings):
        yield from _ingest(roots, request, settings, embedder, started)


@contextmanager
def _tidy_copies(roots: Sequence[Location], request: IngestRequest, settings: Settings) -> Iterator[None]:
    """At the end of the `with` block, remove copies that are not needed, such as those from a dry run.

    After an interruption they are kept, so that the command does not fetch the same pages again when it is repeated.
    """
    try:
        yield
    except Exception:
        _tidy(roots, request, settings)
        raise
    _tidy(roots, request, settings)


def _tidy(roots: Sequence[Location], request: IngestRequest, settings: Settings) -> None:
    addresses = [root for root in roots if isinstance(root, Address)]
    is_rebuilt = request.rebuild and not request.dry_run and settings.state_directory
    if addresses or is_rebuilt:
        with suppress(StoreError):
            recorded = {root for root in recorded_roots(settings) if isinstance(root, Address)}
            copies_of(settings).tidy(addresses, recorded=recorded)
            if is_rebuilt:
                copies_of(settings).keep_only(recorded)


def _ingest(
    roots: Sequence[Location], request: IngestRequest, settings: Settings, embedder: Embedder | None, started: float
) -> Iterator[IngestEvent]:
    survey = survey_folders(roots, request, settings)
    confirm_newly_skipped(survey, request, settings)
    if embedder is None:
        embedder = embedder_for(settings, made_with=_bound_embedding(settings, rebuild=request.rebuild))
    workload = _workload(survey, request, settings)
    yield IngestStarted(
        documents=survey.files,
        collection=settings.collection,
        embedding=embedder.name,
        new_documents=workload.files,
        passages=workload.passages,
        seconds=None if request.dry_run else seconds_for(workload.passages, embedder, settings.state_directory),
    )
    yield from (Notice(message=sanitise_line(note.message), code=note.code) for note in survey.notes)
    yield from missing_root_notices(request, settings)
    if workload.images >= _MANY_IMAGES:
        about = rough_time(workload.images * _SECONDS_PER_IMAGE)
        message = f"reading {workload.images:,} images with OCR takes about {about}; --ocr off skips them"
        yield Notice(message=message, code="many_images")
    store = open_store(settings.store)
    with ExitStack() as stack:
        limit_bytes = settings.max_file_mb * BYTES_PER_MB
        find_ocr = _ocr_finder(request, settings)
        ocr_hint = "--ocr auto" if has_program(request.environment or {}) else INSTALL
        reads_chunks = not request.dry_run
        reading = stack.enter_context(
            FileReader(limit_bytes=limit_bytes, reads_chunks=reads_chunks, find_ocr=find_ocr, ocr_hint=ocr_hint)
        )
        if request.dry_run:
            catalog: Manifest | None = None
            if not request.rebuild:
                catalog = stack.enter_context(store.manifest(settings.collection))
            run = IngestRun(catalog, reading, request, survey, workload)
            yield from run.compare()
        else:
            opened = store.writer(settings.collection, embedding=embedder.name, rebuild=request.rebuild)
            writer = stack.enter_context(opened)
            yield from _repair(writer, embedder)
            writer.add_roots(map(str, {*roots, *survey.mounts} - survey.unreachable))
            catalog = writer.catalog
            run = IngestRun(catalog, reading, request, survey, workload)
            yield from _sync(run, writer, embedder, request, settings)
        chunks = catalog.counts().chunks if catalog else 0
        if request.scope is None:
            yield from missing_stored_roots(request, settings, catalog)
        if catalog and run.chunks_written and (suggestion := multilingual_suggestion(catalog)):
            yield Notice(message=": ".join(suggestion), code="multilingual_suggested")
    for root in run.unread_roots():
        shown = sanitise_line(request.shown_name(root))
        message = f"no files were read from {shown}; -v lists the skipped files"
        yield Notice(message=message if run.skipped else f"no files were found in {shown}", code="nothing_read")
    done = done_event(
        run.counts, chunks_written=run.chunks_written, chunks=chunks, started=started, dry_run=request.dry_run
    )
    yield replace(done, skipped=dict(run.skipped), unsupported=dict(run.unsupported))


def _sync(
    run: IngestRun, writer: Writer, embedder: Embedder, request: IngestRequest, settings: Settings
) -> Iterator[IngestEvent]:
    unfinished = UnfinishedPassages(settings.state_directory, embedder.name)
    remembered_texts = request.limits.remembered_texts
    with BatchEmbedder(embedder, remembered_texts=remembered_texts, known=unfinished.take()) as embedding:
        began = time.perf_counter()

        def keep(passages: int) -> None:
            request.interrupted(passages if settings.state_directory else 0)
            unfinished.save(embedding.unused())

        try:
            yield from run.sync(writer, embedding, keep)
        except Exception:
            unfinished.save(embedding.unused())
            raise
        record_speed(embedder, embedding.embedded_texts, time.perf_counter() - began, settings.state_directory)
    run.record_unread(writer)
    if run.chunks_written:
        _calibrate(writer, embedder)


def _workload(survey: FolderSurvey, request: IngestRequest, settings: Settings) -> Workload:
    files = (result for result in survey.results if isinstance(result, FoundFile) and not result.is_current)
    if request.is_current:
        return Workload(files, ())
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            roots = survey.tops if manifest and not request.rebuild else ()
            stored = (record for root in roots if manifest for record in manifest.documents_under(str(root)))
            return Workload(files, stored)
    except StoreError:
        if not request.rebuild:
            raise
        return Workload(files, ())


def _ocr_finder(request: IngestRequest, settings: Settings) -> Callable[[], tuple[Ocr, OcrCache] | None]:
    """Return a function that finds tesseract. If the settings name languages, they are checked immediately.

    Raises ConfigurationError `no_ocr`.
    """

    def find() -> tuple[Ocr, OcrCache] | None:
        ocr = find_ocr(settings.ocr, request.environment or {})
        return (ocr, OcrCache(settings.state_directory, ocr.recipe)) if ocr else None

    if settings.ocr in {"auto", "off"}:
        return find
    ocr = find()
    return lambda: ocr


def _bound_embedding(settings: Settings, *, rebuild: bool) -> str | None:
    """The collection's embedder; None if it has never had vectors, or if it is damaged and being rebuilt."""
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            return bound_embedding(manifest) if manifest else None
    except StoreError:
        if rebuild:
            return None
        raise


def _calibrate(writer: Writer, embedder: Embedder) -> None:
    """Measure and store the embedder's cosine range, unless it is known. If this fails, the next ingest tries again."""
    if needs_calibration(embedder) and writer.catalog.meta(COSINE_RANGE) is None:
        with suppress(ModelServerError):
            measured = measure(embedder)
            writer.set_cosine_range(str(measured))


def _repair(writer: Writer, embedder: Embedder) -> Iterator[Notice]:
    repaired = writer.repair(embedder.embed_documents)
    if repaired:
        vectors = "1 vector was" if repaired == 1 else f"{repaired:,} vectors were"
        message = f"repaired the collection after an interrupted ingest: {vectors} added or removed"
        yield Notice(message=message, code="repaired")
