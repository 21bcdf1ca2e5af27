"""What a walk over a folder says of each entry: a file to read, or what was left out and why."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from streamrag_cli.documents.never_read import Suspicion

SkipCode: TypeAlias = Literal[
    "hidden", "secret", "gitignored", "streamragignored", "excluded", "generated", "unsupported", "duplicate",
    "outside_root", "broken_link", "not_a_regular_file",
]  # fmt: skip

_REASONS: dict[SkipCode, str] = {
    "hidden": "hidden",
    "secret": "possible secret (its name): read only if named",
    "gitignored": "ignored by git",
    "streamragignored": "ignored by .streamragignore",
    "excluded": "excluded",
    "generated": "generated or vendored: read only if named",
    "unsupported": "unsupported format",
    "duplicate": "a link to what was found elsewhere",
    "outside_root": "a link out of the directory",
    "broken_link": "a link to nothing",
    "not_a_regular_file": "not a regular file",
}
_UNEXPECTED: frozenset[SkipCode] = frozenset({"outside_root", "broken_link", "not_a_regular_file"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file to read. `path` is absolute, and spelled through links as it was reached; so is `root`, the path
    that a person named. `real` is where it was found to be; what is read is opened by that. `size` is in bytes,
    `mtime_ns` in nanoseconds since the epoch, both of a link's target.
    """

    path: Path
    root: Path
    real: Path
    size: int
    mtime_ns: int
    is_named: bool = False
    suspicion: Suspicion = ""


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


def found_file(
    path: str | Path,
    root: Path,
    real: str,
    status: os.stat_result,
    *,
    is_named: bool = False,
    suspicion: Suspicion = "",
) -> FoundFile:
    return FoundFile(
        path=Path(path),
        root=root,
        real=Path(real),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        is_named=is_named,
        suspicion=suspicion,
    )


def skipped(path: str, code: SkipCode) -> SkippedPath:
    return SkippedPath(path=Path(path), code=code, reason=_REASONS[code], expected=code not in _UNEXPECTED)
