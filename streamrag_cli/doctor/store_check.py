"""Checks each collection in the store, and the disk that contains the store."""

import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Final

from streamrag_cli.doctor.findings import Finding, failed, ok, warning
from streamrag_cli.errors import StoreError, with_target_flags
from streamrag_cli.missing_files import find_missing_files
from streamrag_cli.retrieval.language_support import multilingual_suggestion
from streamrag_cli.settings import Settings
from streamrag_cli.store.backend import (
    IntegrityReport,
    Store,
    damaged_collection,
    missing_collection,
    similar_collection,
)
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line

_LOW_SPACE_BYTES: Final = 500_000_000


def check_store(settings: Settings, flags: Mapping[str, object | None], *, full: bool) -> Iterator[Finding]:
    """Check all collections, or only the collection given by a flag. A collection that is selected must exist."""
    store = open_store(settings.store)
    existing = store.collections()
    checked = [settings.collection] if flags.get("collection") else existing
    if settings.collection not in existing:
        error = missing_collection(store, settings.collection, existing=existing)
        if similar := similar_collection(settings.collection, existing):
            error.hint = f"streamrag doctor -c {similar}"
        yield failed("store", error, hint=_with_flags(settings.collection, error.hint, settings, flags))
    for name in (each for each in checked if each in existing):
        checks = (
            _check_collection(store, name, is_asked=name == settings.collection, full=full),
            _check_roots(store, name),
            _check_watchers(store, name),
            _check_languages(store, name),
        )
        for finding in chain.from_iterable(checks):
            yield replace(finding, collection=name, hint=_with_flags(name, finding.hint, settings, flags))


def _check_collection(store: Store, name: str, *, is_asked: bool, full: bool) -> Iterator[Finding]:
    try:
        report = store.check_integrity(name, full=full)
    except StoreError as error:
        yield failed("store", error)
    else:
        yield from _findings(report, name, is_asked=is_asked)


def _findings(report: IntegrityReport, name: str, *, is_asked: bool) -> Iterator[Finding]:
    """The findings about a collection. `is_asked` is True if questions without `-c` are answered from it."""
    if not report.chunks:
        empty = StoreError(f"the collection {name!r} is empty", code="store_empty", hint="streamrag ingest PATH")
        yield (
            failed("store", empty) if is_asked else warning("store", empty.message, hint=empty.hint, code="store_empty")
        )
        return
    for problem in report.problems:
        yield failed("store", damaged_collection(name, problem))
    if report.interrupted and not report.problems:
        roots = " ".join(shlex.quote(root) for root in report.roots) or "PATH"
        message = f"an ingest into the collection {name!r} was interrupted; run it again to complete it"
        yield warning("store", message, hint=f"streamrag ingest {roots}", code="ingest_interrupted")
    if report.changing:
        message = f"an ingest into the collection {name!r} is running, so its vectors cannot be checked now"
        yield warning("store", message, hint="streamrag doctor", code="store_busy")
    elif not report.problems:
        yield ok("store", f"{name}: {report.summary}", figures=report.figures)


def _check_roots(store: Store, name: str) -> Iterator[Finding]:
    """Warn about ingested files and folders that no longer exist but still have documents in the store."""
    if not store.has_local_files:
        return
    with suppress(StoreError), store.manifest(name) as manifest:
        missing = find_missing_files(manifest.roots()) if manifest else frozenset()
        for root in sorted(missing):
            if manifest and any(True for _ in manifest.documents_under(root)):
                message = f"{name}: {root} no longer exists, but questions are still answered from its documents"
                hint = "mount the disk or network share, or remove the documents:"
                hint += f" streamrag ingest --remove {shlex.quote(root)}"
                yield warning("store", message, hint=hint, code="root_gone")


def _check_watchers(store: Store, name: str) -> Iterator[Finding]:
    """Warn about watchers that exited unexpectedly, do not respond, or cannot ingest."""
    now_s = time.time()
    with suppress(StoreError):
        for watcher in store.watchers(name):
            roots = ", ".join(watcher.roots)
            who = f"{name}: process {watcher.pid} on {watcher.host}, which watches {roots},"
            if watcher.is_forgotten(now_s):
                continue
            if silence := watcher.silence(now_s):
                hint = f"streamrag ingest --watch {shlex.join(watcher.roots)}"
                message = f"{who} {silence}, so changes are not ingested"
                yield warning("store", sanitise_line(message), hint=hint, code="watch_stale")
            elif watcher.problem:
                message = f"{who} reports: {watcher.problem}"
                yield warning("store", sanitise_line(message), hint="streamrag status", code="watch_failing")


def _check_languages(store: Store, name: str) -> Iterator[Finding]:
    with suppress(StoreError), store.manifest(name) as manifest:
        if manifest and (suggestion := multilingual_suggestion(manifest)):
            message, commands = suggestion
            yield warning("store", f"{name}: {message}", hint=commands, code="multilingual_suggested")


def _with_flags(collection: str, hint: str, settings: Settings, flags: Mapping[str, object | None]) -> str:
    """Add the flags that select this collection and this store to the command at the end of `hint`."""
    is_default = collection == settings.collection and not flags.get("collection")
    return with_target_flags(hint, collection="" if is_default else collection, store=settings.store_named_by(flags))


def check_disk(store: Store) -> Iterator[Finding]:
    """Check permissions and free space, except for a remote store. Raises StoreError `store_not_writable`."""
    space = store.disk_space()
    if space is None:
        return
    figures = {"free_bytes": space.free_bytes}
    if not space.is_writable:
        message = f"{space.place}: read-only for this user; questions work, but ingesting does not"
        yield warning("disk", message, code="read_only", figures=figures)
    elif space.free_bytes < _LOW_SPACE_BYTES:
        message = f"{space.place}: only {space.free}; an ingest needs about four times the size of the text"
        yield warning("disk", message, hint=f"df -h {space.place}", code="little_room", figures=figures)
    else:
        yield ok("disk", f"{space.place}: {space.free}, writable", figures=figures)
