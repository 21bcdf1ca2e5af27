"""Detects whether Chroma's index files have changed since they were written.

Chroma cannot check its own index: it reads a damaged one without an error, or crashes the interpreter. A writer
therefore records a fingerprint of the index files in the catalog when it ends cleanly, and clears it before its first
change. The fingerprint does not include Chroma's database, because opening it changes it, even for reading.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

from streamrag_cli.errors import StoreError
from streamrag_cli.store.interface import damaged
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.system_errors import refusal

# Chroma saves an index once it has 1,000 vectors. Before that, its files are empty and change whenever they are opened.
_MARKER: Final = "index_metadata.pickle"
_DIGEST: Final = "vector_files"
_STAMPS: Final = "vector_stamps"


def record(catalog: Catalog, vectors: Path) -> None:
    """Record the fingerprint of the current index files in the catalog."""
    with catalog.transaction():
        catalog.set_meta(_STAMPS, _stamps(vectors))
        catalog.set_meta(_DIGEST, _digest(vectors))


def clear(catalog: Catalog) -> None:
    """Remove the recorded fingerprint, because the index files are about to change."""
    if are_recorded(catalog):
        catalog.set_meta(_DIGEST, "")


def are_recorded(catalog: Catalog) -> bool:
    """Whether a fingerprint is recorded, which means that the last writer ended cleanly."""
    return bool(recorded(catalog))


def recorded(catalog: Catalog) -> str:
    return catalog.meta(_DIGEST) or ""


def are_unchanged(catalog: Catalog, vectors: Path, *, reads_files: bool = False) -> bool:
    """Whether the index files match the recorded fingerprint. True if none is recorded.

    The files are read only if their sizes or time stamps differ, as in a copy, or if `reads_files` is set. Raises
    StoreError if the files cannot be read, which does not mean that they are damaged.
    """
    try:
        return _are_regular_files(vectors) and (
            not are_recorded(catalog)
            or (not reads_files and catalog.meta(_STAMPS) == _stamps(vectors))
            or recorded(catalog) == _digest(vectors)
        )
    except OSError as error:
        if refused := refusal(vectors, error):
            raise refused from error
        return False


def damaged_vectors(vectors: Path, why: str) -> StoreError:
    return damaged(f"the vectors in {vectors} are damaged: {why}")


def _are_regular_files(vectors: Path) -> bool:
    """Whether no directory is a link, and the index directories contain only regular files.

    Chroma would wait forever if it opened a pipe, and would overwrite the target of a link.
    """
    indexes = [Path(each.path) for each in os.scandir(vectors) if each.is_dir()]
    if any(each.is_symlink() for each in (vectors.parent, vectors, *indexes)):
        return False
    return all(each.is_file(follow_symlinks=False) for index in indexes for each in os.scandir(index))


def _stamps(vectors: Path) -> str:
    status = {file.name: file.stat() for file in _saved(vectors)}
    # Programs cannot set the time of the last status change, so it differs even in a copy that preserves other times.
    return " ".join(f"{name}:{each.st_size}:{each.st_mtime_ns}:{each.st_ctime_ns}" for name, each in status.items())


def _digest(vectors: Path) -> str:
    digest = hashlib.sha256()
    for path in _saved(vectors):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _saved(vectors: Path) -> list[Path]:
    """The saved index files. Unlike `glob`, this raises OSError if a directory cannot be read."""
    indexes = [Path(each.path) for each in os.scandir(vectors) if each.is_dir()]
    return sorted(file for index in indexes for file in _files_of(index))


def _files_of(index: Path) -> list[Path]:
    files = list(index.iterdir())
    return files if any(each.name == _MARKER for each in files) else []
