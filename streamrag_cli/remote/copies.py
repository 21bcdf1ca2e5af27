"""The copies of remote documents, in a folder in the state directory that only the user can read.

    STATE/copies/STORE/COLLECTION/ROOT/
        metadata.json      what is known about the root, such as its commit; replaced atomically
        lock               held while an ingest changes the copy
        files/             the copies
        dry-run/           copies that are removed at the end of a dry run
        incomplete/        copies from another collection, until all of them have been written

STORE and ROOT are hashes. A source may keep other files in its root's folder. A root's copies are removed with the
root, and a collection's copies with the collection.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamrag_cli.addresses import Address
from streamrag_cli.errors import DocumentError
from streamrag_cli.regular_files import read_regular_file, replacing

_MAX_METADATA_BYTES: Final = 256_000_000
_LOCK_LIMIT_S: Final = 30.0
DRY_RUN: Final = "dry-run"
_METADATA: Final = "metadata.json"
_LOCK: Final = "lock"
_INCOMPLETE: Final = "incomplete"
_NOT_COPIED: Final = (_LOCK, DRY_RUN, _INCOMPLETE)


@dataclass(frozen=True, slots=True)
class Copy:
    """The copies of one root's documents."""

    root: Address
    directory: Path

    @property
    def files(self) -> Path:
        return self.directory / "files"

    @property
    def exists(self) -> bool:
        """Whether the root was fetched on this machine."""
        return bool(self.metadata())

    def metadata(self) -> dict[str, Any]:
        """The metadata that `save` stored; empty if it is missing or damaged."""
        try:
            metadata = json.loads(read_regular_file(self.directory / _METADATA, _MAX_METADATA_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return metadata if isinstance(metadata, dict) and metadata.get("address") == self.root.text else {}

    def save(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata atomically. Raises OSError."""
        self.write(_METADATA, json.dumps({"address": self.root.text, **metadata}).encode())

    def write(self, name: str, data: bytes) -> Path:
        """Write the file `name`, relative to the root's folder, atomically. Returns its path. Raises OSError."""
        file = self.directory / name
        make_private_directory(file.parent)
        with replacing(file) as opened:
            opened.write(data)
        return file

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within the block, no other ingest changes the copy. Raises DocumentError `copy_busy`, OSError."""
        make_private_directory(self.directory)
        descriptor = os.open(self.directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            ends_at = time.monotonic() + _LOCK_LIMIT_S
            while not _try_lock(descriptor):
                if time.monotonic() > ends_at:
                    raise DocumentError("another ingest is fetching this address", code="copy_busy", retryable=True)
                time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Copies:
    """One collection's copies."""

    directory: Path

    @classmethod
    def of(cls, state_directory: str, store: str, collection: str) -> "Copies":
        """The copies for a collection in the store with this address.

        Raises DocumentError if there is no state directory.
        """
        if not state_directory:
            message = "there is no state directory in which to keep copies of remote documents"
            raise DocumentError(message, code="no_state_directory")
        return cls(Path(state_directory, "copies", _hashed(store), collection))

    def at(self, root: Address) -> Copy:
        return Copy(root, self.directory / _hashed(root.text))

    def copy_to(self, other: "Copies", roots: Iterable[Address]) -> None:
        """Copy these roots' files to another collection, whose copies of the roots are replaced. Raises OSError.

        Raises DocumentError `copy_busy` if an ingest is changing one of them.
        """
        for root in roots:
            source, target = self.at(root), other.at(root)
            if not source.exists:
                continue
            with source.locked(), target.locked():
                incomplete = target.directory / _INCOMPLETE
                shutil.rmtree(incomplete, ignore_errors=True)
                shutil.copytree(source.directory, incomplete, ignore=shutil.ignore_patterns(*_NOT_COPIED))
                for each in target.directory.iterdir():
                    if each.name not in _NOT_COPIED:
                        shutil.rmtree(each) if each.is_dir() else each.unlink()
                for each in sorted(incomplete.iterdir(), key=lambda each: each.name == _METADATA):
                    each.rename(target.directory / each.name)  # the metadata last, because it marks a complete copy
                incomplete.rmdir()

    def tidy(self, roots: Iterable[Address], *, recorded: Collection[Address]) -> None:
        """Remove the copies for any `roots` that are not recorded, and dry-run copies of recorded roots.

        Copies for other roots stay, because another ingest may be fetching a root that it has not recorded yet.
        """
        for root in roots:
            copy = self.at(root)
            shutil.rmtree(copy.directory / DRY_RUN if root in recorded else copy.directory, ignore_errors=True)
        self._remove_if_empty()

    def keep_only(self, roots: Iterable[Address]) -> None:
        """Remove the copies of all roots except these."""
        recorded = {_hashed(root.text) for root in roots}
        with suppress(OSError):
            for each in list(self.directory.iterdir()):
                if each.name not in recorded:
                    shutil.rmtree(each, ignore_errors=True)
        self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        with suppress(OSError):
            self.directory.rmdir()
            self.directory.parent.rmdir()


def make_private_directory(directory: Path) -> None:
    """Create a directory and its missing parents, all accessible only to the user. Raises OSError."""
    for each in [*reversed(directory.parents), directory]:
        if not each.is_dir():
            with suppress(FileExistsError):
                each.mkdir(mode=0o700)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]
