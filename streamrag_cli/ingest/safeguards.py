"""Safeguards against mistakes: checks the paths of an ingest before anything is read or removed."""

import os
import re
import shlex
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamrag_cli.counting import counted_noun
from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.discovery_results import (
    DiscoveryResult,
    FoundFile,
    SkipCode,
    SkippedPath,
    UnreadableDirectory,
)
from streamrag_cli.documents.scope import Scope
from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.ingest.roots import IngestRequest, has_utf_8_name, is_below, outermost, recorded_roots
from streamrag_cli.missing_files import is_missing
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line

LARGE_FILES: Final = 5_000
"""If new folders contain more files than this, the user is asked for confirmation."""
_SKIPPED_BY_RULE: Final[frozenset[SkipCode]] = frozenset(
    {"secret", "gitignored", "streamragignored", "excluded", "generated"}
)
"""The codes of files that were skipped because of a rule. A folder with such files is not an unmounted disk."""
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
_NAMED_ROOTS: Final = 3
MANY_DOCUMENTS: Final = 20
"""The removal of more documents than this requires confirmation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSurvey:
    """The results of discovery, the number of files, and the mounts with files below the roots.

    These mounts are recorded like roots, so that the next ingest detects a mount that is missing.
    """

    results: deque[DiscoveryResult]
    files: int
    roots: tuple[Path, ...]
    mounts: frozenset[Path]
    scope: Scope | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        return (*self.roots, *self.mounts)

    @property
    def tops(self) -> list[Path]:
        """The outermost paths below which everything was discovered."""
        if self.scope is None:
            return outermost(self.roots)
        return [path for path in map(Path, self.scope.tops) if has_utf_8_name(path)]  # no other name is stored


def survey_folders(roots: Sequence[Path], request: IngestRequest, settings: Settings) -> FolderSurvey:
    """Discover the files under the roots, without reading them.

    Raises UsageError: `confirmation_needed` or `not_confirmed` for too many new files, `empty_folder` if a folder has
    no readable files, or none of the many documents that the store has from it; and the errors of `discover`.
    """
    if request.scope is not None:
        survey = _survey_scope(request.scope, roots, request, settings)
        if not request.scope.has_links:
            return survey
    recorded = _recorded(request, settings)
    new_roots = {root for root in roots if recorded.isdisjoint((root, *root.parents))}
    mounts = _mounts_below(roots)
    without_files, unreadable = {*roots, *mounts}, []
    total = new = 0
    files_of: Counter[Path] = Counter()
    results: deque[DiscoveryResult] = deque()
    named = frozenset(request.absolute_paths())
    not_named = [root for root in roots if root not in named]
    known: dict[str, Any] = {"is_current": request.is_current} if request.is_current else {}
    for result in discover(
        roots, exclude=settings.exclude, environment=request.environment, recorded=not_named, **known
    ):
        results.append(result)
        match result:
            case FoundFile(root=root):
                total += 1
                files_of[root] += 1
                if without_files:
                    without_files.difference_update((result.path, *result.path.parents))
                new += root in new_roots
                if new == LARGE_FILES + 1 and not request.dry_run:
                    _confirm_size(sorted(new_roots), request)
            case SkippedPath(code=code) if without_files and code in _SKIPPED_BY_RULE:
                without_files.difference_update((result.path, *result.path.parents))
            case UnreadableDirectory(path=path):
                unreadable.append(path)
            case _:
                pass
    if not request.allow_empty:
        unreadable_roots = {root for root in without_files if any(each.is_relative_to(root) for each in unreadable)}
        _reject_empty(sorted(without_files.intersection(roots) - unreadable_roots), request, settings)
        _reject_replaced(files_of, unreadable, request, settings)
    return FolderSurvey(results=results, files=total, roots=tuple(roots), mounts=frozenset(mounts - without_files))


def _survey_scope(scope: Scope, roots: Sequence[Path], request: IngestRequest, settings: Settings) -> FolderSurvey:
    """Discover the files of a scope. Their folders were checked when they were ingested as a whole."""
    named = frozenset(request.absolute_paths())
    recorded = [root for root in roots if root not in named]
    discovered = discover(
        roots, exclude=settings.exclude, environment=request.environment, recorded=recorded, scope=scope
    )
    results = deque(discovered)
    files = sum(isinstance(each, FoundFile) for each in results)
    return FolderSurvey(results=results, files=files, roots=tuple(roots), mounts=frozenset(), scope=scope)


def _mounts_below(roots: Sequence[Path]) -> set[Path]:
    """The mount points below the roots; empty if the system does not list them."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return set()
    points = (Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), line.split(" ")[4])) for line in lines)
    above = set(roots)
    return {point for point in points if not above.isdisjoint(point.parents)}


def _recorded(request: IngestRequest, settings: Settings) -> set[Path]:
    try:
        return set(recorded_roots(settings))
    except StoreError:
        if not request.rebuild:
            raise
        return set()


def _confirm_size(roots: Sequence[Path], request: IngestRequest) -> None:
    named = sanitise_line(" ".join(map(str, roots)))
    question = f"{named} has more than {LARGE_FILES:,} files. Ingest them all?"
    if any(_is_home_or_above(root, request.home) for root in roots):
        hint = f"name the folders to ingest, or confirm: streamrag ingest --yes {shlex.join(map(str, roots))}"
        message = f"the command would ingest more than {LARGE_FILES:,} files from {named}"
        request.confirmation.require(question, message=message, hint=hint)
    else:
        request.confirmation.ask_if_possible(question)


def _is_home_or_above(root: Path, home: Path | None) -> bool:
    real = Path(os.path.realpath(root))
    return real == Path("/") or (home is not None and Path(os.path.realpath(home)).is_relative_to(real))


def reject_missing_roots(request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError `empty_folder` if a rebuild without paths would drop documents of a missing folder."""
    if not request.rebuild or request.paths or request.allow_empty:
        return
    missing = sorted(root for root in _recorded(request, settings) if is_missing(root))
    for root, documents in _stored_below(missing, request, settings).items():
        raise UsageError(
            f"{sanitise_line(str(root))} no longer exists, and a rebuild would remove its"
            f" {counted_noun(documents, 'document')} from the store: is its disk or network share mounted?",
            code="empty_folder",
            hint="mount it, or remove the documents: streamrag ingest --rebuild --allow-empty",
        )


def confirm_rebuild(request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError if a rebuild from the given paths would drop documents and the user does not confirm."""
    if not request.rebuild or not request.paths or request.dry_run:
        return
    paths = request.absolute_paths()
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            records = manifest.documents_under("/") if manifest else iter(())
            others = sum(1 for each in records if not is_below(each.path, paths))
            roots = [root for root in manifest.roots() if not is_below(root, paths)] if manifest else []
    except StoreError:
        return  # the collection is damaged, and a rebuild repairs it
    if not others:
        return
    named = shlex.join(map(str, request.paths))
    dropped = f"the {counted_noun(others, 'document')} from {', '.join(roots[:_NAMED_ROOTS]) or 'elsewhere'}"
    dropped += f" and {len(roots) - _NAMED_ROOTS} more" if len(roots) > _NAMED_ROOTS else ""
    request.confirmation.require(
        sanitise_line(f"A rebuild from only {named} would remove {dropped}. Continue?"),
        message=sanitise_line(f"a rebuild from only {named} would remove {dropped}"),
        hint=f"leave out PATH to rebuild from all folders, or confirm: streamrag ingest --rebuild {named} --yes",
    )


def _stored_below(roots: Sequence[Path], request: IngestRequest, settings: Settings) -> dict[Path, int]:
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


def _reject_empty(roots: Sequence[Path], request: IngestRequest, settings: Settings) -> None:
    for root, documents in _stored_below(roots, request, settings).items():
        raise _perhaps_not_mounted(
            root, f"has no readable files, but the store has {counted_noun(documents, 'document')} from it", request
        )


def _reject_replaced(
    files_of: Mapping[Path, int], unreadable: Sequence[Path], request: IngestRequest, settings: Settings
) -> None:
    """Raise UsageError if none of the many documents of a folder exists, such as below a mount point with a stray file.

    If a folder has as many files as stored documents, its files were only moved or renamed.
    """
    for root, documents in _stored_below(_without_documents(files_of, unreadable, settings), request, settings).items():
        if documents > max(MANY_DOCUMENTS, files_of[root]):
            raise _perhaps_not_mounted(
                root, f"has none of the {counted_noun(documents, 'document')} that the store has from it", request
            )


def _perhaps_not_mounted(root: Path, why: str, request: IngestRequest) -> UsageError:
    command = "streamrag ingest --rebuild" if request.rebuild else "streamrag ingest"
    return UsageError(
        f"{sanitise_line(str(root))} {why}: is its disk or network share mounted?",
        code="empty_folder",
        hint=f"mount it, or remove the documents: {command} --allow-empty {shlex.quote(str(root))}",
    )


def _without_documents(roots: Iterable[Path], unreadable: Sequence[Path], settings: Settings) -> list[Path]:
    """The roots whose stored documents are all missing. Usually only the first document of each root is checked."""
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            return [
                root
                for root in roots
                if manifest
                and not any(each.is_relative_to(root) for each in unreadable)
                and not any(os.path.lexists(each.path) for each in manifest.documents_under(str(root)))
            ]
    except StoreError:
        return []  # the collection is damaged


def confirm_removal(
    documents: int | None, what: str, request: IngestRequest, *, command: str, limit: int = MANY_DOCUMENTS
) -> None:
    """Raise UsageError if more than `limit` documents would be removed and the user does not confirm.

    `documents` is None if they cannot be counted.
    """
    if request.dry_run or (documents is not None and documents <= limit):
        return
    counted = "all documents" if documents is None else counted_noun(documents, "document")
    target = sanitise_line(what)
    request.confirmation.require(
        f"Remove {counted} {target}?",
        message=f"the command would remove {counted} {target}",
        hint=f"list them first, then confirm with --yes: {command} --dry-run -v",
    )
