"""Improves the hint for a search without results: suggests similar names, fewer restrictions or other collections."""

import difflib
import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from streamrag_cli.errors import LEAVE_OUT_FILTER, NothingRelevantError
from streamrag_cli.model import DocumentRecord, Filter, PathPattern, UnreadFile
from streamrag_cli.settings import Settings
from streamrag_cli.store.backend import other_collections
from streamrag_cli.store.document_filter import has_magic, matcher
from streamrag_cli.store.interface import Manifest
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.rows import EVERYTHING
from streamrag_cli.text import sanitise_line

_NAMED: Final = 3
_MAX_NAMES: Final = 5000
"""The maximum number of names that a name is compared with, which takes about 0.1 s."""
_CUTOFF: Final = 0.7
_MAX_SHOWN_CHARS: Final = 200


def improve_hint(error: NothingRelevantError, scope: Filter, settings: Settings, manifest: Manifest | None) -> None:
    """Add suggestions to the hint in `error`, which a search in `scope` has raised.

    `manifest` is None if several collections were searched. Otherwise, the caller must hold a snapshot of it.
    """
    if error.code == "no_document_matches":
        if manifest is None:
            return
        if unread := _unread_matches(scope, manifest):
            files = "the file was" if len(unread) == 1 else f"{len(unread):,} files were"
            reasons = ", ".join(list(dict.fromkeys(sanitise_line(each.reason) for each in unread))[:_NAMED])
            error.message += f": {files} not ingested ({reasons})"
            error.hint = "streamrag ls --failed"
        elif names := similar_names(scope, manifest):
            flags = " or ".join(f"--in {shlex.quote(each)}" for each in names)
            error.hint = f"did you mean {flags}? To list the documents: streamrag ls"
        return
    advice = []
    if manifest is not None and not manifest.meta("last_ingest"):
        advice.append(f"complete the first ingest (streamrag ingest -c {settings.collection})")
    if scope.text and len(scope.text) <= _MAX_SHOWN_CHARS:
        advice.append(f"{LEAVE_OUT_FILTER} ({sanitise_line(scope.text)})")
    if others := other_collections(open_store(settings.store), settings.collections):
        flags = ", ".join(f"-c {shlex.quote(each)}" for each in others[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        advice.append(f"ask another collection ({flags}{more})")
    if advice:
        start = "rephrase the question, "
        error.hint = error.hint.replace(start, f"{start}{', '.join(advice)}, ", 1)


def _unread_matches(scope: Filter, manifest: Manifest) -> list[UnreadFile]:
    """The files that match the paths in the filter and were not ingested, unless a document matches the paths."""
    records = list(manifest.documents_under(EVERYTHING))
    if any(_matches(pattern, records) for pattern in scope.patterns):
        return []
    return [
        each
        for each in manifest.unread_files()
        if any(pattern.path and matcher(pattern.path)(each.path) for pattern in scope.patterns)
    ]


def similar_names(scope: Filter, manifest: Manifest) -> list[str]:
    """The names of folders and files that resemble the first path in the filter that matches no document."""
    records = list(manifest.documents_under(EVERYTHING))
    sources = [each.source for each in records]
    for pattern in scope.patterns:
        if not _matches(pattern, records):
            return similar(pattern.name or pattern.path.removeprefix("/**/"), sources)
    return []


def _matches(pattern: PathPattern, records: Iterable[DocumentRecord]) -> bool:
    of_path, of_name = matcher(pattern.path or "/"), matcher(pattern.name or "/")
    return any((pattern.path and of_path(each.path)) or (pattern.name and of_name(each.source)) for each in records)


def similar(name: str, sources: Iterable[str]) -> list[str]:
    """Names among `sources` that resemble `name` up to its first wildcard, each followed by the rest of `name`."""
    parts = [each for each in PurePosixPath(name).parts if each not in {"/", ".", ".."}]
    fixed = next((n for n, each in enumerate(parts) if has_magic(each)), len(parts))
    prefix, rest = "/".join(parts[:fixed]).casefold(), parts[fixed:]
    if not prefix:
        return []
    names: dict[str, str] = {}
    paths = [PurePosixPath(each) for each in sources]
    folders = dict.fromkeys(str(each) for path in paths for each in path.parents if each.name)
    for each in [*folders, *(() if rest else map(str, paths))][:_MAX_NAMES]:
        names.setdefault(each.casefold(), each)
    ending = [
        each
        for key, each in names.items()
        if f"/{key}".endswith(f"/{prefix}") or f"/{PurePosixPath(key).with_suffix('')}".endswith(f"/{prefix}")
    ]
    last_parts: dict[str, str] = {}
    for each in names.values():
        last_parts.setdefault(PurePosixPath(each).name.casefold(), each)
    known = last_parts | names
    close = [known[key] for key in difflib.get_close_matches(prefix, known, n=_NAMED, cutoff=_CUTOFF)]
    chosen = list(dict.fromkeys(ending or close))[:_NAMED]
    return [sanitise_line("/".join([each, *rest])) for each in chosen]
