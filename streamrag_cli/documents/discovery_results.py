"""The results of discovery: files to read, skipped paths with their reasons, and unreadable directories."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, TypeAlias

from streamrag_cli.addresses import Location, is_address, location
from streamrag_cli.documents.formats import unsupported_reason
from streamrag_cli.documents.secret_names import Suspicion

SkipCode: TypeAlias = Literal[
    "hidden", "secret", "gitignored", "streamragignored", "excluded", "generated", "unsupported", "duplicate",
    "outside_root", "broken_link", "not_a_regular_file", "link_in_repository", "submodule", "lfs_pointer",
    "robots", "same_page", "outside_address", "dead_link",
]  # fmt: skip

_REASONS: dict[SkipCode, str] = {
    "hidden": "hidden file or folder",
    "secret": "possible secret (a suspicious name); pass its path to ingest it",
    "gitignored": "ignored by git",
    "streamragignored": "ignored by .streamragignore",
    "excluded": "excluded by an --exclude pattern",
    "generated": "generated or vendored content; pass its path to ingest it",
    "duplicate": "link to a path that has already been found",
    "outside_root": "link to a path outside the folder",
    "broken_link": "broken link",
    "not_a_regular_file": "not a regular file",
    "link_in_repository": "symbolic link in a repository",
    "submodule": "submodule; ingest the submodule's repository instead",
    "robots": "the site's robots.txt disallows the page",
    "dead_link": "the linked page does not exist",
    "same_page": "the page is a duplicate of another page",
    "outside_address": "the page redirects to an address that is not below PATH",
    "lfs_pointer": "stored with Git LFS; the repository contains only a pointer to the file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file to read.

    - `name`: the file's address, or its absolute path, which may contain links.
    - `root`: the path or address that the user named.
    - `real`: the resolved path of the file, or of the copy of a document from an address.
    - `checks_secrets`: False if the user named the file in this command, so that it is read even if it is a secret.
    - `is_current`: True if the stored document is known to be up to date.

    The results of a whole tree are in memory at the same time. To save memory, paths are strings, and `real` is the
    same object as `name` if the path contains no links.
    """

    name: str
    root: Location
    real: str
    is_named: bool = False
    checks_secrets: bool = True
    suspicion: Suspicion = ""
    is_current: bool = False

    @property
    def path(self) -> Location:
        return location(self.name)

    @property
    def format_path(self) -> PurePath:
        """The path whose name determines the format."""
        return PurePath(self.real if is_address(self.name) else self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedPath:
    """A skipped file or directory. `name` is its address or its absolute path, which may contain links."""

    name: str
    code: SkipCode

    @property
    def path(self) -> Location:
        return location(self.name)

    @property
    def reason(self) -> str:
        return unsupported_reason(PurePath(self.name)) if self.code == "unsupported" else _REASONS[self.code]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableDirectory:
    """A directory, directory entry or address that could not be read. It counts as a failed document.

    Stored documents at or below `path` are kept, because their files may still exist. `code` is an error code or "".
    """

    path: Location
    reason: str
    code: str = ""


DiscoveryResult: TypeAlias = FoundFile | SkippedPath | UnreadableDirectory
