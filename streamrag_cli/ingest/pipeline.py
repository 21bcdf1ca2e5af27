"""Brings a collection in line with the files under some paths: add new, re-do changed, drop deleted.

Files are read ahead by a bounded amount and written in batches, so memory does not grow with their number. A document
is in the store as a whole or not at all, and one bad file never stops the rest.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from streamrag_cli.errors import StoreError, StreamragError
from streamrag_cli.events import IngestEvent, IngestStarted, Notice, as_event
from streamrag_cli.ingest.embedding import BatchEmbedder
from streamrag_cli.ingest.progress import done_event
from streamrag_cli.ingest.reading import FileReader
from streamrag_cli.ingest.removal import remove, remove_all
from streamrag_cli.ingest.roots import (
    IngestRequest,
    missing_root_notices,
    missing_stored_roots,
    reject_missing_paths,
    roots_of,
)
from streamrag_cli.ingest.run import Run
from streamrag_cli.ingest.safeguards import confirm_rebuild, reject_missing_roots, survey_folders
from streamrag_cli.retrieval.embedder import Embedder
from streamrag_cli.retrieval.retriever import embedder_for
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import Manifest, Writer, bound_embedding
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line

__all__ = ["IngestRequest", "ingest", "ingest_or_raise", "remove", "remove_all"]

_BYTES_PER_MB: Final = 1_000_000


def ingest(request: IngestRequest, settings: Settings, embedder: Embedder | None = None) -> Iterator[IngestEvent]:
    """Run an ingest; see `events` for the order of its events. `embedder` replaces the one that the settings name."""
    try:
        yield from ingest_or_raise(request, settings, embedder)
    except StreamragError as error:
        yield as_event(error)


def ingest_or_raise(
    request: IngestRequest, settings: Settings, embedder: Embedder | None = None
) -> Iterator[IngestEvent]:
    """The same, but a failure that ends the ingest is raised as StreamragError instead of said."""
    started = time.perf_counter()
    reject_missing_roots(request, settings)
    roots = roots_of(request, settings)
    reject_missing_paths(request, settings)
    confirm_rebuild(request, settings)
    looked_at = survey_folders(roots, request, settings)
    if embedder is None:
        embedder = embedder_for(settings, made_with=_bound_embedding(settings, rebuild=request.rebuild))
    yield IngestStarted(documents=looked_at.files, collection=settings.collection, embedding=embedder.name)
    yield from missing_root_notices(request, settings)
    store = open_store(settings.store)
    with ExitStack() as stack:
        limit_bytes = settings.max_file_mb * _BYTES_PER_MB
        reading = stack.enter_context(FileReader(limit_bytes=limit_bytes, wants_chunks=not request.dry_run))
        if request.dry_run:
            catalog: Manifest | None = None
            if not request.rebuild:
                catalog = stack.enter_context(store.manifest(settings.collection))
            run = Run(catalog, reading, request, looked_at)
            yield from run.compare(roots)
        else:
            opened = store.writer(settings.collection, embedding=embedder.name, rebuild=request.rebuild)
            writer = stack.enter_context(opened)
            yield from _repair(writer, embedder)
            writer.add_roots(map(str, {*roots, *looked_at.mounts}))
            catalog = writer.catalog
            embedding = BatchEmbedder(embedder, remembered_texts=request.limits.remembered_texts)
            run = Run(catalog, reading, request, looked_at)
            yield from run.sync(roots, writer, stack.enter_context(embedding))
        chunks = catalog.counts().chunks if catalog else 0
        yield from missing_stored_roots(request, settings, catalog)
    for root in run.unread_roots(roots):
        shown = sanitise_line(request.shown_name(root))
        left_out = f"no file was read in {shown}; -v lists the skipped files"
        yield Notice(message=left_out if run.skipped else f"no file was found in {shown}", code="nothing_read")
    ended = done_event(
        run.counts, chunks_written=run.chunks_written, chunks=chunks, started=started, dry_run=request.dry_run
    )
    yield replace(ended, skipped=dict(run.skipped), unsupported=dict(run.unsupported))


def _bound_embedding(settings: Settings, *, rebuild: bool) -> str | None:
    """The embedding of the collection's vectors; None where it never had any, or where it is too damaged to tell."""
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            return bound_embedding(manifest) if manifest else None
    except StoreError:
        if rebuild:
            return None
        raise


def _repair(writer: Writer, embedder: Embedder) -> Iterator[Notice]:
    mended = writer.repair(embedder.embed_documents)
    if mended:
        yield Notice(message=f"repaired {mended} vectors after an interrupted ingest", code="repaired")
