"""Decides which directory entries are ignored by git's rules, `.streamragignore` and `--exclude`.

Three sets of patterns apply. The first is git's: `.gitignore` in each directory, `.git/info/exclude` and
`core.excludesFile`. The second is in `.streamragignore` files, which work in the same way without git. The third
consists of the patterns in `--exclude`.

Libraries that match whole paths cannot be used: they ignore a file if a pattern matches a directory above it. In git,
a `!pattern` in a deeper ignore file can include that directory again, and its files are then matched separately. Here
each entry is matched separately, from the top down, and ignored directories are not entered. A test compares the result
with git on random trees.

As in git, ignore files that are not regular files have no effect, and a nested work tree does not inherit the rules of
the outer one.
"""

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from streamrag_cli.documents.git_config import git_excludes
from streamrag_cli.documents.ignore_patterns import Rule, parse_rule, parse_rules
from streamrag_cli.documents.read import read_file
from streamrag_cli.errors import DocumentError, UsageError

GIT_IGNORE_FILE: Final = ".gitignore"
OWN_IGNORE_FILE: Final = ".streamragignore"
IGNORE_FILE_LIMIT_BYTES: Final = 1_000_000

IgnoreCode: TypeAlias = Literal["gitignored", "streamragignored", "excluded"]


@dataclass(frozen=True, slots=True)
class _RuleSets:
    """Rules of one kind that apply in one directory, as `sets` in the order of increasing precedence.

    Each set applies to paths relative to its own directory. It consists of the number of bytes to remove from the
    beginning of an absolute path, the names to put before the rest, and the rules.
    """

    sets: tuple[tuple[int, tuple[bytes, ...], tuple[Rule, ...]], ...] = ()

    def ignores(self, path: str, *, directory: bool) -> bool:
        """Whether the entry at the absolute `path` is ignored. Call this only if no directory above it is ignored."""
        if not self.sets:
            return False
        encoded = os.fsencode(path)
        for cut, prefix, rules in reversed(self.sets):
            names = (*prefix, *encoded[cut:].split(b"/"))
            for rule in reversed(rules):
                if (directory or not rule.directories_only) and rule.matches(names):
                    return rule.ignores
        return False

    def adding(self, directory: str, rules: tuple[Rule, ...]) -> "_RuleSets":
        return _RuleSets((*self.sets, (_length_below(directory), (), rules))) if rules else self

    def relocated(self, directory: str, *, as_path: str) -> "_RuleSets":
        names = os.fsencode(directory)
        return _RuleSets(
            tuple((_length_below(as_path), tuple(names[cut:].split(b"/")), rules) for cut, _, rules in self.sets)
        )


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules that apply in one directory. `environment` locates the user's git configuration.

    Without `reads_git`, git's rules have no effect.
    """

    environment: Mapping[str, str] | None = None
    git: _RuleSets = field(default_factory=_RuleSets)
    own: _RuleSets = field(default_factory=_RuleSets)
    excluded: _RuleSets = field(default_factory=_RuleSets)
    fold_case: bool = False
    reads_git: bool = True

    def ignores(self, path: str, *, directory: bool) -> IgnoreCode | None:
        """Return why the entry at the absolute `path` is skipped, or None.

        The caller must have checked that no directory above it is skipped.
        """
        if self.git.ignores(path, directory=directory):
            return "gitignored"
        if self.own.ignores(path, directory=directory):
            return "streamragignored"
        return "excluded" if self.excluded.ignores(path, directory=directory) else None

    def entering(self, directory: str, real: str, descriptor: int | None = None) -> "IgnoreRules":
        """Return the rules that apply inside `directory`, whose resolved path is `real`.

        `descriptor` is a file descriptor for the directory, or None. Raises `DocumentError` if an ignore file in the
        directory cannot be read.
        """
        is_work_tree = self.reads_git and _is_work_tree(real, descriptor)
        rules = self._in_work_tree(directory, real) if is_work_tree else self
        of_git = _rules_in(real, GIT_IGNORE_FILE, descriptor, fold_case=rules.fold_case) if self.reads_git else ()
        of_own = _rules_in(real, OWN_IGNORE_FILE, descriptor)
        if not (of_git or of_own):
            return rules
        return replace(rules, git=rules.git.adding(directory, of_git), own=rules.own.adding(directory, of_own))

    def _in_work_tree(self, directory: str, real: str) -> "IgnoreRules":
        excludes = git_excludes(real, self.environment)
        git = _RuleSets()
        if excludes.user:
            with contextlib.suppress(DocumentError):  # like git: the file may belong to another user
                git = git.adding(directory, _rules_at(excludes.user, fold_case=excludes.fold_case))
        git = git.adding(directory, _rules_at(excludes.repository, fold_case=excludes.fold_case))
        return replace(self, git=git, fold_case=excludes.fold_case)

    def excluding(self, root: str, rules: tuple[Rule, ...]) -> "IgnoreRules":
        """Add the `rules` from `--exclude`, which apply to paths relative to `root`. Returns the combined rules."""
        return replace(self, excluded=_RuleSets().adding(root, rules))

    def relocated(self, directory: str, *, as_path: str) -> "IgnoreRules":
        """Return these rules for entries of `directory` that are reached through the link `as_path`."""
        git, own = (sets.relocated(directory, as_path=as_path) for sets in (self.git, self.own))
        return replace(self, git=git, own=own)


def rules_above(directory: str, environment: Mapping[str, str] | None = None) -> IgnoreRules:
    """Return the rules that the directories above the resolved path `directory` define for it.

    Git's rules apply only below the root of a work tree. Raises `DocumentError` if an ignore file cannot be read.
    """
    above = [str(parent) for parent in Path(directory).parents]
    inside: list[str] = []
    if not _is_work_tree(directory, None):
        work_tree = next((parent for parent in above if _is_work_tree(parent, None)), None)
        inside = above[: above.index(work_tree) + 1] if work_tree else []
    rules = IgnoreRules(environment)
    for ancestor in reversed(above):
        if ancestor in inside:
            rules = rules.entering(ancestor, ancestor)
        else:
            rules = replace(rules, own=rules.own.adding(ancestor, _rules_in(ancestor, OWN_IGNORE_FILE, None)))
    return rules


def exclude_rules(patterns: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules for the `--exclude` patterns. Raises UsageError `bad_pattern` if one cannot match anything."""
    rules: list[Rule] = []
    for pattern in patterns:
        line = os.fsencode(pattern)
        rule = parse_rule(b"\\" + line if line.startswith(b"#") else line)
        if rule is None:
            raise UsageError(
                f"pattern {pattern!r} cannot match any file",
                code="bad_pattern",
                hint="streamrag ingest --exclude 'drafts/' PATH",
            )
        rules.append(rule)
    return tuple(rules)


def is_excluded(root: Path, roots: Collection[Path], excluded: tuple[Rule, ...], *, directory: bool) -> bool:
    """Whether `--exclude` patterns exclude `root`, a path that the user named.

    If it is below another root, patterns are relative to that root. Otherwise a file is matched by its name, and a
    directory is never excluded.
    """
    above = [other for other in roots if other in root.parents]
    if not above and directory:
        return False
    top = min(above, key=lambda other: len(other.parts), default=root.parent)
    rules = IgnoreRules().excluding(str(top), excluded)
    between = [parent for parent in root.parents if top in parent.parents]
    return any(rules.ignores(str(parent), directory=True) for parent in between) or (
        rules.ignores(str(root), directory=directory) is not None
    )


def _is_work_tree(real: str, descriptor: int | None) -> bool:
    try:
        if descriptor is None:
            os.lstat(os.path.join(real, ".git"))  # noqa: PTH118 - called for every directory
        else:
            os.stat(".git", dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return False
    return True


def _length_below(directory: str) -> int:
    return len(os.fsencode(directory).rstrip(b"/")) + 1


def _rules_in(real: str, name: str, descriptor: int | None, *, fold_case: bool = False) -> tuple[Rule, ...]:
    """Return the rules in the ignore file `name` in a directory. The file is not read if it is a link."""
    path = Path(name) if descriptor is not None else Path(real, name)
    try:
        data = read_file(path, limit_bytes=IGNORE_FILE_LIMIT_BYTES, follow_links=False, directory=descriptor).data
    except DocumentError as error:
        if error.code in {"vanished", "not_a_regular_file", "replaced_by_link"}:
            return ()
        raise DocumentError(f"{name}: {error.message}", code=error.code) from error
    return parse_rules(data, fold_case=fold_case)


def _rules_at(path: Path, *, fold_case: bool) -> tuple[Rule, ...]:
    try:
        data = read_file(path, limit_bytes=IGNORE_FILE_LIMIT_BYTES).data
    except DocumentError as error:
        if error.code in {"vanished", "not_a_regular_file"}:
            return ()
        raise DocumentError(f"{path}: {error.message}", code=error.code) from error
    return parse_rules(data, fold_case=fold_case)
