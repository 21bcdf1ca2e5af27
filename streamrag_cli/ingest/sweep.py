"""Checks whether a collection is out of date, in one walk, without reading files or loading an embedder.

If it is out of date, the next ingest reads only the files that were new or changed in this walk.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from streamrag_cli.documents.discovery_results import FoundFile, UnreadableDirectory
from streamrag_cli.events import Notice
from streamrag_cli.ingest.compare import is_older, is_unchanged_by_stat
from streamrag_cli.ingest.roots import IngestRequest, has_utf_8_name, is_below, missing_stored_roots, outermost
from streamrag_cli.ingest.safeguards import FolderSurvey, survey_folders
from streamrag_cli.missing_files import is_local_file, is_missing
from streamrag_cli.model import FileVersion
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store


class Sweep:
    """A walk over the recorded files and folders of a collection that still exist. Nothing is fetched.

    `request` is the request for an ingest that syncs the collection; None if the collection is up to date. `notices`
    are about roots that no longer exist. Their documents stay in the collection.
    """

    def __init__(self, request: IngestRequest, settings: Settings) -> None:
        """Walk all recorded files and folders. `request` must not have paths.

        Raises StoreError, UsageError `empty_folder` and the other errors that `survey_folders` raises.
        """
        self.request: IngestRequest | None = None
        self.notices: list[Notice] = []
        with open_store(settings.store).manifest(settings.collection) as manifest:
            if manifest is None:
                return
            recorded = [Path(root) for root in manifest.roots() if is_local_file(root)]
            roots = sorted((each for each in recorded if not is_missing(each)), key=lambda path: len(path.parts))
            self.notices += missing_stored_roots(request, settings, manifest)
            self._versions: dict[str, FileVersion] = {}
            for root in outermost(roots):
                self._versions |= manifest.file_versions(str(root))
            self._unread = {each.path: each.seen_at for each in manifest.unread_files()}
        if roots:
            request = replace(request, is_current=self._is_current, fetches=False)
            if self._is_outdated(survey_folders(roots, request, settings)):
                self.request = replace(request, name_bases=dict(self._name_bases(roots)))

    def _is_current(self, name: str, real: str) -> bool:
        version = self._versions.get(name)
        try:
            return version is not None and is_unchanged_by_stat(os.lstat(real), version)
        except OSError:
            return False

    def _is_outdated(self, survey: FolderSurvey) -> bool:
        """Whether any file is new or changed, or any document's file was not discovered again."""
        remaining = self._versions.keys() - {each.name for each in survey.results if isinstance(each, FoundFile)}
        unreadable = [each.path for each in survey.results if isinstance(each, UnreadableDirectory)]
        return any(not is_below(path, unreadable) for path in remaining) or any(
            not (each.is_current or self._is_known_as_unread(each))
            for each in survey.results
            if isinstance(each, FoundFile)
        )

    def _is_known_as_unread(self, file: FoundFile) -> bool:
        """Whether the last ingest failed to read this version of the file, or skipped it because of its content."""
        if not has_utf_8_name(file.path):
            return True
        seen_at = self._unread.get(file.name)
        return seen_at is not None and file.name not in self._versions and is_older(file.real, seen_at)

    def _name_bases(self, roots: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
        """Yield each root and the folder to which the name of one of its documents is relative."""
        for root in roots:
            below = (each for each in self._versions.values() if each.path.startswith(str(root)))
            named = (each for each in below if each.path.endswith(f"/{each.source}") and is_below(each.path, [root]))
            if version := next(named, None):
                yield root, Path(version.path.removesuffix(version.source))
