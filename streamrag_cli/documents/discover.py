"""Finds the files to read under the paths that a person named, and says what it left out and why.

Left out: what is hidden, what git would ignore, what may hold secrets (`never_read`), what no loader knows, what is
not a regular file, and links that lead out of the path they were found under. A path that a person names is taken
whatever its name, also where another one leads past it. A directory that is left out is reported once and not entered.

Links are followed last, when everything that has a place of its own under the path has been found there: no file is
found twice, whichever of its names sorts first, and a loop ends where it began.
"""

import errno
import os
import shlex
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from streamrag_cli.documents.formats import is_supported
from streamrag_cli.documents.gitignore import IgnoreRules, rules_above
from streamrag_cli.documents.never_read import is_never_read
from streamrag_cli.errors import DocumentError, UsageError

SkipCode: TypeAlias = Literal[
    "hidden", "secret", "gitignored", "unsupported", "duplicate", "outside_root", "broken_link", "not_a_regular_file"
]

_REASONS: dict[SkipCode, str] = {
    "hidden": "hidden",
    "secret": "may hold secrets: read only if named",
    "gitignored": "ignored by .gitignore",
    "unsupported": "unsupported format",
    "duplicate": "a link to what was found elsewhere",
    "outside_root": "a link out of the directory",
    "broken_link": "a link to nothing",
    "not_a_regular_file": "not a regular file",
}
_EXPECTED: frozenset[SkipCode] = frozenset({"hidden", "secret", "gitignored", "unsupported", "duplicate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file to read. `path` is absolute, and spelled through links as it was reached; so is `root`, the path
    that a person named. `size` is in bytes, `mtime_ns` in nanoseconds since the epoch, both of a link's target.
    """

    path: Path
    root: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedPath:
    """A file or a whole directory that was left out.

    `expected` is true where a rule did what anyone would want, and false where a person might miss the file.
    """

    path: Path
    code: SkipCode
    reason: str
    expected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableDirectory:
    """A directory, or an entry of one, of which nothing could be learnt: what was known beneath it may still exist."""

    path: Path
    reason: str


Found: TypeAlias = FoundFile | SkippedPath | UnreadableDirectory


def discover(paths: Sequence[Path], *, include_hidden: bool = False) -> Iterator[Found]:
    """Yield what is under `paths`, in their order: each depth first by name, then what its links lead to.

    A file under several of the paths is yielded once. Only one directory's entries are held at a time, and the names
    of what was found. Raises `UsageError`, code `no_such_path`, before anything is yielded.
    """
    roots = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - resolve() would follow links
    for root in roots:
        _require(root)
    return _discover(roots, include_hidden)


def _discover(roots: Sequence[Path], include_hidden: bool) -> Iterator[Found]:
    named = frozenset(map(str, roots))
    seen: set[str] = set()
    for root in roots:
        try:
            status = root.stat()
            real = os.path.realpath(root, strict=True)
        except OSError as error:
            yield UnreadableDirectory(path=root, reason=_reason(error))
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _Walk(root=root, real_root=real, named=named, include_hidden=include_hidden, seen=seen).run()
        elif not stat.S_ISREG(status.st_mode):
            yield _skipped(str(root), "not_a_regular_file")
        elif real not in seen:
            seen.add(real)
            yield FoundFile(path=root, root=root, size=status.st_size, mtime_ns=status.st_mtime_ns)


@dataclass(slots=True)
class _Directory:
    """A directory to enter: its path as reached, its real path, and the rules that hold on its entries' parents."""

    path: str
    real: str
    rules: IgnoreRules


@dataclass(slots=True)
class _Walk:
    """One root's walk. `seen` has the real path of every file found and every directory entered, under any root;
    `named` has all the roots.
    """

    root: Path
    real_root: str
    named: frozenset[str]
    include_hidden: bool
    seen: set[str]
    links: deque[tuple[str, IgnoreRules]] = field(default_factory=deque)

    def run(self) -> Iterator[Found]:
        try:
            rules = rules_above(self.real_root)
        except DocumentError as error:
            yield UnreadableDirectory(path=self.root, reason=f".gitignore above it: {error.message}")
            return
        rules = rules.seen_from(self.real_root, as_path=str(self.root))
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
            with os.scandir(directory.path) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
            rules = directory.rules.entering(directory.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            return [UnreadableDirectory(path=Path(directory.path), reason=_reason(error))]
        except DocumentError as error:
            return [UnreadableDirectory(path=Path(directory.path), reason=f".gitignore: {error.message}")]
        judged = (self._judge(entry, directory, rules) for entry in entries)
        return [item for item in judged if item is not None]

    def _judge(self, entry: os.DirEntry[str], parent: _Directory, rules: IgnoreRules) -> _Directory | Found | None:
        try:
            is_link = entry.is_symlink()
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            return UnreadableDirectory(path=Path(entry.path), reason=_reason(error))
        is_directory, is_named = stat.S_ISDIR(status.st_mode), entry.path in self.named
        real = os.path.join(parent.real, entry.name)  # noqa: PTH118 - a Path for each entry is slow
        if real in self.seen or (is_link and is_named):  # a link that was named is followed when its turn comes
            return None
        left_out = None if is_named else self._left_out(entry.path, rules, directory=is_directory)
        if left_out:
            return _skipped(entry.path, left_out)
        if is_link:
            self.links.append((entry.path, rules))
            return None
        if is_directory:
            return _Directory(entry.path, real, rules)
        return self._file(entry.path, real, status)

    def _left_out(self, path: str, rules: IgnoreRules, *, directory: bool) -> SkipCode | None:
        name = path.rpartition("/")[2]
        if is_never_read(name, directory=directory):
            return "secret"
        if name.startswith(".") and not self.include_hidden:
            return "hidden"
        return "gitignored" if rules.ignores(path, directory=directory) else None

    def _file(self, path: str, real: str, status: os.stat_result) -> FoundFile | SkippedPath | None:
        if real in self.seen:
            return None
        if not stat.S_ISREG(status.st_mode):
            return _skipped(path, "not_a_regular_file")
        if path not in self.named and not is_supported(Path(path)):
            return _skipped(path, "unsupported")
        self.seen.add(real)
        return FoundFile(path=Path(path), root=self.root, size=status.st_size, mtime_ns=status.st_mtime_ns)

    def _follow(self, link: str, rules: IgnoreRules) -> Iterator[Found]:
        try:
            real = os.path.realpath(link, strict=True)
            status = os.stat(real)  # noqa: PTH116 - a str already
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}:
                yield _skipped(link, "broken_link")
            else:
                yield UnreadableDirectory(path=Path(link), reason=_reason(error))
            return
        is_directory = stat.S_ISDIR(status.st_mode)
        if real != self.real_root and not real.startswith(self.real_root.rstrip("/") + "/"):
            yield _skipped(link, "outside_root")
        elif self._leads_to_a_secret(real, directory=is_directory):
            yield _skipped(link, "secret")
        elif real in self.seen:
            yield _skipped(link, "duplicate")
        elif is_directory:
            yield from self._descend(_Directory(link, real, rules))
        elif found := self._file(link, real, status):
            yield found

    def _leads_to_a_secret(self, real: str, *, directory: bool) -> bool:
        *parents, name = os.path.relpath(real, self.real_root).split("/")
        return is_never_read(name, directory=directory) or any(is_never_read(each, directory=True) for each in parents)


def is_gone(path: Path) -> bool:
    """Whether nothing is there. What cannot be looked at may well be, and `discover` says what is wrong with it."""
    try:
        path.stat()
    except OSError as error:
        return error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
    return False


def _require(root: Path) -> None:
    if is_gone(root):
        parent = next(parent for parent in root.parents if parent.is_dir())
        raise UsageError(
            f"no such file or directory: {root}", code="no_such_path", hint=f"ls {shlex.quote(str(parent))}"
        )


def _skipped(path: str, code: SkipCode) -> SkippedPath:
    return SkippedPath(path=Path(path), code=code, reason=_REASONS[code], expected=code in _EXPECTED)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
