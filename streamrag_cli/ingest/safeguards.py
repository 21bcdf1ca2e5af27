"""Safeguards against mistakes: checks an ingest's paths before anything is read or removed."""

import os
import re
import shlex
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamrag_cli.addresses import Address, Location, is_at_or_below, is_web_address
from streamrag_cli.counting import counted_noun
from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.discovery_results import (
    DiscoveryResult,
    FoundFile,
    SkipCode,
    SkippedPath,
    UnreadableDirectory,
)
from streamrag_cli.documents.ocr import has_program
from streamrag_cli.documents.scope import Scope
from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.ingest.roots import (
    IngestRequest,
    copies_of,
    has_utf_8_name,
    is_below,
    is_gone,
    outermost,
    recorded_roots,
)
from streamrag_cli.remote.sources import FetchNote, FetchOptions
from streamrag_cli.remote.sources import discover as discover_remote
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.rows import EVERYTHING
from streamrag_cli.text import sanitise_line

BYTES_PER_MB: Final = 1_000_000
LARGE_FILES: Final = 5_000
"""If new folders contain more files than this, the user must confirm the ingest."""
_SKIPPED_BY_RULE: Final[frozenset[SkipCode]] = frozenset(
    {"secret", "gitignored", "streamragignored", "excluded", "generated"}
)
"""The codes for files that were skipped because of a rule. A folder with such files is not the mount point of a
missing disk."""
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
_NAMED_ROOTS: Final = 3
MANY_DOCUMENTS: Final = 20
"""Removing more documents than this requires confirmation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSurvey:
    """The discovery results, the number of files, and the mount points below the roots that contain files.

    These mount points are recorded like roots, so that the next ingest detects a missing mount. `unreachable` contains
    new addresses that could not be fetched, which are not recorded.
    """

    results: deque[DiscoveryResult]
    files: int
    roots: tuple[Location, ...]
    mounts: frozenset[Path]
    unreachable: frozenset[Location] = frozenset()
    notes: tuple[FetchNote, ...] = ()
    scope: Scope | None = None

    @property
    def folders(self) -> tuple[Location, ...]:
        return (*self.roots, *self.mounts)

    @property
    def tops(self) -> list[Location]:
        """The outermost paths whose files were all discovered."""
        if self.scope is None:
            return outermost(self.roots)
        return [
            path for path in map(Path, self.scope.tops) if has_utf_8_name(path)
        ]  # names that are not UTF-8 are never stored


def survey_folders(roots: Sequence[Location], request: IngestRequest, settings: Settings) -> FolderSurvey:
    """Discover the files under the roots, without reading them, and fetch the documents at addresses.

    Raises the errors that `discover` raises, and UsageError:

    - `confirmation_needed` or `not_confirmed` for too many new files
    - `empty_folder` if a folder has no readable files, or has many stored documents and all their files are missing
    - `not_fetched` if a rebuild would remove the documents of an address that cannot be fetched
    """
    if request.scope is not None:
        survey = _survey_scope(request.scope, roots, request, settings)
        if not request.scope.has_links:
            return survey
    recorded = _recorded(request, settings)
    new_roots = {root for root in roots if recorded.isdisjoint((root, *root.parents))}
    mounts = _mounts_below(roots)
    without_files: set[Location] = {*roots, *mounts}
    unreadable: list[UnreadableDirectory] = []
    total = new = 0
    files_of: Counter[Location] = Counter()
    results: deque[DiscoveryResult] = deque()
    notes: list[FetchNote] = []
    for result in _discovered(roots, request, settings):
        if isinstance(result, FetchNote):
            notes.append(result)
            continue
        results.append(result)
        match result:
            case FoundFile(root=root):
                total += 1
                files_of[root] += 1
                if without_files:
                    without_files.difference_update((root, result.path, *result.path.parents))
                new += root in new_roots
                if new == LARGE_FILES + 1 and not request.dry_run:
                    _confirm_size(sorted(new_roots, key=str), request)
            case SkippedPath(code=code) if without_files and code in _SKIPPED_BY_RULE:
                without_files.difference_update((result.path, *result.path.parents))
            case UnreadableDirectory():
                unreadable.append(result)
            case _:
                pass
    if not request.allow_empty:
        unreadable_roots = {root for root in without_files if _is_above_any(root, unreadable)}
        _reject_not_fetched([each for each in unreadable if each.path in without_files], request, settings)
        _reject_empty(sorted(without_files.intersection(roots) - unreadable_roots, key=str), request, settings)
        _reject_replaced(files_of, unreadable, request, settings)
    failed = {each.path for each in unreadable if isinstance(each.path, Address) and each.path not in recorded}
    return FolderSurvey(
        results=results,
        files=total,
        roots=tuple(roots),
        mounts=frozenset(mounts - without_files),
        unreachable=frozenset(failed & without_files),
        notes=tuple(notes),
    )


def _discovered(
    roots: Sequence[Location], request: IngestRequest, settings: Settings
) -> Iterator[DiscoveryResult | FetchNote]:
    named = frozenset(request.absolute_paths())
    folders = [root for root in roots if not isinstance(root, Address)]
    not_named = [root for root in folders if root not in named]
    known: dict[str, Any] = {"is_current": request.is_current} if request.is_current else {}
    yield from discover(
        folders,
        exclude=settings.exclude,
        environment=request.environment,
        recorded=not_named,
        with_ocr=_with_ocr(request, settings),
        **known,
    )
    addresses = [root for root in roots if isinstance(root, Address)]
    if addresses:
        options = FetchOptions(
            limit_bytes=settings.max_file_mb * BYTES_PER_MB,
            exclude=settings.exclude,
            environment=request.environment or {},
            piped=request.piped,
            dry_run=request.dry_run,
            named=frozenset(each for each in named if isinstance(each, Address)),
            follow=request.follow,
            max_pages=request.max_pages,
            starts=request.starts,
            interval_s=request.limits.request_interval_s,
            on_fetch=request.on_fetch,
        )
        yield from discover_remote(addresses, copies_of(settings), options)


def _is_above_any(root: Location, unreadable: Iterable[UnreadableDirectory]) -> bool:
    return any(is_at_or_below(str(each.path), str(root)) for each in unreadable)


def _with_ocr(request: IngestRequest, settings: Settings) -> bool:
    return settings.ocr != "off" and has_program(request.environment or {})


def _survey_scope(scope: Scope, roots: Sequence[Location], request: IngestRequest, settings: Settings) -> FolderSurvey:
    """Discover the files in a scope, without checking their folders, which an earlier ingest has checked."""
    named = frozenset(request.absolute_paths())
    folders = [root for root in roots if not isinstance(root, Address)]
    discovered = discover(
        folders,
        exclude=settings.exclude,
        environment=request.environment,
        recorded=[root for root in folders if root not in named],
        with_ocr=_with_ocr(request, settings),
        scope=scope,
    )
    results = deque(discovered)
    files = sum(isinstance(each, FoundFile) for each in results)
    return FolderSurvey(results=results, files=files, roots=tuple(folders), mounts=frozenset(), scope=scope)


def _mounts_below(roots: Sequence[Location]) -> set[Path]:
    """The mount points below the roots. Empty if the operating system does not list mount points."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return set()
    points = (Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), line.split(" ")[4])) for line in lines)
    above = set(roots)
    return {point for point in points if not above.isdisjoint(point.parents)}


def _recorded(request: IngestRequest, settings: Settings) -> set[Location]:
    try:
        return set(recorded_roots(settings))
    except StoreError:
        if not request.rebuild:
            raise
        return set()


def _confirm_size(roots: Sequence[Location], request: IngestRequest) -> None:
    named = sanitise_line(" ".join(map(str, roots)))
    question = f"more than {LARGE_FILES:,} files were found in {named}. Ingest them all?"
    if any(_is_home_or_above(root, request.home) for root in roots):
        hint = f"name the folders to ingest, or confirm: streamrag ingest --yes {shlex.join(map(str, roots))}"
        message = f"the command would ingest more than {LARGE_FILES:,} files from {named}"
        request.confirmation.require(question, message=message, hint=hint)
    else:
        request.confirmation.ask_if_possible(question)


def _is_home_or_above(root: Location, home: Path | None) -> bool:
    if isinstance(root, Address):
        return False
    real = Path(os.path.realpath(root))
    return real == Path("/") or (home is not None and Path(os.path.realpath(home)).is_relative_to(real))


def reject_missing_roots(request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError `empty_folder` if a rebuild without paths would drop documents from a missing folder."""
    if not request.rebuild or request.paths or request.allow_empty:
        return
    missing = sorted((root for root in _recorded(request, settings) if is_gone(root, settings)), key=str)
    for root, documents in _stored_below(missing, request, settings).items():
        if isinstance(root, Address):
            raise _no_copy(root, documents)
        raise UsageError(
            f"{sanitise_line(str(root))} no longer exists, and a rebuild would remove its"
            f" {counted_noun(documents, 'document')} from the store",
            code="empty_folder",
            hint="mount the disk or network share, or remove the documents: streamrag ingest --rebuild --allow-empty",
        )


def _no_copy(root: Address, documents: int) -> UsageError:
    return UsageError(
        f"{sanitise_line(str(root))} was ingested on another machine or its copy no longer exists, and a rebuild would"
        f" remove its {counted_noun(documents, 'document')} from the store",
        code="empty_folder",
        hint=f"ingest it here first: streamrag ingest {shlex.quote(str(root))}"
        if root.scheme != "stdin"
        else "pipe the document again, or remove it from the store: streamrag ingest --rebuild --allow-empty",
    )


def _reject_not_fetched(unreadable: Sequence[UnreadableDirectory], request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError `not_fetched` if a rebuild would remove the documents of an address that cannot be fetched."""
    reasons: dict[Location, str] = {each.path: each.reason for each in unreadable if isinstance(each.path, Address)}
    if not request.rebuild:
        return
    for root, documents in _stored_below(list(reasons), request, settings).items():
        raise UsageError(
            f"{sanitise_line(str(root))} cannot be fetched ({sanitise_line(reasons[root])}), and a rebuild would remove"
            f" its {counted_noun(documents, 'document')} from the store",
            code="not_fetched",
            hint="try again later, or remove the documents: streamrag ingest --rebuild --allow-empty",
        )


def confirm_rebuild(request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError if a rebuild from the given paths would drop documents and the user does not confirm."""
    if not request.rebuild or not request.paths or request.dry_run:
        return
    paths = request.absolute_paths()
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            records = manifest.documents_under(EVERYTHING) if manifest else iter(())
            others = sum(1 for each in records if not is_below(each.path, paths))
            roots = [root for root in manifest.roots() if not is_below(root, paths)] if manifest else []
    except StoreError:
        return  # the collection is damaged, and a rebuild repairs it
    if not others:
        return
    named = shlex.join(map(str, request.paths))
    dropped = f"{counted_noun(others, 'document')} from {', '.join(roots[:_NAMED_ROOTS]) or 'elsewhere'}"
    dropped += f" and {len(roots) - _NAMED_ROOTS} more" if len(roots) > _NAMED_ROOTS else ""
    request.confirmation.require(
        sanitise_line(f"A rebuild with only {named} would remove {dropped} from the collection. Continue?"),
        message=sanitise_line(f"a rebuild with only {named} would remove {dropped} from the collection"),
        hint=f"leave out PATH to rebuild from all folders, or confirm: streamrag ingest --rebuild {named} --yes",
    )


def _stored_below(roots: Sequence[Location], request: IngestRequest, settings: Settings) -> dict[Location, int]:
    """The number of stored documents below each root, for the roots that have any."""
    if not roots:
        return {}
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            counts = {root: sum(1 for _ in manifest.documents_under(str(root))) for root in roots} if manifest else {}
    except StoreError:
        if not request.rebuild:
            raise
        return {}  # the collection is damaged
    return {root: count for root, count in counts.items() if count}


def _reject_empty(roots: Sequence[Location], request: IngestRequest, settings: Settings) -> None:
    for root, documents in _stored_below(roots, request, settings).items():
        if is_web_address(str(root)) and documents <= MANY_DOCUMENTS:
            continue  # each of its pages was missing twice in a row, and the first time was reported
        raise _perhaps_not_mounted(
            root, f"has no readable files, but the store has {counted_noun(documents, 'document')} from it", request
        )


def _reject_replaced(
    files_of: Mapping[Location, int],
    unreadable: Sequence[UnreadableDirectory],
    request: IngestRequest,
    settings: Settings,
) -> None:
    """Raise UsageError if a folder has many stored documents and the files of all of them are missing.

    The folder may be a mount point without its disk. If it has as many files as stored documents, no error is raised,
    because its files were probably only moved or renamed.
    """
    folders = [root for root in files_of if not isinstance(root, Address)]
    for root, documents in _stored_below(_without_documents(folders, unreadable, settings), request, settings).items():
        if documents > max(MANY_DOCUMENTS, files_of[root]):
            raise _perhaps_not_mounted(
                root, f"no longer contains any of its {counted_noun(documents, 'stored document')}", request
            )


def _perhaps_not_mounted(root: Location, why: str, request: IngestRequest) -> UsageError:
    command = "streamrag ingest --rebuild" if request.rebuild else "streamrag ingest"
    if isinstance(root, Address):
        return UsageError(
            f"{sanitise_line(str(root))} {why}",
            code="empty_folder",
            hint=f"to remove its documents: {command} --allow-empty {shlex.quote(str(root))}",
        )
    return UsageError(
        f"{sanitise_line(str(root))} {why}",
        code="empty_folder",
        hint="mount the disk or network share, or remove the documents:"
        f" {command} --allow-empty {shlex.quote(str(root))}",
    )


def _without_documents(
    roots: Iterable[Path], unreadable: Sequence[UnreadableDirectory], settings: Settings
) -> list[Path]:
    """The roots in which no stored document's file exists. The check of a root ends at the first file that does."""
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            return [
                root
                for root in roots
                if manifest
                and not _is_above_any(root, unreadable)
                and not any(os.path.lexists(each.path) for each in manifest.documents_under(str(root)))
            ]
    except StoreError:
        return []  # the collection is damaged


def confirm_removal(
    documents: int | None, what: str, request: IngestRequest, *, command: str, limit: int = MANY_DOCUMENTS
) -> None:
    """Raise UsageError if more than `limit` documents would be removed and the user does not confirm it.

    `documents` is the number of these documents, or None if they cannot be counted.
    """
    if request.dry_run or (documents is not None and documents <= limit):
        return
    counted = "all documents" if documents is None else counted_noun(documents, "document")
    target = sanitise_line(what)
    request.confirmation.require(
        f"Remove {counted} {target}?",
        message=f"the command would remove {counted} {target}",
        hint=f"list the documents first, then confirm with --yes: {command} --dry-run -v",
    )
