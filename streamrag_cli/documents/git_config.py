"""Determines from git's configuration which files contain a user's and a repository's ignore patterns.

The configuration is parsed without running git, because an untrusted repository could make git run other programs. This
parser reads only the names of pattern files.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streamrag_cli.documents.ignore_patterns import parse_rule
from streamrag_cli.documents.read import read_file
from streamrag_cli.errors import DocumentError

_LIMIT_BYTES: Final = 1 << 20
_MAX_INCLUDE_DEPTH: Final = 10
_SYSTEM_CONFIG: Final = "/etc/gitconfig"
_SECTION: Final = re.compile(r'[ \t]*\[[ \t]*([-.\w]+)(?:[ \t]+"((?:[^"\\\n]|\\.)*)")?[ \t]*\]')
_KEY: Final = re.compile(r"[ \t]*([A-Za-z][-A-Za-z0-9]*)[ \t]*(=?)[ \t]*")
_VALUE_PART: Final = re.compile(r'(?P<comment>[#;].*)|\\(?P<escaped>\n|.)|(?P<quote>")|(?P<blank>[ \t]+)|(?P<plain>.)')
_ESCAPES: Final = {"n": "\n", "t": "\t", "b": "\b", "\n": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitExcludes:
    """The ignore files of one work tree besides `.gitignore`. The repository's file takes precedence.

    `fold_case` is git's `core.ignoreCase`.
    """

    user: Path | None
    repository: Path
    fold_case: bool


def git_excludes(work_tree: str, environment: Mapping[str, str] | None) -> GitExcludes:
    """Return the ignore files besides `.gitignore` that git reads for the work tree with the resolved root `work_tree`.

    `environment` locates the user's configuration. If it is None, the user's configuration is ignored.
    """
    git_directory = _git_directory(Path(work_tree))
    common = _common_directory(git_directory)
    settings = _Settings(git_directory, environment or {})
    for path in _user_files(environment) if environment is not None else ():
        settings.read(path)
    settings.read(common / "config")
    if settings.values.get("extensions.worktreeconfig", "").lower() in {"true", "yes", "on", "1"}:
        settings.read(git_directory / "config.worktree")
    settings.values.update(_from_environment(environment or {}))
    return GitExcludes(
        user=_user_excludes(settings, Path(work_tree), environment),
        repository=common / "info" / "exclude",
        fold_case=settings.values.get("core.ignorecase", "").lower() in {"true", "yes", "on", "1"},
    )


def _git_directory(work_tree: Path) -> Path:
    """Return `.git`, or the directory that it names if it is a file, as in a linked work tree or a submodule."""
    dot_git = work_tree / ".git"
    if dot_git.is_dir():
        return dot_git
    pointer = _text_of(dot_git)
    return work_tree / pointer.removeprefix("gitdir:").strip() if pointer.startswith("gitdir:") else dot_git


def _common_directory(git_directory: Path) -> Path:
    shared = _text_of(git_directory / "commondir").strip()
    return git_directory / shared if shared else git_directory


def _user_files(environment: Mapping[str, str]) -> Iterator[Path]:
    if environment.get("GIT_CONFIG_NOSYSTEM", "").lower() not in {"1", "true", "yes", "on"}:
        yield Path(environment.get("GIT_CONFIG_SYSTEM") or _SYSTEM_CONFIG)
    if "GIT_CONFIG_GLOBAL" in environment:
        yield Path(environment["GIT_CONFIG_GLOBAL"])
        return
    if directory := _config_directory(environment):
        yield directory / "config"
    if environment.get("HOME"):
        yield Path(environment["HOME"], ".gitconfig")


def _config_directory(environment: Mapping[str, str]) -> Path | None:
    if environment.get("XDG_CONFIG_HOME"):
        return Path(environment["XDG_CONFIG_HOME"], "git")
    return Path(environment["HOME"], ".config", "git") if environment.get("HOME") else None


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    count = environment.get("GIT_CONFIG_COUNT", "")
    for number in range(int(count) if count.isdecimal() and len(count) < 4 else 0):
        yield environment.get(f"GIT_CONFIG_KEY_{number}", "").lower(), environment.get(f"GIT_CONFIG_VALUE_{number}", "")


def _user_excludes(settings: "_Settings", work_tree: Path, environment: Mapping[str, str] | None) -> Path | None:
    excludes_file = settings.values.get("core.excludesfile")
    if excludes_file is not None:
        return work_tree / settings.expanded(excludes_file) if excludes_file else None
    directory = _config_directory(environment or {})
    return directory / "ignore" if directory else None


@dataclass(slots=True)
class _Settings:
    """Collects git settings by their lower-case name `section.key`. If a name is set twice, the last value wins."""

    git_directory: Path
    environment: Mapping[str, str]
    values: dict[str, str] = field(default_factory=dict)

    def read(self, path: Path, depth: int = 0) -> None:
        """Read one configuration file and the files that it includes. An unreadable file counts as empty."""
        for section, subsection, key, value in _parse(_text_of(path)):
            if key == "path" and self._includes(section, subsection, path) and depth < _MAX_INCLUDE_DEPTH:
                self.read(path.parent / self.expanded(value), depth + 1)
            elif not subsection:
                self.values[f"{section}.{key}"] = value

    def expanded(self, path: str) -> str:
        home = self.environment.get("HOME", "")
        if home and (path == "~" or path.startswith("~/")):
            return home + path[1:]
        if path.startswith("~"):
            try:
                return str(Path(path).expanduser())
            except RuntimeError:
                return path
        return path

    def _includes(self, section: str, condition: str, path: Path) -> bool:
        if section == "include":
            return not condition
        kind, _, pattern = condition.partition(":")
        if section != "includeif" or not pattern:
            return False
        if kind == "onbranch":
            head = _text_of(self.git_directory / "HEAD").strip()
            branch = head.removeprefix("ref: refs/heads/")
            return branch != head and _fits(pattern, branch)
        if kind not in {"gitdir", "gitdir/i"}:
            return False
        pattern = self.expanded(pattern)
        if pattern.startswith("./"):
            pattern = str(path.parent.resolve()) + pattern[1:]
        pattern = pattern if pattern.startswith("/") else f"**/{pattern}"
        return _fits(pattern, str(self.git_directory.resolve()), fold_case=kind == "gitdir/i")


def _fits(pattern: str, path: str, *, fold_case: bool = False) -> bool:
    pattern = pattern + "**" if pattern.endswith("/") else pattern
    rule = parse_rule(b"/" + pattern.encode("utf-8", "surrogateescape").removeprefix(b"/"), fold_case=fold_case)
    names = path.encode("utf-8", "surrogateescape").removeprefix(b"/").split(b"/")
    return rule is not None and rule.matches(names)


def _parse(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield the section, subsection, key and value of each setting before the first invalid line."""
    section = subsection = ""
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n\ufeff":
            at += 1
        elif text[at] in "#;":
            at = (text.find("\n", at) + 1) or len(text)
        elif header := _SECTION.match(text, at):
            section, _, dotted = header[1].lower().partition(".")
            subsection = re.sub(r"\\(.)", r"\1", header[2]) if header[2] is not None else dotted
            at = header.end()
        elif key := _KEY.match(text, at):
            value, at = _value(text, key.end()) if key[2] else ("true", (text.find("\n", at) + 1) or len(text))
            yield section, subsection, key[1].lower(), value
        else:
            return


def _value(text: str, at: int) -> tuple[str, int]:
    """Return the value that begins at offset `at`, and the offset at which its line ends."""
    value: list[str] = []
    blanks = ""
    quoted = False
    while part := _VALUE_PART.match(text, at):
        at = part.end()
        if part["quote"]:
            quoted = not quoted
        elif part["comment"] and not quoted:
            break
        elif part["comment"]:
            value, at = [*value, blanks, part[0][0]], part.start() + 1
            blanks = ""
        elif part["blank"] and not quoted:
            blanks += part[0]
        else:
            escaped = part["escaped"]
            value += [blanks, part[0] if escaped is None else _ESCAPES.get(escaped, escaped)]
            blanks = ""
    return "".join(value).rstrip("\r"), at


def _text_of(path: Path) -> str:
    try:
        return read_file(path, limit_bytes=_LIMIT_BYTES).data.decode("utf-8", "surrogateescape")
    except (DocumentError, ValueError):
        return ""
