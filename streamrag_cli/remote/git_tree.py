"""Writes the files in a commit into a folder, without `git checkout`.

The repository's filters, hooks and attributes therefore have no effect. Only regular files are created: symbolic links
and submodules are left out. Files in unsupported formats become empty files, and files that are too large become files
of the same size without content, because they are never read.
"""

import errno
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final, Self

from streamrag_cli.documents.discovery_results import SkipCode
from streamrag_cli.documents.formats import is_supported
from streamrag_cli.errors import DocumentError
from streamrag_cli.remote.copies import make_private_directory
from streamrag_cli.remote.git_program import MAX_BYTES, git_command, run_git

_MAX_FILES: Final = 200_000
_MAX_FOLDERS: Final = 100
"""The maximum number of folders in a path. With a thousand, creating the folders of many files takes hours, and
`shutil.rmtree` cannot remove them."""
_LIMIT_S: Final = 120.0
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_MAX_POINTER_BYTES: Final = 1024
_MODES: Final[Mapping[bytes, SkipCode]] = {b"120000": "link_in_repository", b"160000": "submodule"}
_RULES: Final = frozenset({".streamragignore", "CACHEDIR.TAG"})
"""Files that discovery reads, although they are not documents."""
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """An entry in a commit. `path` is relative to the repository, and may contain lone surrogates."""

    path: str
    mode: bytes
    blob: str
    size: int


@dataclass(slots=True)
class WrittenTree:
    """The result of `write_tree`, by path: blobs of written files, codes for skipped paths, reasons for failures."""

    blobs: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, SkipCode] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def entries_of(repository: Path, commit: str, folder: str, environment: Mapping[str, str]) -> list[TreeEntry]:
    """The entries in a commit at or below `folder`. Raises DocumentError, OSError."""
    listed = run_git(
        ["ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--", *([folder] if folder else [])],
        repository,
        environment,
        limit_s=_LIMIT_S,
    )
    if listed.count(b"\0") > _MAX_FILES:  # a tree that contains another one many times can list millions of files
        raise DocumentError(
            f"the repository has more than {_MAX_FILES:,} files; ingest one of its folders instead", code="too_large"
        )
    entries = []
    for line in listed.split(b"\0"):
        if line:
            fields, _, path = line.partition(b"\t")
            mode, _, blob, size = fields.split()
            entries.append(TreeEntry(os.fsdecode(path), mode, blob.decode(), int(size) if size.isdigit() else 0))
    return entries


def write_tree(
    entries: list[TreeEntry],
    blobs: "Blobs",
    folder: Path,
    *,
    limit_bytes: int,
    commit_time_s: int,
    former: tuple[Path, Mapping[str, str]],
    named: str,
) -> WrittenTree:
    """Write the entries below `folder`, which must be empty. The file `named` is written regardless of its format.

    `former` is the folder with the files from an earlier commit, and their blobs. Files that have not changed are
    linked from there. The modification time of a new file is the time of the commit, with nanoseconds that depend on
    the content. Raises DocumentError, OSError.
    """
    tree = WrittenTree()
    seconds = max(0, min(commit_time_s, int(time.time())))
    total = 0
    for entry in entries:
        reason = _why_invalid(entry.path)
        if entry.mode in _MODES:
            tree.skipped[entry.path] = _MODES[entry.mode]
        elif reason:
            tree.failed[entry.path] = reason
        else:
            path = PurePath(entry.path)
            is_read = entry.path == named or path.name in _RULES or is_supported(path, with_ocr=False)
            has_content = entry.size <= limit_bytes and is_read
            total += entry.size if has_content else 0
            if total > MAX_BYTES:
                raise DocumentError(f"the files are larger than {MAX_BYTES / 1e9:g} GB in total", code="too_large")
            modified_ns = seconds * _NANOSECONDS + int(entry.blob[:12], 16) % _NANOSECONDS
            is_linked = former[1].get(entry.path) == entry.blob and (former[0] / entry.path).is_file()
            content = blobs.read(entry) if has_content and not is_linked else None
            if content is not None and len(content) < _MAX_POINTER_BYTES and content.startswith(_LFS_POINTER):
                tree.skipped[entry.path] = "lfs_pointer"
                continue
            try:
                file = folder / entry.path
                make_private_directory(file.parent)
                if is_linked:
                    os.link(former[0] / entry.path, file, follow_symlinks=False)
                else:
                    is_too_large = entry.size > limit_bytes and is_supported(file)
                    _write(file, content, size=entry.size if is_too_large else 0, modified_ns=modified_ns)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                tree.failed[entry.path] = "the file name differs from that of another file only in case"
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                tree.failed[entry.path] = "the file name is too long"
            else:
                tree.blobs[entry.path] = entry.blob
    return tree


def _write(file: Path, content: bytes | None, *, size: int, modified_ns: int) -> None:
    """Write a new file. Without `content`, the file has `size` bytes that occupy no disk space. Raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        if content is not None:
            opened.write(content)
        elif size:
            opened.truncate(size)
    os.utime(file, ns=(modified_ns, modified_ns))


def _why_invalid(path: str) -> str:
    parts = path.split("/")
    if any(part in {"", ".", ".."} or part.casefold().rstrip(". ") == ".git" for part in parts):
        return "the file name is not allowed"
    if len(parts) - 1 > _MAX_FOLDERS:
        return f"the file is in more than {_MAX_FOLDERS} nested folders"
    return ""


class Blobs:
    """Reads blobs from a repository with one `git` process."""

    def __init__(self, repository: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            git_command("cat-file", "--batch"),
            cwd=repository,
            env={**environment, "GIT_CEILING_DIRECTORIES": str(repository.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def read(self, entry: TreeEntry) -> bytes:
        """Return the content of a file in the repository. Raises DocumentError `git_failed`."""
        requests, replies = self._process.stdin, self._process.stdout
        if requests is None or replies is None:
            raise DocumentError("git's output cannot be read", code="git_failed")
        try:
            requests.write(f"{entry.blob}\n".encode())
            requests.flush()
            header = replies.readline(200).split()
            if len(header) != 3 or header[1] != b"blob" or int(header[2]) != entry.size:
                raise DocumentError("the repository is damaged", code="git_failed")
            content = replies.read(entry.size)
            replies.read(1)
        except (OSError, ValueError):
            raise DocumentError("the repository is damaged", code="git_failed") from None
        if len(content) != entry.size:
            raise DocumentError("the repository is damaged", code="git_failed")
        return content
