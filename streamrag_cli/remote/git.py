"""Files from git repositories, such as `git+https://host/owner/repo@main//docs`.

The copy of a root has the fetched commit in `repository.git` and its files in `files/`. If the branch or tag still has
the same commit, an ingest costs one `git ls-remote`. The files are then found by the rules for folders, except that
`.gitignore` has no effect: files in a repository are not ignored.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from streamrag_cli.addresses import Address
from streamrag_cli.documents.discover import discover as discover_files
from streamrag_cli.documents.discovery_results import DiscoveryResult, FoundFile, SkippedPath, UnreadableDirectory
from streamrag_cli.errors import DocumentError
from streamrag_cli.remote.address import GitAddress, git_address
from streamrag_cli.remote.copies import Copy, make_private_directory
from streamrag_cli.remote.git_program import git_environment, run_git
from streamrag_cli.remote.git_tree import Blobs, entries_of, write_tree
from streamrag_cli.remote.sources import FetchOptions

_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LS_REMOTE_LIMIT_S: Final = 30.0
_FETCH_LIMIT_S: Final = 900.0
_LOCAL_LIMIT_S: Final = 60.0
_MAX_PACKS: Final = 20
"""If a copy has more packs, it is fetched again from scratch, which drops the objects from earlier commits."""
_HEAD: Final = "refs/streamrag/head"


def discover(root: Address, copy: Copy, options: FetchOptions) -> Iterator[DiscoveryResult]:
    """Fetch the repository if its commit has changed, and yield its files. Raises DocumentError, OSError.

    If it cannot be fetched, the failure and the files from the last fetched commit are yielded.
    """
    where = git_address(root)
    failure: DocumentError | None = None
    with copy.locked():
        try:
            _update(where, copy, options)
        except DocumentError as error:
            failure = error
        metadata = copy.metadata()
    if failure is not None:
        yield UnreadableDirectory(path=root, reason=failure.message, code=failure.code)
    if metadata.get("commit") and copy.files.is_dir():
        yield from _documents(root, where, copy, metadata, options)


def _update(where: GitAddress, copy: Copy, options: FetchOptions) -> None:
    environment = git_environment(options.environment, where.url.partition("://")[0])
    metadata = copy.metadata()
    name, commit = _resolve(where, copy.directory, environment)
    known = metadata.get("commit") if copy.files.is_dir() else None
    if known == commit and metadata.get("limit_bytes") == options.limit_bytes:
        return
    repository = _repository(copy)
    if known != commit or not repository.is_dir():
        commit = _fetch(where.url, name, repository, environment)
    _extract(where, copy, commit, former=metadata if known else {}, options=options, environment=environment)


def _repository(copy: Copy) -> Path:
    return copy.directory / "repository.git"


def _resolve(where: GitAddress, directory: Path, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the full name and the commit of the branch or tag in an address. Raises DocumentError."""
    ref = where.ref
    if _COMMIT.fullmatch(ref):
        return ref, ref
    names = [f"refs/heads/{ref}", f"refs/tags/{ref}"] if ref and ref != "HEAD" else ["HEAD"]
    names += [ref] if ref.startswith("refs/") else []
    patterns = [pattern for name in names for pattern in (name, f"{name}^{{}}")]
    listed = run_git(
        ["ls-remote", "--", where.url, *patterns], directory, environment, limit_s=_LS_REMOTE_LIMIT_S
    ).decode("utf-8", "surrogateescape")
    commits = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
    for name in names:
        commit = commits.get(f"{name}^{{}}") or commits.get(name, "")
        if _COMMIT.fullmatch(commit):
            return name, commit
    message = f"the repository has no branch or tag named {ref}" if ref else "the repository has no commits"
    raise DocumentError(message, code="no_such_ref")


def _fetch(url: str, name: str, repository: Path, environment: Mapping[str, str]) -> str:
    """Fetch the last commit of `name`, without its history. Returns the commit. Raises DocumentError, OSError."""
    packs = repository / "objects" / "pack"
    if packs.is_dir() and sum(1 for each in packs.iterdir() if each.suffix == ".pack") > _MAX_PACKS:
        shutil.rmtree(repository)
    is_new = not packs.is_dir()
    if is_new:
        shutil.rmtree(repository, ignore_errors=True)
        make_private_directory(repository)
        run_git(["init", "--quiet", "--bare", "--template="], repository, environment, limit_s=_LOCAL_LIMIT_S)
    arguments = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
    try:
        run_git([*arguments, "--force", "--", url, f"+{name}:{_HEAD}"], repository, environment, limit_s=_FETCH_LIMIT_S)
        resolved = run_git(
            ["rev-parse", "--verify", "--quiet", f"{_HEAD}^{{commit}}"], repository, environment, limit_s=_LOCAL_LIMIT_S
        )
    except DocumentError:
        shutil.rmtree(repository, ignore_errors=True)  # it may be damaged, or too large
        if is_new:
            raise
        return _fetch(url, name, repository, environment)
    return resolved.decode().strip()


def _extract(
    where: GitAddress,
    copy: Copy,
    commit: str,
    *,
    former: Mapping[str, Any],
    options: FetchOptions,
    environment: Mapping[str, str],
) -> None:
    """Replace the files in the copy with the files in a commit. Raises DocumentError, OSError."""
    repository, limit_bytes = _repository(copy), options.limit_bytes
    entries = entries_of(repository, commit, where.folder, environment)
    if not entries:
        what = f"folder or file named {where.folder}" if where.folder else "files"
        missing = f"the repository has no {what}"
        raise DocumentError(missing, code="no_such_folder")
    time_s = run_git(["show", "-s", "--format=%ct", commit], repository, environment, limit_s=_LOCAL_LIMIT_S).strip()
    new, old = copy.directory / "files.new", copy.directory / "files.old"
    for each in (new, old):
        shutil.rmtree(each, ignore_errors=True)
    make_private_directory(new)
    same_limit = former.get("limit_bytes") == limit_bytes
    with Blobs(repository, environment) as blobs:
        tree = write_tree(
            entries,
            blobs,
            new,
            limit_bytes=limit_bytes,
            commit_time_s=int(time_s) if time_s.isdigit() else 0,
            former=(copy.files, former.get("blobs", {}) if same_limit else {}),
            named=where.folder,
        )
    if where.folder and not (new / where.folder).exists():
        make_private_directory(new / where.folder)
    copy.save({})  # if this is interrupted, the next ingest writes the files again
    if copy.files.is_dir():
        copy.files.rename(old)
    new.rename(copy.files)
    shutil.rmtree(old, ignore_errors=True)
    copy.save(
        {
            "commit": commit,
            "limit_bytes": limit_bytes,
            "blobs": tree.blobs,
            "skipped": tree.skipped,
            "failed": tree.failed,
        }
    )


def _documents(
    root: Address, where: GitAddress, copy: Copy, metadata: Mapping[str, Any], options: FetchOptions
) -> Iterator[DiscoveryResult]:
    files = os.path.realpath(copy.files)

    def address_of(path: str) -> str:
        file = path.removeprefix(files).strip("/")
        return where.name_of(file) if file != where.folder or Path(path).is_file() else root.text

    for path, code in metadata["skipped"].items():
        yield SkippedPath(name=where.name_of(path), code=code)
    for path, reason in metadata["failed"].items():
        yield UnreadableDirectory(path=Address(where.name_of(path)), reason=reason)
    for result in discover_files([Path(files, where.folder)], exclude=options.exclude, is_repository=True):
        match result:
            case FoundFile():
                name = address_of(result.name)
                yield replace(result, name=name, root=root, checks_secrets=True)
            case SkippedPath():
                yield replace(result, name=address_of(result.name))
            case UnreadableDirectory():
                yield replace(result, path=Address(address_of(str(result.path))))
