"""The request for an ingest: its paths, the names of the files below them, and confirmations."""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from streamrag_cli.addresses import (
    Address,
    Location,
    is_at_or_below,
    location,
    names_above,
    public_address,
)
from streamrag_cli.counting import counted_noun
from streamrag_cli.display_names import DisplayNames
from streamrag_cli.documents.discover import IsCurrent
from streamrag_cli.documents.scope import Scope
from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.events import Notice
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.missing_files import is_missing
from streamrag_cli.remote.copies import Copies
from streamrag_cli.remote.sources import is_available
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import Manifest
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The user's confirmation of actions that are slow or cannot be undone.

    It is `granted` in advance by `--yes`. Otherwise `ask` shows the user a question; it is None without a terminal.
    """

    granted: bool = True
    ask: Callable[[str], bool] | None = None

    def require(self, question: str, *, message: str, hint: str) -> None:
        """Raise UsageError unless the user confirms: `not_confirmed`, or `confirmation_needed` if there is no terminal.

        `message` describes the action, for the error message.
        """
        if not self.granted and self.ask is None:
            raise UsageError(f"{message}: this requires --yes", code="confirmation_needed", hint=hint)
        self.ask_if_possible(question)

    def ask_if_possible(self, question: str) -> None:
        """Like `require`, but does not raise an error if there is no terminal."""
        if not self.granted and self.ask is not None and not self.ask(question):
            raise UsageError("cancelled; nothing was changed", code="not_confirmed")


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRequest:
    """A request to ingest files and addresses. Without `paths`, all recorded roots are ingested.

    - `working_directory`: the base of relative paths and display names, as an absolute path; None if it no longer
      exists.
    - `scope`: if set, only the files in it are compared with the store, because nothing else has changed.
    - `environment`: locates the user's git configuration. If it is None, that configuration is ignored.
    - `allow_empty`: whether a folder may have no readable files although the store has documents from it.
    - `confirms_removal`: whether even the removal of few documents must be confirmed.
    - `uninterrupted`: a context manager within which no signal raises an exception.
    - `interrupted`: called after an interruption with the number of passages that are about to be saved.
    - `piped`: the contents of piped documents, by address. The addresses are also in `paths`.
    - `fetches`: whether recorded addresses are ingested too.
    - `is_current`: files for which it returns true are neither read nor compared.
    - `name_bases`: for some roots, the folder to which the stored names of files are relative.
    - `follow`, `max_pages`, `starts`: options for the web pages among `paths`, as in `FetchOptions`.
    - `on_fetch`: called for each page.
    """

    paths: tuple[Location, ...]
    working_directory: Path | None
    scope: Scope | None = None
    home: Path | None = None
    rebuild: bool = False
    dry_run: bool = False
    environment: Mapping[str, str] | None = None
    allow_empty: bool = True
    confirms_removal: bool = False
    confirmation: Confirmation = field(default_factory=Confirmation)
    limits: IngestLimits = field(default_factory=IngestLimits)
    uninterrupted: Callable[[], AbstractContextManager[object]] = nullcontext
    interrupted: Callable[[int], None] = lambda _kept_passages: None
    piped: Mapping[Address, bytes] = field(default_factory=dict)
    fetches: bool = True
    is_current: IsCurrent | None = None
    name_bases: Mapping[Path, Path] = field(default_factory=dict)
    follow: bool | None = None
    max_pages: int | None = None
    starts: Mapping[Address, str] = field(default_factory=dict)
    on_fetch: Callable[[int, str], None] = lambda _number, _address: None

    def absolute_paths(self) -> list[Location]:
        """The paths as absolute paths, with addresses unchanged.

        Raises UsageError: `not_utf_8`, `no_working_directory`.
        """
        if self.working_directory is None and not all(
            isinstance(path, Address) or path.is_absolute() for path in self.paths
        ):
            raise UsageError(
                "the working directory no longer exists, so relative paths cannot be resolved",
                code="no_working_directory",
                hint="change to another directory, or use absolute paths",
            )
        here = self.working_directory or Path("/")
        absolute: list[Location] = [
            path if isinstance(path, Address) else Path(os.path.normpath(here / path)) for path in self.paths
        ]
        for path in absolute:
            if not has_utf_8_name(path):
                raise UsageError(
                    f"the name of {sanitise_line(str(path))} is not UTF-8",
                    code="not_utf_8",
                    hint="rename the file or folder: mv OLD NEW",
                )
        return absolute

    def shown_name(self, path: str | Location) -> str:
        """The file's name as it is shown to the user."""
        return DisplayNames(self.working_directory, self.home).of(path)

    def removal_command(self, *paths: Location) -> str:
        """The command that removes the documents of these paths from the store."""
        names = DisplayNames(self.working_directory, self.home)
        return f"streamrag ingest --remove {shlex.join(map(names.typed, paths))}"

    def stored_name(self, path: Location, root: Location) -> str:
        """The name that models and HTTP clients see.

        The name is relative to the first of these folders that contains the path: the recorded base of `root`, the
        working directory, and the folder that contains `root`.
        """
        if isinstance(path, Address) or isinstance(root, Address):
            return public_address(str(path))
        for base in (self.name_bases.get(root), self.working_directory, root.parent):
            if base is not None and path.is_relative_to(base):
                return str(path.relative_to(base))
        return str(path)


def roots_to_ingest(request: IngestRequest, settings: Settings) -> list[Location]:
    """The absolute paths and addresses to ingest, without duplicates, outer ones first. Raises UsageError.

    Except in a rebuild, recorded roots below one of them are included, so that files that the user named earlier are
    ingested again. Discovery skips roots that may be secrets, because every user with write access to the store can
    record roots.
    """
    paths = request.absolute_paths()
    if not paths:
        recorded = [root for root in recorded_roots(settings) if request.fetches or not isinstance(root, Address)]
        paths = _existing(recorded, settings)
        if not paths:
            raise _nothing_to_ingest(recorded, request)
    elif not request.rebuild:
        paths += _existing(_below(paths, recorded_roots(settings)), settings)
    return sorted(dict.fromkeys(paths), key=lambda path: len(path.parents))


def _nothing_to_ingest(recorded: Sequence[Location], request: IngestRequest) -> UsageError:
    """The error if no PATH is named and no recorded root exists."""
    if recorded and not request.rebuild:
        names = sanitise_line(", ".join(map(request.shown_name, recorded)))
        is_one = len(recorded) == 1
        if all(isinstance(root, Address) for root in recorded):
            verb, copies = ("was", "its copy no longer exists") if is_one else ("were", "their copies no longer exist")
            return UsageError(
                f"{names} {verb} ingested on another machine, or {copies}",
                code="no_path",
                hint=f"to ingest on this machine: streamrag ingest {shlex.join(map(str, recorded))}",
            )
        command = request.removal_command(*recorded)
        return UsageError(
            f"{names} {'does' if is_one else 'do'} not exist, so there is nothing to ingest",
            code="no_path",
            hint=f"mount the disk or network share, ingest the new location, or remove the documents: {command}",
        )
    command = "streamrag ingest --rebuild PATH" if request.rebuild else "streamrag ingest PATH"
    return UsageError("no PATH was given, and nothing has been ingested yet", code="no_path", hint=command)


def outermost(roots: Sequence[Location]) -> list[Location]:
    """The roots that are not below another one."""
    below = set(_below(roots, roots))
    return [root for root in roots if root not in below]


def missing_root_notices(request: IngestRequest, settings: Settings) -> Iterator[Notice]:
    """Notices for recorded roots that no longer exist, which a rebuild without paths cannot ingest."""
    if request.rebuild and not request.paths:
        for root in recorded_roots(settings):
            if is_gone(root, settings):
                message = (
                    f"{root} no longer exists, so its documents were not ingested; to add them once it exists again:"
                )
                message += f" streamrag ingest {shlex.quote(str(root))}"
                yield Notice(message=sanitise_line(message), code="root_gone")


def missing_stored_roots(request: IngestRequest, settings: Settings, manifest: Manifest | None) -> Iterator[Notice]:
    """Notices for recorded roots that no longer exist, although the store still has documents from them.

    The disk may just not be mounted, so only the user can decide to remove these documents. There are no notices for a
    store whose files may be on another machine.
    """
    if manifest is None or not open_store(settings.store).has_local_files:
        return
    for root in outermost([root for root in map(location, manifest.roots()) if is_missing(root)]):
        if count := sum(1 for _ in manifest.documents_under(str(root))):
            documents = counted_noun(count, "document")
            message = f"{request.shown_name(root)} no longer exists, but the store still has {documents} from it"
            message += f"; to remove them: {request.removal_command(root)}"
            yield Notice(message=sanitise_line(message), code="root_gone")


def reject_missing_paths(request: IngestRequest, settings: Settings) -> None:
    """Raise UsageError `no_such_path` if a path no longer exists although the store has documents from it."""
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
                    hint=f"if the file or folder was moved or deleted, remove its documents from the store: {command}",
                )


def has_utf_8_name(path: Location) -> bool:
    """Whether the path can be stored: bytes that are not UTF-8 become lone surrogates, which SQLite rejects."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_below(path: str, roots: Iterable[Location]) -> bool:
    """Whether the path is one of the roots or below one of them."""
    return any(is_at_or_below(path, str(root)) for root in roots)


def is_folder(root: Location) -> bool:
    """Whether the root may contain several documents."""
    return root.scheme != "stdin" if isinstance(root, Address) else root.is_dir()


def is_gone(root: Location, settings: Settings) -> bool:
    """Whether a recorded root cannot be ingested again on this machine."""
    if not isinstance(root, Address):
        return is_missing(root)
    return not is_available(root, copies_of(settings), shared_store=not open_store(settings.store).has_local_files)


def copies_of(settings: Settings) -> Copies:
    """The copies of the collection's remote documents."""
    return Copies.of(settings.state_directory, str(open_store(settings.store)), settings.collection)


def _below(folders: Iterable[Location], paths: Iterable[Location]) -> list[Location]:
    above = {_without_slash(str(folder)) for folder in folders}
    return [path for path in paths if not above.isdisjoint(names_above(str(path)))]


def _without_slash(name: str) -> str:
    return name.rstrip("/") or name


def _existing(roots: Iterable[Location], settings: Settings) -> list[Location]:
    return [root for root in roots if not is_gone(root, settings)]


def recorded_roots(settings: Settings) -> list[Location]:
    """The absolute paths and addresses that earlier ingests into the collection recorded."""
    return [location(root) for root in open_store(settings.store).roots(settings.collection)]
