"""Finds the files to read under the paths that a person named, and says what it left out and why.

Left out: what is hidden, what git or `.streamragignore` ignores, what the ingest is told to exclude, what may hold
secrets (`never_read`), what was generated or vendored (`generated`), what no loader knows, what is not a regular file,
and links that lead out of the path they were found under. A path that a person names is taken whatever its name, also
if another one leads past it, unless the ingest excludes it. A directory that is left out is reported once and not
entered.

Each directory is opened by its resolved path, in which nothing may have become a link (`opening`), and looked at
through that descriptor.

Links are followed last, when everything that has a place of its own under the path has been found there: no file is
found twice, whichever of its names sorts first, and a loop ends where it began.
"""

import errno
import os
import shlex
import stat
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from streamrag_cli.documents.discovery_results import Found, FoundFile, SkipCode, SkippedPath, UnreadableDirectory
from streamrag_cli.documents.formats import is_supported
from streamrag_cli.documents.generated import has_generated_name, is_installed, is_vendored_directory
from streamrag_cli.documents.gitignore import IgnoreRules, given_rules, is_excluded, rules_above
from streamrag_cli.documents.ignore_patterns import Rule
from streamrag_cli.documents.safe_open import open_directory
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


def discover(
    paths: Sequence[Path],
    *,
    exclude: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Found]:
    """Yield what is under `paths`, in their order: each depth first by name, then what its links lead to.

    A file under several of the paths is yielded once. Only one directory's entries are held at a time, and the names
    of what was found. `exclude` has patterns as in a `.gitignore` that stands in each of the paths; `environment` is
    where git's settings of a user are looked for, None is nobody's. Raises `UsageError`, codes `no_such_path` and
    `bad_pattern`, before anything is yielded.
    """
    roots = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - resolve() would follow links
    excluded = given_rules(exclude)
    for root in roots:
        _require(root)
    return _discover(roots, excluded, environment)


def _discover(
    roots: Sequence[Path], excluded: tuple[Rule, ...], environment: Mapping[str, str] | None
) -> Iterator[Found]:
    named = frozenset(map(str, roots))
    seen: set[str] = set()
    for root in roots:
        try:
            status = root.stat()
            real = os.path.realpath(root, strict=True)
        except OSError as error:
            yield UnreadableDirectory(path=root, reason=_reason(error))
            continue
        is_directory = stat.S_ISDIR(status.st_mode)
        if excluded and is_excluded(root, roots, excluded, directory=is_directory):
            yield SkippedPath(name=str(root), code="excluded")
        elif is_directory:
            rules = IgnoreRules(environment).excluding(str(root), excluded)
            walk = _Walk(root=root, real_root=real, named=named, seen=seen, rules=rules)
            yield from walk.run()
        elif not stat.S_ISREG(status.st_mode):
            yield SkippedPath(name=str(root), code="not_a_regular_file")
        elif real not in seen:
            seen.add(real)
            yield FoundFile(name=str(root), root=root, real=real, is_named=True)


@dataclass(slots=True)
class _Directory:
    """A directory to enter: its path as reached, its real path, and the rules that hold on its entries' parents.

    What data is in it is secret if `is_secret`.
    """

    path: str
    real: str
    rules: IgnoreRules
    is_secret: bool = False


@dataclass(slots=True)
class _Walk:
    """One root's walk. `seen` has the real path of every file found and every directory entered, under any root;
    `named` has all the roots.
    """

    root: Path
    real_root: str
    named: frozenset[str]
    seen: set[str]
    rules: IgnoreRules
    links: deque[tuple[str, IgnoreRules]] = field(default_factory=deque)

    def run(self) -> Iterator[Found]:
        try:
            rules = rules_above(self.real_root, self.rules.environment)
        except DocumentError as error:
            yield UnreadableDirectory(path=self.root, reason=f"in a parent folder: {error.message}")
            return
        rules = replace(rules.seen_from(self.real_root, as_path=str(self.root)), given=self.rules.given)
        yield from self._descend(_Directory(str(self.root), self.real_root, rules))
        while self.links:
            yield from self._follow(*self.links.popleft())

    def _descend(self, top: _Directory) -> Iterator[Found]:
        pending: list[_Directory | Found] = [top]
        while pending:
            item = pending.pop()
            if not isinstance(item, _Directory):
                yield item
            elif item.real not in self.seen:
                self.seen.add(item.real)
                pending.extend(reversed(self._enter(item)))

    def _enter(self, directory: _Directory) -> list[_Directory | Found]:
        """What is in `directory`, by name. Its links are put off."""
        try:
            descriptor = open_directory(directory.real)
        except FileNotFoundError:
            return []
        except OSError as error:
            return [UnreadableDirectory(path=Path(directory.path), reason=_reason(error))]
        except DocumentError as error:
            return [UnreadableDirectory(path=Path(directory.path), reason=error.message)]
        try:
            return self._list(directory, descriptor)
        except OSError as error:
            return [UnreadableDirectory(path=Path(directory.path), reason=_reason(error))]
        except DocumentError as error:
            return [UnreadableDirectory(path=Path(directory.path), reason=error.message)]
        finally:
            os.close(descriptor)

    def _list(self, directory: _Directory, descriptor: int) -> list[_Directory | Found]:
        with os.scandir(descriptor) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        names = {entry.name for entry in entries}
        if directory.path not in self.named and is_installed(directory.path.rpartition("/")[2], names, descriptor):
            return [SkippedPath(name=directory.path, code="generated")]
        rules = directory.rules.entering(directory.path, directory.real, descriptor)
        judged = (self._judge(entry, directory, rules, names) for entry in entries)
        return [item for item in judged if item is not None]

    def _judge(
        self, entry: os.DirEntry[str], parent: _Directory, rules: IgnoreRules, siblings: Collection[str]
    ) -> _Directory | Found | None:
        path = f"{parent.path.rstrip('/')}/{entry.name}"  # a Path for each entry is slow
        real = path if parent.real == parent.path else f"{parent.real.rstrip('/')}/{entry.name}"
        is_named, is_link = path in self.named, entry.is_symlink()
        if real in self.seen or (is_link and is_named):  # a link that was named is followed when its turn comes
            return None
        try:
            is_directory = entry.is_dir(follow_symlinks=False)
            left_out = self._left_out(path, rules, siblings, directory=is_directory, is_named=is_named)
            if left_out:
                return SkippedPath(name=path, code=left_out)
            if is_link:
                self.links.append((path, rules))
                return None
            if is_directory:
                is_secret = parent.is_secret or (not is_named and is_secret_directory(entry.name))
                return _Directory(path, real, rules, is_secret)
            is_file = entry.is_file(follow_symlinks=False)
        except OSError as error:
            return UnreadableDirectory(path=Path(path), reason=_reason(error))
        return self._file(path, real, is_regular=is_file, in_secret_directory=parent.is_secret)

    def _left_out(
        self, path: str, rules: IgnoreRules, siblings: Collection[str], *, directory: bool, is_named: bool
    ) -> SkipCode | None:
        if is_named:
            return "excluded" if rules.given.ignores(path, directory=directory) else None
        name = path.rpartition("/")[2]
        if directory and is_excluded_directory(name):
            return "hidden" if name.casefold() in TOOL_DIRECTORIES else "secret"
        if name.startswith(".") and not is_about_a_hidden_file(name):
            return "secret" if not directory and classify_name(Path(name)) == "secret" else "hidden"
        if ignored := rules.ignores(path, directory=directory):
            return ignored
        return "generated" if directory and is_vendored_directory(name, siblings) else None

    def _file(self, path: str, real: str, *, is_regular: bool, in_secret_directory: bool) -> FoundFile | SkippedPath:
        if not is_regular:
            return SkippedPath(name=path, code="not_a_regular_file")
        if path in self.named:
            self.seen.add(real)
            return FoundFile(name=path, root=self.root, real=real, is_named=True)
        name, real_name = PurePath(path.rpartition("/")[2]), PurePath(real.rpartition("/")[2])
        suspicion = classify_name(name, in_secret_directory=in_secret_directory)
        if suspicion != "secret" and real_name != name:
            suspicion = classify_name(real_name, in_secret_directory=in_secret_directory) or suspicion
        if suspicion == "secret":
            return SkippedPath(name=path, code="secret")
        if has_generated_name(name.name):
            return SkippedPath(name=path, code="generated")
        if not is_supported(name):
            return SkippedPath(name=path, code="unsupported")
        self.seen.add(real)
        return FoundFile(name=path, root=self.root, real=real, suspicion=suspicion)

    def _follow(self, link: str, rules: IgnoreRules) -> Iterator[Found]:
        try:
            real = os.path.realpath(link, strict=True)
            status = os.stat(real)  # noqa: PTH116 - a str already
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
        elif real in self.seen:
            yield SkippedPath(name=link, code="duplicate")
        elif is_directory:
            yield from self._descend(_Directory(link, real, rules, in_secret_directory))
        else:
            is_regular = stat.S_ISREG(status.st_mode)
            yield self._file(link, real, is_regular=is_regular, in_secret_directory=in_secret_directory)


def _require(root: Path) -> None:
    if is_missing(root):
        parent = next(parent for parent in root.parents if parent.is_dir())
        raise UsageError(
            f"no such file or directory: {root}", code="no_such_path", hint=f"ls {shlex.quote(str(parent))}"
        )


def _reason(error: OSError) -> str:
    """Raises ResourceError if the process has no descriptors or memory left: the directory is not at fault."""
    if (lack := exhausted_resource(error)) is not None:
        raise lack from error
    return (error.strerror or str(error)).lower()
