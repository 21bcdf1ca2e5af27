"""The results of discovery: files to read, skipped paths with the reason, and unreadable directories."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from streamrag_cli.documents.secret_names import Suspicion

SkipCode: TypeAlias = Literal[
    "hidden", "secret", "gitignored", "streamragignored", "excluded", "generated", "unsupported", "duplicate",
    "outside_root", "broken_link", "not_a_regular_file",
]  # fmt: skip

_REASONS: dict[SkipCode, str] = {
    "hidden": "hidden",
    "secret": "possible secret (a suspicious name); pass its path to ingest it",
    "gitignored": "ignored by git",
    "streamragignored": "ignored by .streamragignore",
    "excluded": "excluded",
    "generated": "generated or vendored; pass its path to ingest it",
    "unsupported": "unsupported format",
    "duplicate": "link to a path that was already found",
    "outside_root": "link to a path outside the folder",
    "broken_link": "broken link",
    "not_a_regular_file": "not a regular file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file to read.

    `name` is its absolute path as it was reached, possibly through links; `root` is the path that the user named.
    `real` is the resolved path, by which the file is opened. The results of a whole tree are held in memory together,
    so paths are strings, and `real` is the same object as `name` if the path contains no links.
    `checks_secrets` is False if the user named the file in this command, so that it is read even if it is a secret.
    If `is_current`, the caller of `discover` knows that the stored document is up to date.
    """

    name: str
    root: Path
    real: str
    is_named: bool = False
    checks_secrets: bool = True
    suspicion: Suspicion = ""
    is_current: bool = False

    @property
    def path(self) -> Path:
        return Path(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedPath:
    """A file or a whole directory that was skipped. `name` is its absolute path as it was reached."""

    name: str
    code: SkipCode

    @property
    def path(self) -> Path:
        return Path(self.name)

    @property
    def reason(self) -> str:
        return _REASONS[self.code]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableDirectory:
    """A directory or entry that could not be read. Stored documents from it are kept: their files may still exist."""

    path: Path
    reason: str


DiscoveryResult: TypeAlias = FoundFile | SkippedPath | UnreadableDirectory
