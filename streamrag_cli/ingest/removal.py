"""Removes documents or a whole collection from the store. Files are not changed."""

import re
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from streamrag_cli.addresses import Address, Location, location
from streamrag_cli.documents.gitignore import OWN_IGNORE_FILE
from streamrag_cli.errors import StoreError, StreamragError, UsageError
from streamrag_cli.events import IngestEvent, IngestStarted, Notice, as_event
from streamrag_cli.ingest.progress import document_event, done_event
from streamrag_cli.ingest.roots import IngestRequest, copies_of, is_below
from streamrag_cli.ingest.safeguards import MANY_DOCUMENTS, confirm_removal
from streamrag_cli.model import DocumentRecord
from streamrag_cli.settings import Settings
from streamrag_cli.store.backend import Store, missing_collection
from streamrag_cli.store.interface import Manifest
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.rows import EVERYTHING
from streamrag_cli.text import sanitise_line

_NAMED_FILES: Final = 5


def remove(request: IngestRequest, settings: Settings) -> Iterator[IngestEvent]:
    """Remove the documents at or below the paths in the request from the collection."""
    try:
        yield from _remove(request, settings)
    except StreamragError as error:
        yield as_event(error)


def remove_all(request: IngestRequest, settings: Settings) -> Iterator[IngestEvent]:
    """Remove the whole collection, even if it is damaged."""
    try:
        yield from _remove_all(request, settings)
    except StreamragError as error:
        yield as_event(error)


def _remove(request: IngestRequest, settings: Settings) -> Iterator[IngestEvent]:
    started = time.perf_counter()
    below: list[Location] = request.absolute_paths()
    store = open_store(settings.store)
    with store.manifest(settings.collection) as manifest:
        made_with = manifest.meta("embedding") if manifest else None
        if manifest is None or made_with is None:
            missing = missing_collection(store, settings.collection, existing=store.collections())
            missing.hint = _removal_of_collection(request, store) or missing.hint
            raise missing
        below = [_piped_document(manifest, *pair) or pair[1] for pair in zip(request.paths, below, strict=True)]
        records, chunks = _records_under(manifest, below), manifest.counts().chunks
        roots = _roots_under(manifest, below)
    if not records and not roots:
        paths = sanitise_line(", ".join(map(str, request.paths)))
        hint = _removal_of_collection(request, store) or "streamrag status"
        raise UsageError(f"the store has no documents from {paths}", code="not_ingested", hint=hint)
    arguments = shlex.join(map(str, request.paths))
    where = f"below {', '.join(map(str, below))} from the collection {settings.collection!r}"
    confirm_removal(len(records), where, request, command=f"streamrag ingest --remove {arguments}")
    yield IngestStarted(documents=len(records), collection=settings.collection, embedding=made_with)
    if not request.dry_run:
        with store.writer(settings.collection, embedding=made_with) as writer:
            records = _records_under(writer.catalog, below)
            writer.remove(record.path for record in records)
            removed_roots = _roots_under(writer.catalog, below)
            writer.remove_roots(removed_roots)
            writer.record_unread(list(map(str, below)), [])
            chunks = writer.catalog.counts().chunks
            roots = writer.catalog.roots()
        yield from _notices_of_return(request, below, roots)
        removed = [location(root) for root in removed_roots]
        _tidy_copies([root for root in removed if isinstance(root, Address)], settings)
    yield from (document_event(request.shown_name(record.path), "deleted") for record in records)
    yield done_event(
        {"deleted": len(records)}, chunks_written=0, chunks=chunks, started=started, dry_run=request.dry_run
    )


def _notices_of_return(request: IngestRequest, removed: Sequence[Location], roots: Iterable[str]) -> Iterator[Notice]:
    """Yield a notice for each path that the next ingest would add again, with the command that prevents this."""
    folders = [Path(root) for root in roots if not isinstance(location(root), Address)]
    for path in removed:
        root = next((each for each in folders if is_below(str(path), [each])), None)
        if isinstance(path, Address) or root is None or not root.is_dir() or not path.exists():
            continue
        relative = re.sub(r"([\\*?\[ ])", r"\\\1", path.relative_to(root).as_posix())
        shown_root = shlex.quote(request.shown_name(root))
        ignore_file = shlex.quote(request.shown_name(root / OWN_IGNORE_FILE))
        pattern = shlex.quote(f"/{relative}{'/' * path.is_dir()}")
        message = f"the next ingest of {shown_root} adds {request.shown_name(path)} again; to prevent this:"
        yield Notice(message=sanitise_line(f"{message} echo {pattern} >> {ignore_file}"), code="removed_returns")


def _removal_of_collection(request: IngestRequest, store: Store) -> str:
    """The command that removes a collection, if its name was passed as a path; "" if no collection has this name."""
    name = str(request.paths[0]) if len(request.paths) == 1 else ""
    return f"streamrag ingest --remove -c {shlex.quote(name)}" if name in store.collections() else ""


def _piped_document(manifest: Manifest, path: Location, absolute: Location) -> Address | None:
    """The document that was piped with `path` as its name; None if the store has a document for a file at that path."""
    if isinstance(path, Address) or path.is_absolute() or str(path).startswith(".."):
        return None
    piped = Address(f"stdin://{path}")
    is_file = next(manifest.documents_under(str(absolute)), None) is not None or str(absolute) in manifest.roots()
    return None if is_file or manifest.document(str(piped)) is None else piped


def _tidy_copies(removed: Sequence[Address], settings: Settings) -> None:
    if settings.state_directory:
        copies_of(settings).tidy(removed, recorded=())


def _records_under(manifest: Manifest, paths: Sequence[Location]) -> list[DocumentRecord]:
    records = {record.path: record for path in paths for record in manifest.documents_under(str(path))}
    return list(records.values())


def _roots_under(manifest: Manifest, paths: Sequence[Location]) -> list[str]:
    return [root for root in manifest.roots() if is_below(root, paths)]


def _remove_all(request: IngestRequest, settings: Settings) -> Iterator[IngestEvent]:
    started = time.perf_counter()
    records, made_with, chunks = _contents(settings)
    command = f"streamrag ingest --remove --all -c {shlex.quote(settings.collection)}"
    where = f"and the collection {settings.collection!r} itself"
    count = None if records is None else len(records)
    confirm_removal(count, where, request, command=command, limit=-1 if request.confirms_removal else MANY_DOCUMENTS)
    known = records or []
    yield IngestStarted(documents=len(known), collection=settings.collection, embedding=made_with)
    if not request.dry_run:
        yield from _files_left(open_store(settings.store).remove(settings.collection))
        if settings.state_directory:
            copies_of(settings).keep_only([])
        chunks = 0
    yield from (document_event(request.shown_name(record.path), "deleted") for record in known)
    yield done_event({"deleted": len(known)}, chunks_written=0, chunks=chunks, started=started, dry_run=request.dry_run)


def _files_left(left: Sequence[Path]) -> Iterator[Notice]:
    if left:
        named = sanitise_line(", ".join(map(str, left[:_NAMED_FILES])))
        more = f" and {len(left) - _NAMED_FILES:,} more" if len(left) > _NAMED_FILES else ""
        verb, pronoun = ("was", "it") if len(left) == 1 else ("were", "them")
        message = f"{named}{more} {verb} not removed, because the store did not create {pronoun}"
        yield Notice(message=message, code="files_left")


def _contents(settings: Settings) -> tuple[list[DocumentRecord] | None, str, int]:
    """Return the collection's documents, its embedder and its number of chunks.

    The documents are None if the collection is damaged, or if an earlier removal was interrupted.
    """
    store = open_store(settings.store)
    try:
        with store.manifest(settings.collection) as manifest:
            if manifest is None:
                if store.has_remains(settings.collection):
                    return None, "", 0
                raise missing_collection(store, settings.collection, existing=store.collections())
            return (
                list(manifest.documents_under(EVERYTHING)),
                manifest.meta("embedding") or "",
                manifest.counts().chunks,
            )
    except StoreError as error:
        if error.code not in {"store_damaged", "store_format"}:
            raise
        return None, "", 0
