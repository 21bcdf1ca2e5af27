"""What protects people from a slip: the paths of an ingest are looked at before anything is read or removed."""

import os
import re
import shlex
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.discovery_results import Found, FoundFile, SkipCode, SkippedPath, UnreadableDirectory
from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.ingest.roots import IngestRequest
from streamrag_cli.missing_files import is_missing
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line

LARGE_FILES: Final = 5_000
"""From how many files on a folder that was never ingested is asked about."""
_ARE_THERE: Final[frozenset[SkipCode]] = frozenset(
    {"secret", "gitignored", "streamragignored", "excluded", "generated"}
)
"""What would be read but for a rule: a folder with such files is no disk that is not mounted."""
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
_NAMED_ROOTS: Final = 3
MANY_DOCUMENTS: Final = 20
"""From how many documents on their removal is asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSurvey:
    """What the one walk over the roots found, how many of it are files, and which mounts below the roots have some.

    Such a mount is recorded like a root, so that it is missed when it is not mounted.
    """

    found: deque[Found]
    files: int
    roots: tuple[Path, ...]
    mounts: frozenset[Path]

    @property
    def folders(self) -> tuple[Path, ...]:
        return (*self.roots, *self.mounts)


def survey_folders(roots: Sequence[Path], request: IngestRequest, settings: Settings) -> FolderSurvey:
    """Look at the files that there are, without reading any.

    Raises UsageError: `confirmation_needed`, `not_confirmed` for very many new ones, `empty_folder` if a folder has
    nothing to read where the store has documents; and what `discover` raises.
    """
    known = _recorded(request, settings)
    new_roots = {root for root in roots if known.isdisjoint((root, *root.parents))}
    mounts = _mounts_below(roots)
    without_files, unreadable = {*roots, *mounts}, []
    total = new = 0
    all_found: deque[Found] = deque()
    for found in discover(roots, exclude=settings.exclude, environment=request.environment):
        all_found.append(found)
        match found:
            case FoundFile(root=root):
                total += 1
                if without_files:
                    without_files.difference_update((found.path, *found.path.parents))
                new += root in new_roots
                if new == LARGE_FILES + 1 and not request.dry_run:
                    _ask_about_size(sorted(new_roots), request)
            case SkippedPath(code=code) if without_files and code in _ARE_THERE:
                without_files.difference_update((found.path, *found.path.parents))
            case UnreadableDirectory(path=path):
                unreadable.append(path)
            case _:
                pass
    if not request.allow_empty:
        kept = {root for root in without_files if any(each.is_relative_to(root) for each in unreadable)}
        _refuse_empty(sorted(without_files.intersection(roots) - kept), request, settings)
    return FolderSurvey(found=all_found, files=total, roots=tuple(roots), mounts=frozenset(mounts - without_files))


def _mounts_below(roots: Sequence[Path]) -> set[Path]:
    """The mount points below the roots; none if the system does not say."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return set()
    points = (Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4])) for line in lines)
    above = set(roots)
    return {point for point in points if not above.isdisjoint(point.parents)}


def _recorded(request: IngestRequest, settings: Settings) -> set[Path]:
    try:
        return set(map(Path, open_store(settings.store).roots(settings.collection)))
    except StoreError:
        if not request.rebuild:
            raise
        return set()


def _ask_about_size(roots: Sequence[Path], request: IngestRequest) -> None:
    named = sanitise_line(" ".join(map(str, roots)))
    many = f"{named} has more than {LARGE_FILES:,} files"
    if any(_is_home_or_above(root, request.home) for root in roots):
        hint = f"name the folders to ingest, or confirm: streamrag ingest --yes {shlex.join(map(str, roots))}"
        request.confirmation.require(f"{many}. Ingest them all?", message=many, hint=hint)
    else:
        request.confirmation.ask_if_possible(f"{many}. Ingest them all?")


def _is_home_or_above(root: Path, home: Path | None) -> bool:
    real = Path(os.path.realpath(root))
    return real == Path("/") or (home is not None and Path(os.path.realpath(home)).is_relative_to(real))


def reject_missing_roots(request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError `empty_folder` if a rebuild without paths would drop documents because their folder is gone."""
    if not request.rebuild or request.paths or request.allow_empty:
        return
    gone = sorted(root for root in _recorded(request, settings) if is_missing(root))
    for root, documents in _stored_below(gone, request, settings).items():
        raise UsageError(
            f"{sanitise_line(str(root))} no longer exists, and a rebuild would drop its {_documents(documents)} from"
            " the store: is its disk or network share mounted?",
            code="empty_folder",
            hint="mount it, or drop the documents: streamrag ingest --rebuild --allow-empty",
        )


def confirm_rebuild(request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError unless a rebuild from the named paths alone drops no document, or a person agrees."""
    if not request.rebuild or not request.paths or request.dry_run:
        return
    given = request.absolute_paths()
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            records = manifest.documents_under("/") if manifest else iter(())
            others = sum(1 for each in records if not _is_below(Path(each.path), given))
            roots = [root for root in manifest.roots() if not _is_below(Path(root), given)] if manifest else []
    except StoreError:
        return  # it is too damaged to know, and a rebuild is the way to repair it
    if not others:
        return
    named = shlex.join(map(str, request.paths))
    dropped = f"the {_documents(others)} from {', '.join(roots[:_NAMED_ROOTS]) or 'elsewhere'}"
    dropped += f" and {len(roots) - _NAMED_ROOTS} more" if len(roots) > _NAMED_ROOTS else ""
    request.confirmation.require(
        sanitise_line(f"A rebuild from only {named} removes {dropped}. Continue?"),
        message=sanitise_line(f"a rebuild from only {named} would remove {dropped}"),
        hint=f"rebuild from everything without PATH, or confirm: streamrag ingest --rebuild {named} --yes",
    )


def _is_below(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _stored_below(roots: Sequence[Path], request: IngestRequest, settings: Settings) -> dict[Path, int]:
    """How many documents the store has below each of the roots, of those that have some."""
    if not roots:
        return {}
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            counts = {root: sum(1 for _ in manifest.documents_under(str(root))) for root in roots} if manifest else {}
    except StoreError:
        if not request.rebuild:
            raise
        return {}  # it is too damaged to know
    return {root: count for root, count in counts.items() if count}


def _refuse_empty(roots: Sequence[Path], request: IngestRequest, settings: Settings) -> None:
    for root, documents in _stored_below(roots, request, settings).items():
        command = "streamrag ingest --rebuild" if request.rebuild else "streamrag ingest"
        raise UsageError(
            f"{sanitise_line(str(root))} has no readable files, but the store has {_documents(documents)} from it:"
            " is its disk or network share mounted?",
            code="empty_folder",
            hint=f"mount it, or drop the documents: {command} --allow-empty {shlex.quote(str(root))}",
        )


def confirm_removal(documents: int | None, what: str, request: IngestRequest, *, command: str) -> None:
    """Raise UsageError unless few documents go or a person agrees. `documents` is None if they cannot be counted."""
    if request.dry_run or (documents is not None and documents <= MANY_DOCUMENTS):
        return
    counted = "all documents" if documents is None else _documents(documents)
    target = sanitise_line(what)
    request.confirmation.require(
        f"Remove {counted} {target}?",
        message=f"{counted} {target} would be removed",
        hint=f"list them first, then use --yes instead of --dry-run -v: {command} --dry-run -v",
    )


def _documents(count: int) -> str:
    return f"{count:,} document{'' if count == 1 else 's'}"
