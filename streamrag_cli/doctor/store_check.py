"""The store, collection by collection, and the disk that it is on."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Final

from streamrag_cli.doctor.findings import Finding, failed, ok, warning
from streamrag_cli.errors import StoreError, with_target_flags
from streamrag_cli.missing_files import find_missing_files
from streamrag_cli.settings import Settings
from streamrag_cli.store.backend import IntegrityReport, Store, damaged_collection, missing_collection
from streamrag_cli.store.registry import open_store

_LITTLE_BYTES: Final = 500_000_000


def check_store(settings: Settings, flags: Mapping[str, object | None], *, full: bool) -> Iterator[Finding]:
    """Every collection, or the one that a flag names; the one in use has to be there."""
    store = open_store(settings.store)
    there = store.collections()
    checked = [settings.collection] if flags.get("collection") else there
    if settings.collection not in there:
        error = missing_collection(store, settings.collection)
        yield failed("store", error, hint=_for(settings.collection, error.hint, settings, flags))
    for name in (each for each in checked if each in there):
        for finding in chain(_check_collection(store, name, full=full), _check_roots(store, name)):
            yield replace(finding, collection=name, hint=_for(name, finding.hint, settings, flags))


def _check_collection(store: Store, name: str, *, full: bool) -> Iterator[Finding]:
    try:
        found = store.check_integrity(name, full=full)
    except StoreError as error:
        yield failed("store", error)
    else:
        yield from _findings(found, name)


def _findings(found: IntegrityReport, name: str) -> Iterator[Finding]:
    if not found.chunks:
        empty = f"the collection {name!r} is empty"
        yield failed("store", StoreError(empty, code="store_empty", hint="streamrag ingest PATH"))
        return
    for problem in found.problems:
        yield failed("store", damaged_collection(name, problem))
    if found.interrupted and not found.problems:
        roots = " ".join(shlex.quote(root) for root in found.roots) or "PATH"
        said = f"an ingest into the collection {name!r} was interrupted; the next one puts it in order"
        yield warning("store", said, hint=f"streamrag ingest {roots}", code="ingest_interrupted")
    if found.changing:
        said = f"the collection {name!r} is being ingested into: its vectors cannot be compared now"
        yield warning("store", said, hint="streamrag doctor", code="store_busy")
    elif not found.problems:
        yield ok("store", f"{name}: {found.summary}", figures=found.figures)


def _check_roots(store: Store, name: str) -> Iterator[Finding]:
    """What was ingested, is gone, and has documents in the store."""
    if not store.has_local_files:
        return
    with suppress(StoreError), store.manifest(name) as manifest:
        gone = find_missing_files(manifest.roots()) if manifest else frozenset()
        for root in sorted(gone):
            if manifest and any(True for _ in manifest.documents_under(root)):
                said = f"{name}: {root} is gone, but questions are still answered from its documents"
                hint = f"mount it, or remove them: streamrag ingest --remove {shlex.quote(root)}"
                yield warning("store", said, hint=hint, code="root_gone")


def _for(collection: str, hint: str, settings: Settings, flags: Mapping[str, object | None]) -> str:
    in_use = collection == settings.collection and not flags.get("collection")
    return with_target_flags(hint, collection="" if in_use else collection, store=settings.store_named_by(flags))


def check_disk(store: Store) -> Iterator[Finding]:
    """Nothing where the disk is another machine's. Raises StoreError `store_not_writable`."""
    space = store.disk_space()
    if space is None:
        return
    figures = {"free_bytes": space.free_bytes}
    if not space.is_writable:
        said = f"{space.place}: read-only for this user, so it can be asked and not ingested into"
        yield warning("disk", said, code="read_only", figures=figures)
    elif space.free_bytes < _LITTLE_BYTES:
        said = f"{space.place}: only {space.free}; an ingest needs about four times the size of its text"
        yield warning("disk", said, hint=f"df -h {space.place}", code="little_room", figures=figures)
    else:
        yield ok("disk", f"{space.place}: {space.free}, writable", figures=figures)
