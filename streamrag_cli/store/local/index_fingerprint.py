"""Whether Chroma's index files are still the ones that were written.

Chroma reads a damaged index without complaint, or takes the interpreter down with it, so it is not asked: what
the files were at a writer's clean end is noted in the catalog. From a writer's first change to its clean end
nothing is noted. Chroma's database is not among the files: opening it to read already changes it.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

from streamrag_cli.errors import StoreError
from streamrag_cli.store.interface import damaged
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.system_errors import refusal

# Chroma saves an index from its thousandth vector on; before, its files are blanks, and differ each time it is opened.
_MARKER: Final = "index_metadata.pickle"
_DIGEST: Final = "vector_files"
_STAMPS: Final = "vector_stamps"


def note(catalog: Catalog, vectors: Path) -> None:
    """Note the files in Chroma's directory as they are now."""
    with catalog.transaction():
        catalog.set_meta(_STAMPS, _stamps(vectors))
        catalog.set_meta(_DIGEST, _digest(vectors))


def forget(catalog: Catalog) -> None:
    """They are about to change."""
    if are_recorded(catalog):
        catalog.set_meta(_DIGEST, "")


def are_recorded(catalog: Catalog) -> bool:
    """Whether the last writer came to a clean end."""
    return bool(noted(catalog))


def noted(catalog: Catalog) -> str:
    return catalog.meta(_DIGEST) or ""


def are_unchanged(catalog: Catalog, vectors: Path) -> bool:
    """True also where nothing is noted. Reads the files only where their sizes or times differ, as in a copy.

    Raises StoreError if the system does not let them be read, which says nothing about what is in them.
    """
    try:
        return (
            not are_recorded(catalog) or catalog.meta(_STAMPS) == _stamps(vectors) or noted(catalog) == _digest(vectors)
        )
    except OSError as error:
        if refused := refusal(vectors, error):
            raise refused from error
        return False


def damaged_vectors(vectors: Path, why: str) -> StoreError:
    return damaged(f"the vectors in {vectors} are damaged: {why}")


def _stamps(vectors: Path) -> str:
    status = {file.name: file.stat() for file in _saved(vectors)}
    return " ".join(f"{name}:{each.st_size}:{each.st_mtime_ns}" for name, each in status.items())


def _digest(vectors: Path) -> str:
    seen = hashlib.sha256()
    for path in _saved(vectors):
        with path.open("rb") as file:
            seen.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return seen.hexdigest()


def _saved(vectors: Path) -> list[Path]:
    """Raises OSError if a directory cannot be looked into: `glob` would pass it over."""
    indexes = [Path(each.path) for each in os.scandir(vectors) if each.is_dir()]
    return sorted(file for index in indexes for file in _files_of(index))


def _files_of(index: Path) -> list[Path]:
    files = list(index.iterdir())
    return files if any(each.name == _MARKER for each in files) else []
