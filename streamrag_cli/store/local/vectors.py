"""Reads and writes vectors in Chroma. Only this module, `chroma_bindings` and `integrity_checks` call Chroma.

Vectors are added through `langchain-chroma`, so that any LangChain program can open the collection. Readers use only
Chroma's Rust bindings, because a question would otherwise wait for the import of chromadb.
`tests/store/test_vectors.py` checks that both return the same results. Methods return cosines (1 means the same
direction) instead of Chroma's distances.
"""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from streamrag_cli.errors import StreamragError
from streamrag_cli.regular_files import require_regular_files
from streamrag_cli.store.interface import FloatArray, ScoredIds
from streamrag_cli.store.local.chroma_bindings import RustCollection, outside_working_directory
from streamrag_cli.store.local.index_fingerprint import damaged_vectors
from streamrag_cli.store.local.lock import exclusive, not_writable
from streamrag_cli.store.local.private_copy import PrivateCopy, is_writable
from streamrag_cli.store.time_limit import TimeLimit
from streamrag_cli.system_errors import (
    cannot_open,
    exhausted_resource,
    exhausted_resource_in,
    reached_file_size_limit,
    refusal,
    require_resources,
)

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection as ChromaCollection

_DATABASE: Final = "chroma.sqlite3"
AT_A_TIME: Final = 2000  # Chroma refuses more than 5461 records in one call
_THOROUGHNESS: Final = 4
_LEAST_NAME_CHARS: Final = 3
_COSINE: Final = {"hnsw": {"space": "cosine"}}
_WRITE_ERRORS: Final = ("disk is full", "readonly", "read-only", "no space left", "permission denied", "unable to open")
_SQLITE_PREFIX: Final = re.compile(r"^.*error returned from database: \(code: \d+\) ")
"""Chroma's words before the message of SQLite."""
_MIN_FREE_BYTES: Final = 8 << 20
_opening = Lock()
_open_paths: set[str] = set()


VectorCheck: TypeAlias = Callable[[Sequence[str], FloatArray], None]


class Vectors:
    """One Chroma collection in its own directory, open for reading.

    Raises StoreError: `store_damaged` if Chroma cannot read its files or does not find the vectors in them,
    `store_not_writable`, `store_busy` if another process has locked the files for too long, or the error of `limit` if
    it expires before the files can be opened.
    """

    _create = False
    _writes = False
    _copy: PrivateCopy | None = None

    def __init__(self, directory: Path, name: str, limit: TimeLimit | None = None) -> None:
        self._directory = directory
        self._name = chroma_name(name)
        self._lock_file = directory.with_name("vectors.lock")
        if not self._create and not self._has_database():
            raise damaged_vectors(directory, f"the file {_DATABASE} is missing")
        with exclusive(self._lock_file, limit), self._translate_errors():
            require_resources()
            self._collection = self._open()
            try:
                self._loaded = self._load()
            except BaseException:
                self._close()
                raise

    def _has_database(self) -> bool:
        try:
            return require_regular_files(self._directory / _DATABASE)
        except OSError as error:
            if refused := refusal(self._directory, error):
                raise refused from error
            raise damaged_vectors(self._directory, error.strerror or str(error)) from error

    def _open(self) -> "RustCollection | ChromaCollection":
        database = self._directory / _DATABASE
        if is_writable(database):
            return RustCollection(self._directory, self._name)
        self._copy = PrivateCopy()
        try:
            # No other process writes to the collection, because this process holds the lock that writers need.
            self._copy.add(database, *(database.with_name(_DATABASE + each) for each in ("-journal", "-wal")))
            self._copy.link_indexes(self._directory)
            return RustCollection(self._copy.directory, self._name)
        except BaseException:
            self._copy.close()
            raise

    def _close(self) -> None:
        cast("RustCollection", self._collection).close()
        if self._copy is not None:
            self._copy.close()

    def _load(self) -> int:
        """Make Chroma load its index while no other process can write to it. Return the number of vectors."""
        self._collection.get(limit=1, include=["embeddings"])
        return self._collection.count()

    def close(self) -> None:
        with self._translate_errors():
            self._close()

    def count(self) -> int:
        with self._translate_errors():
            return self._collection.count()

    def ids(self) -> set[str]:
        with self._translate_errors():
            return set(self._collection.get(include=[])["ids"])

    def nearest(self, vector: FloatArray, limit: int) -> ScoredIds:
        """Return the ids of the nearest chunks with their cosines to `vector`, which has unit length, best first.

        The search is approximate. Raises `store_damaged` if it finds fewer than half of the expected vectors: Chroma
        does not report missing index files.
        """
        with self._translate_errors():
            expected = min(limit, self._loaded)
            if not expected:
                return []
            hits = self._query(vector, expected)
            if len(hits) < expected:
                # Another process may have deleted vectors. Counting is slower than searching, so it is done only now.
                expected = min(expected, self._collection.count())
        if len(hits) < expected / 2:
            raise damaged_vectors(self._directory, f"the index finds only {len(hits)} of {expected} vectors")
        return hits

    def nearest_of(self, vector: FloatArray, ids: Sequence[str], limit: int) -> ScoredIds:
        """Like `nearest`, but searches only chunks with these ids. Unknown ids are ignored. This takes 50 to 100 ms.

        More results than `limit` are requested, because that makes Chroma search its index more thoroughly.
        """
        hits: ScoredIds = []
        with self._translate_errors():
            for start in range(0, len(ids), AT_A_TIME):
                part = ids[start : start + AT_A_TIME]
                hits += self._query(vector, min(len(part), _THOROUGHNESS * limit), part)
        return sorted(hits, key=lambda each: (-each[1], each[0]))[:limit]

    def _query(self, vector: FloatArray, limit: int, ids: Sequence[str] | None = None) -> ScoredIds:
        result = self._collection.query(
            query_embeddings=vector[None, :],
            n_results=limit,
            include=["distances"],
            ids=None if ids is None else list(ids),
        )
        hit_ids, distances = result["ids"][0], result["distances"]
        if distances is None:
            return []
        return [(each, 1.0 - distance) for each, distance in zip(hit_ids, distances[0], strict=True)]

    def cosines(self, vector: FloatArray, ids: Sequence[str], check: "VectorCheck | None" = None) -> dict[str, float]:
        """The exact cosine of each id to `vector`, which has unit length. Unknown ids are left out.

        `check` is called with the ids and vectors that were read, and may raise.
        """
        import numpy as np

        read_ids, matrix = self._read(ids)
        if not read_ids:
            return {}
        if check:
            check(read_ids, matrix)
        # Chroma rounds the stored vectors, so divide by their length.
        values = matrix @ vector / np.maximum(np.linalg.norm(matrix, axis=1), 1e-12)
        return dict(zip(read_ids, values.tolist(), strict=True))

    def get(self, ids: Sequence[str], check: "VectorCheck | None" = None) -> dict[str, FloatArray]:
        """The vectors with these ids. Unknown ids are left out. `check` is called as in `cosines`."""
        vectors: dict[str, FloatArray] = {}
        for start in range(0, len(ids), AT_A_TIME):
            read_ids, matrix = self._read(ids[start : start + AT_A_TIME])
            if check and read_ids:
                check(read_ids, matrix)
            vectors |= dict(zip(read_ids, matrix, strict=True))
        return vectors

    def _read(self, ids: Sequence[str]) -> tuple[list[str], FloatArray]:
        import numpy as np

        if not ids:
            return [], np.zeros((0, 1), dtype=np.float32)  # Chroma rejects an empty list
        with self._translate_errors():
            stored = self._collection.get(ids=list(ids), include=["embeddings"])
        if not stored["ids"]:
            return [], np.zeros((0, 1), dtype=np.float32)
        try:
            matrix = np.asarray(stored["embeddings"], dtype=np.float32).reshape(len(stored["ids"]), -1)
        except ValueError as error:
            raise damaged_vectors(self._directory, "the vectors have different dimensions") from error
        return list(stored["ids"]), matrix

    def unsaved(self) -> dict[str, bytes] | None:
        """The bytes of all vectors that are not in a saved index yet; None if the database is locked.

        Chroma saves its index every 1,000 vectors. Before that, a vector is in Chroma's database; afterwards it is only
        in the index.
        """
        directory = self._copy.directory if self._copy else self._directory
        uri = f"{(directory / _DATABASE).absolute().as_uri()}?mode=ro"
        vectors: dict[str, bytes] = {}
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=5)) as database:
                for chunk_id, vector in database.execute("SELECT id, vector FROM embeddings_queue ORDER BY seq_id"):
                    vectors.pop(chunk_id, None)
                    if vector is not None:  # a deletion has no vector
                        vectors[chunk_id] = vector
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                return None
            raise self._as_store_error(str(error)) from error
        return vectors

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except StreamragError:
            raise
        except OSError as error:
            refused = refusal(self._directory, error, writing=self._writes)
            raise refused or damaged_vectors(self._directory, error.strerror or str(error)) from error
        except BaseException as error:
            if resource_error := exhausted_resource(error):
                raise resource_error from error
            # A Rust panic in Chroma is a BaseException whose class cannot be imported.
            if type(error).__module__.startswith("chromadb") or type(error).__name__ == "PanicException":
                raise self._as_store_error(str(error)) from error
            raise

    def _as_store_error(self, message: str) -> StreamragError:
        first_line = message.strip().splitlines()[0] if message.strip() else "unreadable"
        if resource_error := exhausted_resource_in(message):
            return resource_error
        if os_error := self._os_error():
            return os_error
        if limit_error := reached_file_size_limit(self._directory):
            return limit_error
        if any(words in message.lower() for words in _WRITE_ERRORS):
            return not_writable(self._directory, _SQLITE_PREFIX.sub("", first_line))
        # Chroma writes even when it reads, and few of its messages mention a full disk.
        if self._directory.exists() and shutil.disk_usage(self._directory).free < _MIN_FREE_BYTES:
            return not_writable(self._directory, f"the disk is full ({first_line})")
        return damaged_vectors(self._directory, first_line)

    def _os_error(self) -> StreamragError | None:
        """The error if one of the files cannot be opened. Chroma's own messages rarely include the reason."""
        for each in (self._directory / _DATABASE, *self._directory.glob("*/*")):
            if refused := cannot_open(each, self._directory, writing=self._writes):
                return refused
        return None


def best_of(ids: Sequence[str], matrix: FloatArray, vector: FloatArray, limit: int) -> ScoredIds:
    """The `limit` ids whose rows of `matrix` have the highest cosines to `vector`, best first.

    `vector` and the rows have unit length.
    """
    import numpy as np

    cosines = matrix @ vector if ids else np.zeros(0, dtype=np.float32)
    return [(ids[row], float(cosines[row])) for row in np.argsort(-cosines, kind="stable")[:limit]]


def chroma_name(collection: str) -> str:
    """The name of a collection in Chroma, which requires at least 3 characters.

    >>> chroma_name("docs"), chroma_name("a")
    ('docs', 'a-collection')
    """
    return collection if len(collection) >= _LEAST_NAME_CHARS else f"{collection}-collection"


class WritableVectors(Vectors):
    """A Chroma collection, open for reading and writing. With `create`, it is created if it does not exist."""

    _writes = True

    def __init__(self, directory: Path, name: str, *, create: bool = False) -> None:
        self._create = create
        super().__init__(directory, name)

    def _open(self) -> "ChromaCollection":
        self._client = _open(self._directory)
        try:
            self._writable = self._get_collection()
        except BaseException:
            self._close()
            raise
        return self._writable

    def _get_collection(self) -> "ChromaCollection":
        # Without `embedding_function=None`, Chroma would execute a function that another program may have stored.
        if self._create:
            return self._client.get_or_create_collection(
                self._name,
                embedding_function=None,
                configuration=_COSINE,  # type: ignore[arg-type]
            )
        return self._client.get_collection(self._name, embedding_function=None)

    def _close(self) -> None:
        _close(self._client)

    def add(
        self,
        ids: Sequence[str],
        texts: Sequence[str],
        metadatas: Sequence[dict[str, Any]],
        vectors: FloatArray,
    ) -> None:
        """Write `vectors`, whose shape is (len(ids), dimension). Existing vectors with the same ids are replaced."""
        from langchain_chroma import Chroma  # imports 0.3 s more than chromadb; only ingest needs it

        for start in range(0, len(ids), AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            with exclusive(self._lock_file), self._translate_errors():
                Chroma(
                    client=self._client,
                    collection_name=self._name,
                    embedding_function=_PrecomputedVectors(vectors[part]),  # type: ignore[arg-type]
                    collection_configuration=_COSINE,  # type: ignore[arg-type]
                ).add_texts(list(texts[part]), metadatas=list(metadatas[part]), ids=list(ids[part]))
                self._loaded = self._collection.count()

    def delete(self, ids: Sequence[str]) -> None:
        """Delete vectors. Unknown ids are ignored."""
        for start in range(0, len(ids), AT_A_TIME):
            with exclusive(self._lock_file), self._translate_errors():
                self._writable.delete(ids=list(ids[start : start + AT_A_TIME]))


class _PrecomputedVectors:
    """An embedding function that returns existing vectors, so that `langchain-chroma` does not compute them again."""

    def __init__(self, vectors: FloatArray) -> None:
        self._vectors = vectors

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if len(texts) != len(self._vectors):
            raise ValueError("the number of vectors differs from the number of texts")
        return list(self._vectors)  # each row serves as a list, which avoids creating 384 objects per row


def _open(directory: Path) -> "Client":
    with _opening, outside_working_directory():
        import chromadb  # imports in 0.6 s
        from chromadb.config import Settings

        # Within a process, clients with the same path share their settings and loaded index, so a second client would
        # see the old state. Each client therefore gets a different spelling of the path.
        spellings = (f"{directory}{'/.' * repeats}" for repeats in count(1))
        path = next(each for each in spellings if each not in _open_paths)
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            anonymized_telemetry=False,
            chroma_api_impl="chromadb.api.rust.RustBindingsAPI",
            is_persistent=True,
            persist_directory=path,
        )
        client = cast("Client", chromadb.PersistentClient(path=path, settings=settings))
        _open_paths.add(path)
        return client


def _close(client: "Client") -> None:
    with _opening:
        path = client.get_settings().persist_directory
        client.close()
        _open_paths.discard(path)


def load_chroma() -> None:
    """Import the libraries that the first write needs."""
    import chromadb  # noqa: F401 - as below
    import chromadb_rust_bindings  # noqa: F401
    import langchain_chroma  # noqa: F401
