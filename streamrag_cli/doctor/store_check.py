"""The store, collection by collection."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from streamrag_cli.doctor.findings import Finding, failed, ok, warning
from streamrag_cli.errors import StoreError, aimed
from streamrag_cli.gone import gone_files
from streamrag_cli.settings import Settings
from streamrag_cli.silence import SWITCHES
from streamrag_cli.store.address import PostgresUrl, StorePlace
from streamrag_cli.store.local.inspection import UNFOUND_TOLERATED, Inspection
from streamrag_cli.store.opening import collections, missing, open_manifest

SEARCHES: Final = 1000
"""How many chunks of a collection are searched for unless all are to be."""
_ALL: Final = 10**9
_LIMIT_S: Final = 300.0
_FULL_LIMIT_S: Final = 24 * 3600.0


def check_store(settings: Settings, flags: Mapping[str, object | None], *, full: bool) -> Iterator[Finding]:
    """Every collection, or the one that a flag names; the one in use has to be there."""
    there = collections(settings.store)
    checked = [settings.collection] if flags.get("collection") else there
    if settings.collection not in there:
        error = missing(settings.store, settings.collection)
        yield failed("store", error, hint=_for(settings.collection, error.hint, settings, flags))
    for name in (each for each in checked if each in there):
        for finding in chain(_check_collection(settings.store, name, full=full), _check_roots(settings.store, name)):
            yield replace(finding, collection=name, hint=_for(name, finding.hint, settings, flags))


def _check_collection(store: StorePlace, name: str, *, full: bool) -> Iterator[Finding]:
    if isinstance(store, PostgresUrl):
        yield from _check_in_database(store, name)
        return
    try:
        found = _inspected(store, name, full=full)
    except StoreError as error:
        yield failed("store", error)
    else:
        yield from _findings(found, name)


def _check_roots(store: StorePlace, name: str) -> Iterator[Finding]:
    """What was ingested, is gone, and has documents in the store. The files of a database may be on another machine."""
    if isinstance(store, PostgresUrl):
        return
    with suppress(StoreError), open_manifest(store, name) as manifest:
        gone = gone_files(manifest.roots()) if manifest else frozenset()
        for root in sorted(gone):
            if manifest and any(True for _ in manifest.documents_under(root)):
                said = f"{name}: {root} is gone, but questions are still answered from its documents"
                hint = f"mount it, or remove them: streamrag ingest --remove {shlex.quote(root)}"
                yield warning("store", said, hint=hint, code="root_gone")


def _check_in_database(place: PostgresUrl, name: str) -> Iterator[Finding]:
    """What the tables say of each other. Of its files and indexes the database takes care itself."""
    from streamrag_cli.store.postgres.status import problems, status_of  # psycopg and numpy, about 0.2 s

    found = status_of(place, name)
    wrong = problems(place, name)
    if not found.chunks:
        empty = f"the collection {name!r} is empty"
        yield failed("store", StoreError(empty, code="store_empty", hint="streamrag ingest PATH"))
        return
    for problem in wrong:
        yield failed("store", _damaged(name, problem))
    if not wrong:
        said = f"{name}: {found.chunks:,} chunks of {found.documents:,} documents, each with its words and its vector"
        figures = {"documents": found.documents, "chunks": found.chunks, "generation": found.generation}
        yield ok("store", f"{said}; generation {found.generation}", figures=figures)


def _inspected(store: Path, name: str, *, full: bool) -> Inspection:
    """What a process of its own finds: a damaged index may end or hang whoever opens it."""
    limit_s = _FULL_LIMIT_S if full else _LIMIT_S
    import_paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - resolve() would follow links
    searches = str(_ALL if full else SEARCHES)
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "streamrag_cli.store.local.inspection", str(store), name, searches],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PYTHONPATH": os.pathsep.join(import_paths), "PYTHONUTF8": "1", **SWITCHES},
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _damaged(name, f"it could not be read within {limit_s:g} s") from None
    if ended.returncode < 0:
        raise _damaged(name, f"reading its index ended in signal {-ended.returncode}")
    if ended.returncode:
        raise RuntimeError(ended.stderr.decode("utf-8", "replace"))
    said = json.loads(ended.stdout)
    if "error" in said:
        raise StoreError(said["error"]["message"], code=said["error"]["code"], hint=said["error"]["hint"])
    return Inspection.from_mapping(said)


def _findings(found: Inspection, name: str) -> Iterator[Finding]:
    if not found.chunks:
        empty = f"the collection {name!r} is empty"
        yield failed("store", StoreError(empty, code="store_empty", hint="streamrag ingest PATH"))
        return
    for problem in found.problems:
        yield failed("store", _damaged(name, problem))
    if found.interrupted and not found.problems:
        roots = " ".join(shlex.quote(root) for root in found.roots) or "PATH"
        said = f"an ingest into the collection {name!r} was interrupted; the next one puts it in order"
        yield warning("store", said, hint=f"streamrag ingest {roots}", code="ingest_interrupted")
    if found.changing:
        said = f"the collection {name!r} is being ingested into: its vectors cannot be compared now"
        yield warning("store", said, hint="streamrag doctor", code="store_busy")
    elif not found.problems:
        yield ok("store", _sound(found, name), figures=_figures(found))


def _sound(found: Inspection, name: str) -> str:
    sample = "all" if found.searched == found.chunks else f"of these a sample of {found.searched:,}"
    missed = f" but {found.unfound:,} (an index may miss {UNFOUND_TOLERATED:.0%})" if found.unfound else ""
    return (
        f"{name}: {found.chunks:,} chunks of {found.documents:,} documents, each with its vector;"
        f" {sample}{missed} found by their own vectors; full text and databases intact; generation {found.generation}"
    )


def _figures(found: Inspection) -> dict[str, float]:
    return {
        "documents": found.documents,
        "chunks": found.chunks,
        "vectors": found.vectors,
        "searched": found.searched,
        "unfound": found.unfound,
        "generation": found.generation,
    }


def _damaged(name: str, why: str) -> StoreError:
    return StoreError(
        f"the collection {name!r} is damaged: {why}", code="store_damaged", hint="streamrag ingest --rebuild"
    )


def _for(collection: str, hint: str, settings: Settings, flags: Mapping[str, object | None]) -> str:
    in_use = collection == settings.collection and not flags.get("collection")
    return aimed(hint, collection="" if in_use else collection, store=settings.store_named_by(flags))
