"""What a walk over a folder says of each entry: a file to read, or what was left out and why."""

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
    "secret": "possible secret (its name); name it explicitly to ingest it",
    "gitignored": "ignored by git",
    "streamragignored": "ignored by .streamragignore",
    "excluded": "excluded",
    "generated": "generated or vendored; name it explicitly to ingest it",
    "unsupported": "unsupported format",
    "duplicate": "link to a path already found",
    "outside_root": "link that leads out of the folder",
    "broken_link": "broken link",
    "not_a_regular_file": "not a regular file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file to read. `name` is its absolute path, spelled through links as it was reached; so is `root`, the
    path that a person named. `real` is where it was found to be; what is read is opened by that.

    Those of a whole tree are held at once, so paths are strings, and `real` is `name` itself where no link is in it.
    """

    name: str
    root: Path
    real: str
    is_named: bool = False
    suspicion: Suspicion = ""

    @property
    def path(self) -> Path:
        return Path(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedPath:
    """A file or a whole directory that was left out; `name` as that of a `FoundFile`."""

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
    """A directory, or an entry of one, of which nothing could be learnt: what was known beneath it may still exist."""

    path: Path
    reason: str


Found: TypeAlias = FoundFile | SkippedPath | UnreadableDirectory
