"""Chroma's core, opened for reading without the package around it.

chromadb is a Python package around a core in Rust, and importing the package costs 0.55 s and 50 MB: an HTTP client,
gRPC, OpenTelemetry, every embedding function. A question needs none of it. The core does not promise to stay as it is,
so `pyproject.toml` admits only those releases of chromadb whose core this is, and `tests/store/test_core.py` holds it
to what the package answers.
"""

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from streamrag_cli.store.interface import FloatArray

_WHERE: Final = ("default_tenant", "default_database")
_FILES_OF_AN_INDEX: Final = 5


class RustCollection:
    """A collection, with those of its methods that read, named and answering as those of `chromadb.Collection`."""

    def __init__(self, directory: Path, name: str) -> None:
        """`directory` must be writable: the core writes when it opens its database."""
        import chromadb_rust_bindings as core  # 70 ms

        if Path(".env").exists():
            _import_errors()
        most_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._core = core.Bindings(
            allow_reset=False,
            sqlite_db_config=core.SqliteDBConfig(
                hash_type=core.MigrationHash.MD5,
                migration_mode=core.MigrationMode.Apply,
                url=str(directory / "chroma.sqlite3"),
            ),
            persist_path=str(directory),
            hnsw_cache_size=most_files // _FILES_OF_AN_INDEX,
        )
        self._id = str(self._core.get_collection(name, *_WHERE).id)

    def close(self) -> None:
        """Let go of the files; nothing else may be called any more."""
        del self._core

    def count(self) -> int:
        return int(self._core.count(self._id, *_WHERE))

    def get(
        self, ids: Sequence[str] | None = None, *, limit: int | None = None, include: Sequence[str] = ()
    ) -> dict[str, Any]:
        listed = None if ids is None else list(ids)
        found = self._core.get(self._id, listed, None, limit, 0, None, list(include), *_WHERE)
        return {"ids": found.ids, **{each: getattr(found, each) for each in include}}

    def query(self, query_embeddings: FloatArray, *, n_results: int, include: Sequence[str]) -> dict[str, Any]:
        """`query_embeddings` has the shape (questions, dimension); what is found is a list for each question."""
        found = self._core.query(self._id, None, list(query_embeddings), n_results, None, None, list(include), *_WHERE)
        return {"ids": found.ids, **{each: getattr(found, each) for each in include}}


def _import_errors() -> None:
    """The core's errors are the package's, which it imports to raise the first one; if it cannot, it aborts.

    That import would read a `.env` of the working directory. Where there is one it is made beforehand, from elsewhere.
    """
    with outside_working_directory():
        import chromadb.errors  # noqa: F401


@contextmanager
def outside_working_directory() -> Iterator[None]:
    """chromadb reads `.env` from the working directory while it is imported; nobody asked for that file."""
    try:
        home = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # the working directory is gone, so there is no file in it either
        yield
        return
    try:
        os.chdir("/")
        yield
    finally:
        os.fchdir(home)
        os.close(home)
