"""Reads Chroma collections through its Rust bindings, without importing chromadb.

Importing chromadb takes 0.55 s and 50 MB, because it loads an HTTP client, gRPC, OpenTelemetry and every embedding
function, which a question does not need. The bindings are not a stable API. `pyproject.toml` therefore allows only
chromadb releases with known bindings, and `tests/store/test_core.py` compares their results with chromadb's.
"""

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from streamrag_cli.store.interface import FloatArray

_DATABASE: Final = ("default_tenant", "default_database")
_FILES_PER_INDEX: Final = 5


class RustCollection:
    """A Chroma collection for reading. Its methods have the same names and results as `chromadb.Collection`."""

    def __init__(self, directory: Path, name: str) -> None:
        """Open the collection `name`. `directory` must be writable, because opening Chroma's database writes to it."""
        import chromadb_rust_bindings as core  # imports in 70 ms

        if Path(".env").exists():
            _import_errors()
        max_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._core = core.Bindings(
            allow_reset=False,
            sqlite_db_config=core.SqliteDBConfig(
                hash_type=core.MigrationHash.MD5,
                migration_mode=core.MigrationMode.Apply,
                url=str(directory / "chroma.sqlite3"),
            ),
            persist_path=str(directory),
            hnsw_cache_size=max_files // _FILES_PER_INDEX,
        )
        self._id = str(self._core.get_collection(name, *_DATABASE).id)

    def close(self) -> None:
        """Close the collection's files. No other method may be called afterwards."""
        del self._core

    def count(self) -> int:
        return int(self._core.count(self._id, *_DATABASE))

    def get(
        self, ids: Sequence[str] | None = None, *, limit: int | None = None, include: Sequence[str] = ()
    ) -> dict[str, Any]:
        id_list = None if ids is None else list(ids)
        result = self._core.get(self._id, id_list, None, limit, 0, None, list(include), *_DATABASE)
        return {"ids": result.ids, **{each: getattr(result, each) for each in include}}

    def query(
        self, query_embeddings: FloatArray, *, n_results: int, include: Sequence[str], ids: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Search for the nearest vectors. `query_embeddings` has the shape (questions, dimension).

        Each value of the result has one list per question.
        """
        result = self._core.query(
            self._id, ids, list(query_embeddings), n_results, None, None, list(include), *_DATABASE
        )
        return {"ids": result.ids, **{each: getattr(result, each) for each in include}}


def _import_errors() -> None:
    """Import `chromadb.errors` early, with `/` as the working directory.

    Otherwise the bindings import it when they first raise an error. That import reads `.env` from the working
    directory, and the bindings abort the process if it fails.
    """
    with outside_working_directory():
        import chromadb.errors  # noqa: F401


@contextmanager
def outside_working_directory() -> Iterator[None]:
    """Change to `/` during the `with` block, because importing chromadb reads `.env` from the working directory."""
    try:
        home = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # the working directory no longer exists, so it has no `.env` either
        yield
        return
    try:
        os.chdir("/")
        yield
    finally:
        os.fchdir(home)
        os.close(home)
