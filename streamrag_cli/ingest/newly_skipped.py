"""A safeguard against rules that skip too much, such as `--exclude '*'` or a new `.gitignore`.

An ingest removes documents whose files are now excluded or ignored. The user must confirm the removal of many
documents, or of all documents in a folder. Documents whose files were deleted or may be secrets are not counted.
"""

import os
import shlex
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.addresses import Location, is_address, is_at_or_below, names_above
from streamrag_cli.documents.discovery_results import FoundFile, SkipCode, SkippedPath, UnreadableDirectory
from streamrag_cli.errors import StoreError
from streamrag_cli.ingest.roots import IngestRequest, has_utf_8_name, is_below, is_folder
from streamrag_cli.ingest.safeguards import MANY_DOCUMENTS, FolderSurvey, confirm_removal
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import Manifest
from streamrag_cli.store.registry import open_store

_RULES: Final[Mapping[SkipCode, str]] = {
    "excluded": "excluded",
    "gitignored": "ignored by git",
    "streamragignored": "ignored by .streamragignore",
    "generated": "treated as generated or vendored",
}
"""The rules that this safeguard covers. Secrets are not included, because they must be removed without a question."""
_NAMED_ROOTS: Final = 3
_MAX_QUERIES: Final = 300


@dataclass(slots=True)
class _Skipped:
    """The number of documents in one root whose files are now skipped, and the rules that skip them."""

    root: Location
    documents: int = 0
    rules: set[SkipCode] = field(default_factory=set)
    is_emptied: bool = True
    """Whether all documents in the root would be removed."""


def confirm_newly_skipped(survey: FolderSurvey, request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError if rules would remove many documents or empty a folder, and the user does not confirm it.

    `--allow-empty` confirms the removal of all documents in a folder.
    """
    if request.dry_run or request.confirmation.granted:
        return
    by_rule = (each for each in survey.results if isinstance(each, SkippedPath) and each.code in _RULES)
    skipped = {
        each.name: each.code for each in by_rule if has_utf_8_name(each.path)
    }  # names that are not UTF-8 are never stored
    if not skipped:
        return
    file_names = {each.name for each in survey.results if isinstance(each, FoundFile)}
    unreadable = [each.path for each in survey.results if isinstance(each, UnreadableDirectory)]
    try:
        with open_store(settings.store).manifest(settings.collection) as manifest:
            of_roots = [
                _newly_skipped(manifest, root, skipped, file_names, unreadable)
                for root in (_roots_of(skipped, survey) if manifest else ())
            ]
    except StoreError:
        if not request.rebuild:
            raise
        return  # the collection is damaged; a rebuild repairs it
    at_risk = [each for each in of_roots if each.documents and not (each.is_emptied and request.allow_empty)]
    is_any_emptied = any(each.is_emptied and is_folder(each.root) for each in at_risk)
    where = ", ".join(str(each.root) for each in at_risk[:_NAMED_ROOTS])
    where += f" and {len(at_risk) - _NAMED_ROOTS} more" if len(at_risk) > _NAMED_ROOTS else ""
    rules = " or ".join(text for code, text in _RULES.items() if any(code in each.rules for each in at_risk))
    documents = sum(each.documents for each in at_risk)
    confirm_removal(
        documents,
        f"below {where} that {'is' if documents == 1 else 'are'} now {rules}",
        request,
        command=_command(request, settings),
        limit=0 if is_any_emptied else MANY_DOCUMENTS,
    )


def _roots_of(skipped: Mapping[str, SkipCode], survey: FolderSurvey) -> list[Location]:
    """The outermost roots, or the paths of the scope, that contain a skipped path."""
    if survey.scope is None:
        return survey.tops
    tops = {survey.scope.top_of(path) for path in skipped}
    return [path for path in survey.tops if str(path) in tops]


def _newly_skipped(
    manifest: Manifest | None,
    root: Location,
    skipped: Mapping[str, SkipCode],
    file_names: Container[str],
    unreadable: list[Location],
) -> _Skipped:
    result = _Skipped(root)
    for path in dict.fromkeys(_candidates(manifest, root, skipped) if manifest else ()):
        code = _rule_for(path, skipped)
        if code and path not in file_names and (is_address(path) or os.path.lexists(path)):
            result.documents += 1
            result.rules.add(code)
    if manifest and result.documents:
        stored = (record.path for record in manifest.documents_under(str(root)))
        result.is_emptied = not any(path in file_names or is_below(path, unreadable) for path in stored)
    return result


def _candidates(manifest: Manifest, root: Location, skipped: Mapping[str, SkipCode]) -> Iterator[str]:
    """Yield the stored documents that may be below a skipped path. Usually, this queries each path separately."""
    below = [each for each in skipped if is_at_or_below(each, str(root))]
    tops = below if len(below) <= _MAX_QUERIES else [str(root)]
    for top in tops:
        yield from (record.path for record in manifest.documents_under(top))


def _rule_for(path: str, skipped: Mapping[str, SkipCode]) -> SkipCode | None:
    """The rule that skips the file at `path` or a directory above it; None if there is no such rule."""
    return next((skipped[each] for each in (path, *names_above(path)) if each in skipped), None)


def _command(request: IngestRequest, settings: Settings) -> str:
    rebuild = ["--rebuild"] if request.rebuild else []
    excluded = [word for pattern in settings.exclude for word in ("--exclude", pattern)]
    return shlex.join(["streamrag", "ingest", *rebuild, *excluded, *map(str, request.paths)])
