"""What an ingest is asked to do: which paths it is about, what the files below them are called, who agrees to what."""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from streamrag_cli.display_names import DisplayNames
from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.events import Notice
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.missing_files import is_missing
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import Manifest
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What a person is asked before an ingest does what takes long or cannot be undone.

    `given` in advance, as by `--yes`; else `ask` is called with the question, and is None if nobody can be asked.
    """

    granted: bool = True
    ask: Callable[[str], bool] | None = None

    def require(self, question: str, *, message: str, hint: str) -> None:
        """Raise UsageError unless a person agrees: `not_confirmed`, or `confirmation_needed` if nobody can be asked.

        `otherwise` says what needs consent, for an error message.
        """
        if not self.granted and self.ask is None:
            raise UsageError(f"{message}: this requires --yes", code="confirmation_needed", hint=hint)
        self.ask_if_possible(question)

    def ask_if_possible(self, question: str) -> None:
        """The same, but go on if nobody can be asked."""
        if not self.granted and self.ask is not None and not self.ask(question):
            raise UsageError("cancelled, nothing was changed", code="not_confirmed")


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRequest:
    """What to ingest. `paths` may be empty only with `rebuild`: then it is what was ingested before.

    `working_directory` is absolute: where relative paths start and what shown names are relative to. It is None if it
    no longer exists. With `allow_empty` a folder may have nothing to read though the store has documents from there.
    `environment` is where git's settings of a user are looked for; None is nobody's.
    """

    paths: tuple[Path, ...]
    working_directory: Path | None
    home: Path | None = None
    rebuild: bool = False
    dry_run: bool = False
    environment: Mapping[str, str] | None = None
    allow_empty: bool = True
    confirmation: Confirmation = field(default_factory=Confirmation)
    limits: IngestLimits = field(default_factory=IngestLimits)

    def absolute_paths(self) -> list[Path]:
        """Raises UsageError: `not_utf_8`, `no_working_directory`."""
        if self.working_directory is None and not all(path.is_absolute() for path in self.paths):
            raise UsageError(
                "the working directory no longer exists, so relative paths cannot be resolved",
                code="no_working_directory",
                hint="change to another directory, or use absolute paths",
            )
        here = self.working_directory or Path("/")
        absolute = [Path(os.path.normpath(here / path)) for path in self.paths]
        for path in absolute:
            if not has_utf_8_name(path):
                raise UsageError(
                    f"the name of {sanitise_line(str(path))} is not UTF-8",
                    code="not_utf_8",
                    hint="rename it: mv OLD NEW",
                )
        return absolute

    def shown_name(self, path: str | Path) -> str:
        """The file's name for the person who ingests it."""
        return DisplayNames(self.working_directory, self.home).of(path)

    def removal_command(self, *paths: Path) -> str:
        """The command that removes what the store has from these paths."""
        names = DisplayNames(self.working_directory, self.home)
        return f"streamrag ingest --remove {shlex.join(map(names.typed, paths))}"

    def stored_name(self, path: Path, root: Path) -> str:
        """The name for a model and for others who ask over HTTP: it tells nothing of what lies above the folder."""
        for base in (self.working_directory, root.parent):
            if base is not None and path.is_relative_to(base):
                return str(path.relative_to(base))
        return str(path)


def roots_of(request: IngestRequest, settings: Settings) -> list[Path]:
    """The absolute paths to ingest, each once, those that lie above others first. Raises UsageError.

    What earlier ingests were given below one of them is among them: it was named, so it is not left out for its name.
    """
    given = request.absolute_paths()
    if request.rebuild and not given:
        given = _still_there(_recorded(settings))
    elif given and not request.rebuild:
        given += _still_there(_below(given, _recorded(settings)))
    if not given:
        how = "streamrag ingest --rebuild PATH" if request.rebuild else "streamrag ingest PATH"
        raise UsageError("no path to ingest", code="no_path", hint=how)
    return sorted(dict.fromkeys(given), key=lambda path: len(path.parts))


def outermost(roots: Sequence[Path]) -> list[Path]:
    """Those that lie below no other."""
    below = set(_below(roots, roots))
    return [root for root in roots if root not in below]


def missing_root_notices(request: IngestRequest, settings: Settings) -> Iterator[Notice]:
    """A rebuild from what was ingested before cannot bring back what is gone."""
    if request.rebuild and not request.paths:
        for root in _recorded(settings):
            if is_missing(root):
                message = f"{root} no longer exists, so its documents were not ingested; to add them once it is back:"
                message += f" streamrag ingest {shlex.quote(str(root))}"
                yield Notice(message=sanitise_line(message), code="root_gone")


def missing_stored_roots(request: IngestRequest, settings: Settings, manifest: Manifest | None) -> Iterator[Notice]:
    """What earlier ingests were given and is gone now, though the store still has documents from there.

    It may be a disk that is not mounted, so only a person can say that they are to be removed. The files of a database
    may be on another machine.
    """
    if manifest is None or not open_store(settings.store).has_local_files:
        return
    for root in outermost([Path(root) for root in manifest.roots() if is_missing(Path(root))]):
        if count := sum(1 for _ in manifest.documents_under(str(root))):
            documents = f"{count:,} document{'' if count == 1 else 's'}"
            message = f"{request.shown_name(root)} no longer exists, but the store still has {documents} from it"
            message += f"; to remove them: {request.removal_command(root)}"
            yield Notice(message=sanitise_line(message), code="root_gone")


def reject_missing_paths(request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError `no_such_path` for a path that is gone and that the store has documents from."""
    missing = [path for path in request.absolute_paths() if is_missing(path)]
    if not missing:
        return
    with suppress(StoreError), open_store(settings.store).manifest(settings.collection) as manifest:
        for path in missing:
            command = request.removal_command(path)
            if manifest and any(True for _ in manifest.documents_under(str(path))):
                raise UsageError(
                    f"no such file or directory: {path}",
                    code="no_such_path",
                    hint=f"if it was moved or deleted, remove its documents from the store: {command}",
                )


def has_utf_8_name(path: Path) -> bool:
    """Whether the store can keep the path: bytes that are no UTF-8 come as lone surrogates, which SQLite refuses."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _below(folders: Iterable[Path], paths: Iterable[Path]) -> list[Path]:
    above = set(folders)
    return [path for path in paths if not above.isdisjoint(path.parents)]


def _still_there(roots: Iterable[Path]) -> list[Path]:
    return [root for root in roots if not is_missing(root)]


def _recorded(settings: Settings) -> list[Path]:
    """The absolute paths that earlier ingests were given."""
    return [Path(root) for root in open_store(settings.store).roots(settings.collection)]
