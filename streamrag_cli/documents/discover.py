"""Finds the files to read under the paths that the user named, and reports what it skipped and why.

It skips hidden files, files ignored by git or `.streamragignore`, files excluded by the user, possible secrets
(`secret_names`), generated and vendored files (`generated`), unsupported formats, everything except regular files, and
links that lead out of the named path. A path that the user names is read regardless of its name, even if it is below
another named path, unless the user excludes it. A skipped directory is reported once and not entered.

Each directory is opened by its resolved path and listed through the opened descriptor. If a component of the path has
been replaced by a link, opening it fails (`safe_open`).

Links are followed last, after every file and directory that can be reached without a link. Therefore a file is not
reported twice, and discovery does not loop through links.
"""

import errno
import os
import shlex
import stat
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TypeAlias

from streamrag_cli.addresses import likely_address
from streamrag_cli.documents.discovery_results import (
    DiscoveryResult,
    FoundFile,
    SkipCode,
    SkippedPath,
    UnreadableDirectory,
)
from streamrag_cli.documents.formats import is_supported
from streamrag_cli.documents.generated import has_generated_name, is_installed, is_vendored_directory
from streamrag_cli.documents.gitignore import IgnoreRules, exclude_rules, is_excluded, rules_above
from streamrag_cli.documents.ignore_patterns import Rule
from streamrag_cli.documents.safe_open import open_directory
from streamrag_cli.documents.scope import Scope
from streamrag_cli.documents.secret_names import (
    TOOL_DIRECTORIES,
    classify_name,
    is_about_a_hidden_file,
    is_excluded_directory,
    is_secret_directory,
)
from streamrag_cli.errors import DocumentError, UsageError
from streamrag_cli.missing_files import is_missing
from streamrag_cli.system_errors import exhausted_resource

IsCurrent: TypeAlias = Callable[[str, str], bool]
"""A function that takes a file's name and resolved path, and returns whether the stored document is up to date."""


def _never(_name: str, _real: str) -> bool:
    return False


def discover(
    paths: Sequence[Path],
    *,
    exclude: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    recorded: Collection[Path] = (),
    is_repository: bool = False,
    is_current: IsCurrent = _never,
    with_ocr: bool = False,
    scope: Scope | None = None,
    entered: Callable[[str, str], None] | None = None,
) -> Iterator[DiscoveryResult]:
    """Yield what is found under each of `paths`: depth first by name, and then through links.

    A file under several of the paths is yielded once. Raises `UsageError` `no_such_path` or `bad_pattern` before the
    first result.

    - `exclude`: patterns that apply like those of a `.gitignore` file in each of the paths.
    - `environment`: locates the user's git configuration. If it is None, that configuration is ignored.
    - `recorded`: those paths that come from the store, not from this command. Possible secrets among them are skipped.
    - `is_repository`: whether the paths contain the files of a git repository, so that git's rules and the ignore files
      in the folders above have no effect.
    - `is_current`: a file for which it returns true is not classified by its name, which saves most of the time.
    - `with_ocr`: if it is false, images in folders are not found.
    - `scope`: only paths that it contains are yielded.
    - `entered`: called with the path and the resolved path of a directory before the directory is listed.
    """
    roots = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - resolve() would follow links
    excluded = exclude_rules(exclude)
    for root in roots:
        _check_exists(root)
    return _discover(
        roots,
        frozenset(map(str, recorded)),
        excluded,
        IgnoreRules(environment, reads_git=not is_repository),
        is_current=is_current,
        with_ocr=with_ocr,
        scope=scope,
        entered=entered or _ignore,
    )


def _discover(
    roots: Sequence[Path],
    recorded: frozenset[str],
    excluded: tuple[Rule, ...],
    without_excluded: IgnoreRules,
    *,
    is_current: IsCurrent,
    with_ocr: bool,
    scope: Scope | None,
    entered: Callable[[str, str], None],
) -> Iterator[DiscoveryResult]:
    named = frozenset(map(str, roots))
    visited: set[str] = set()
    for root in roots:
        if scope is not None and not scope.concerns(str(root)):
            continue
        try:
            status = root.stat()
            real = os.path.realpath(root, strict=True)
        except OSError as error:
            yield UnreadableDirectory(path=root, reason=_reason(error))
            continue
        is_directory = stat.S_ISDIR(status.st_mode)
        if excluded and is_excluded(root, roots, excluded, directory=is_directory):
            yield SkippedPath(name=str(root), code="excluded")
        elif str(root) in recorded and _is_secret(real, directory=is_directory):
            yield SkippedPath(name=str(root), code="secret")
        elif is_directory:
            rules = without_excluded.excluding(str(root), excluded)
            walk = _Walk(
                root=root,
                real_root=real,
                named=named,
                recorded=recorded,
                visited=visited,
                rules=rules,
                is_current=is_current,
                with_ocr=with_ocr,
                scope=scope,
                entered=entered,
            )
            yield from walk.run()
        elif not stat.S_ISREG(status.st_mode):
            yield SkippedPath(name=str(root), code="not_a_regular_file")
        elif real not in visited:
            visited.add(real)
            is_recorded = str(root) in recorded
            yield FoundFile(
                name=str(root),
                root=root,
                real=real,
                is_named=True,
                checks_secrets=is_recorded,
                is_current=is_current(str(root), real),
            )


def _is_secret(real: str, *, directory: bool) -> bool:
    """Whether a file or directory may be a secret, judging by its name and the names of the directories above it."""
    *above, name = PurePath(real).parts
    directories = [*above, name] if directory else above
    if any(map(is_excluded_directory, directories)):
        return True
    in_secret_directory = any(map(is_secret_directory, directories))
    return not directory and classify_name(PurePath(name), in_secret_directory=in_secret_directory) == "secret"


@dataclass(slots=True)
class _Directory:
    """A directory to enter: the path by which it was reached, its resolved path, and the ignore rules of its parent.

    If `is_secret`, data files in it are treated like data files with secret names.
    """

    path: str
    real: str
    rules: IgnoreRules
    is_secret: bool = False


@dataclass(slots=True)
class _Walk:
    """The walk over one root.

    `visited` contains the resolved path of every file found and every directory entered, under any root. `named`
    contains all roots; `recorded` contains the roots that come from the store, not from this command.
    """

    root: Path
    real_root: str
    named: frozenset[str]
    recorded: frozenset[str]
    visited: set[str]
    rules: IgnoreRules
    is_current: IsCurrent
    with_ocr: bool
    scope: Scope | None
    entered: Callable[[str, str], None]
    links: deque[tuple[str, IgnoreRules]] = field(default_factory=deque)

    def run(self) -> Iterator[DiscoveryResult]:
        try:
            rules = rules_above(self.real_root, self.rules.environment) if self.rules.reads_git else self.rules
        except DocumentError as error:
            yield UnreadableDirectory(
                path=self.root, reason=f"cannot read an ignore file in a parent folder: {error.message}"
            )
            return
        rules = replace(rules.relocated(self.real_root, as_path=str(self.root)), excluded=self.rules.excluded)
        yield from self._descend(_Directory(str(self.root), self.real_root, rules))
        if self.links and self.scope is not None:
            self.scope.has_links = True
            return
        while self.links:
            yield from self._follow(*self.links.popleft())

    def _descend(self, top: _Directory) -> Iterator[DiscoveryResult]:
        pending: list[_Directory | DiscoveryResult] = [top]
        while pending:
            item = pending.pop()
            if not isinstance(item, _Directory):
                yield item
            elif item.real not in self.visited:
                self.visited.add(item.real)
                pending.extend(reversed(self._enter(item)))

    def _enter(self, directory: _Directory) -> list[_Directory | DiscoveryResult]:
        """Return the results for the entries of `directory`, sorted by name. Links are queued and followed later."""
        self.entered(directory.path, directory.real)
        try:
            descriptor = open_directory(directory.real)
        except FileNotFoundError:
            return []
        except (OSError, DocumentError) as error:
            return [UnreadableDirectory(path=Path(directory.path), reason=_reason(error))]
        try:
            return self._list(directory, descriptor)
        except (OSError, DocumentError) as error:
            return [UnreadableDirectory(path=Path(directory.path), reason=_reason(error))]
        finally:
            os.close(descriptor)

    def _list(self, directory: _Directory, descriptor: int) -> list[_Directory | DiscoveryResult]:
        with os.scandir(descriptor) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        names = {entry.name for entry in entries}
        if directory.path not in self.named and is_installed(directory.path.rpartition("/")[2], names, descriptor):
            return [SkippedPath(name=directory.path, code="generated")]
        rules = directory.rules.entering(directory.path, directory.real, descriptor)
        if self.scope is not None and (names_in_scope := self.scope.names_in(directory.path)) is not None:
            entries = [entry for entry in entries if entry.name in names_in_scope]
        results = (self._classify(entry, directory, rules, names) for entry in entries)
        return [item for item in results if item is not None]

    def _classify(
        self, entry: os.DirEntry[str], parent: _Directory, rules: IgnoreRules, siblings: Collection[str]
    ) -> _Directory | DiscoveryResult | None:
        path = f"{parent.path.rstrip('/')}/{entry.name}"  # creating a Path per entry is slow
        real = path if parent.real == parent.path else f"{parent.real.rstrip('/')}/{entry.name}"
        is_named, is_link = path in self.named, entry.is_symlink()
        if real in self.visited or (is_link and is_named):  # a named link is walked as a separate root
            return None
        try:
            is_directory = entry.is_dir(follow_symlinks=False)
            skip_code = self._skip_reason(path, rules, siblings, directory=is_directory, is_named=is_named)
            if skip_code:
                return SkippedPath(name=path, code=skip_code)
            if is_link:
                self.links.append((path, rules))
                return None
            if is_directory:
                is_trusted = is_named and path not in self.recorded
                is_secret = parent.is_secret or (not is_trusted and is_secret_directory(entry.name))
                return _Directory(path, real, rules, is_secret)
            is_file = entry.is_file(follow_symlinks=False)
        except OSError as error:
            return UnreadableDirectory(path=Path(path), reason=_reason(error))
        return self._file(path, real, is_regular=is_file, in_secret_directory=parent.is_secret)

    def _skip_reason(
        self, path: str, rules: IgnoreRules, siblings: Collection[str], *, directory: bool, is_named: bool
    ) -> SkipCode | None:
        if is_named and rules.excluded.ignores(path, directory=directory):
            return "excluded"
        name = path.rpartition("/")[2]
        if is_named:
            is_secret = is_excluded_directory(name) if directory else classify_name(PurePath(name)) == "secret"
            return "secret" if is_secret and path in self.recorded else None
        if directory and is_excluded_directory(name):
            return "hidden" if name.casefold() in TOOL_DIRECTORIES else "secret"
        if name.startswith(".") and not is_about_a_hidden_file(name):
            return "secret" if not directory and classify_name(Path(name)) == "secret" else "hidden"
        if code := rules.ignores(path, directory=directory):
            return code
        return "generated" if directory and is_vendored_directory(name, siblings) else None

    def _file(self, path: str, real: str, *, is_regular: bool, in_secret_directory: bool) -> FoundFile | SkippedPath:
        if not is_regular:
            return SkippedPath(name=path, code="not_a_regular_file")
        if path in self.named and path not in self.recorded:
            self.visited.add(real)
            return FoundFile(name=path, root=self.root, real=real, is_named=True, checks_secrets=False)
        if path not in self.named and self.is_current(path, real):
            self.visited.add(real)
            return FoundFile(name=path, root=self.root, real=real, is_current=True)
        name, real_name = PurePath(path.rpartition("/")[2]), PurePath(real.rpartition("/")[2])
        suspicion = classify_name(name, in_secret_directory=in_secret_directory)
        if suspicion != "secret" and real_name != name:
            suspicion = classify_name(real_name, in_secret_directory=in_secret_directory) or suspicion
        if suspicion == "secret":
            return SkippedPath(name=path, code="secret")
        if path in self.named:
            self.visited.add(real)
            return FoundFile(name=path, root=self.root, real=real, is_named=True, suspicion=suspicion)
        if has_generated_name(name.name):
            return SkippedPath(name=path, code="generated")
        if not is_supported(name, with_ocr=self.with_ocr):
            return SkippedPath(name=path, code="unsupported")
        self.visited.add(real)
        return FoundFile(name=path, root=self.root, real=real, suspicion=suspicion)

    def _follow(self, link: str, rules: IgnoreRules) -> Iterator[DiscoveryResult]:
        try:
            real = os.path.realpath(link, strict=True)
            status = os.stat(real)  # noqa: PTH116 - already a str
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}:
                yield SkippedPath(name=link, code="broken_link")
            else:
                yield UnreadableDirectory(path=Path(link), reason=_reason(error))
            return
        is_directory = stat.S_ISDIR(status.st_mode)
        below = os.path.relpath(real, self.real_root).split("/")
        parents = below if is_directory else below[:-1]
        in_secret_directory = any(is_secret_directory(parent) for parent in parents)
        if real != self.real_root and not real.startswith(self.real_root.rstrip("/") + "/"):
            yield SkippedPath(name=link, code="outside_root")
        elif any(is_excluded_directory(parent) for parent in parents):
            yield SkippedPath(name=link, code="secret")
        elif real in self.visited:
            yield SkippedPath(name=link, code="duplicate")
        elif is_directory:
            yield from self._descend(_Directory(link, real, rules, in_secret_directory))
        else:
            is_regular = stat.S_ISREG(status.st_mode)
            yield self._file(link, real, is_regular=is_regular, in_secret_directory=in_secret_directory)


def _ignore(_path: str, _real: str) -> None:
    pass


def _check_exists(root: Path) -> None:
    if is_missing(root):
        parent = next(parent for parent in root.parents if parent.is_dir())
        address = likely_address(str(root.relative_to(parent)))
        hint = f"ls {shlex.quote(str(parent))}"
        if address:
            hint += f", or if it is an address: streamrag ingest {shlex.quote(address)}"
        raise UsageError(f"no such file or directory: {root}", code="no_such_path", hint=hint)


def _reason(error: OSError | DocumentError) -> str:
    """Return the reason to report for `error`.

    Raises ResourceError if the process has no descriptors or memory left, because then the directory is not at fault.
    """
    if isinstance(error, DocumentError):
        return error.message
    if (exhausted := exhausted_resource(error)) is not None:
        raise exhausted from error
    return (error.strerror or str(error)).lower()
