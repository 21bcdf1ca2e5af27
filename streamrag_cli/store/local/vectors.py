"""Vectors in Chroma, and everything that has to be known about Chroma.

Writing goes through `langchain-chroma`, so that any LangChain program can open the same collection. Reading uses
Chroma's core alone, since a question would wait for the rest of chromadb to be imported; `tests/store/test_vectors.py`
holds both to the same answer. A distance never leaves this module: callers see cosines, 1 for the same direction.
"""

import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from streamrag_cli.errors import StreamragError
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
    refusal,
    require_resources,
)

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection as ChromaCollection

_DATABASE: Final = "chroma.sqlite3"
AT_A_TIME: Final = 2000  # Chroma refuses more than 5461 records in one call
_COSINE: Final = {"hnsw": {"space": "cosine"}}
_REFUSALS: Final = ("disk is full", "readonly", "read-only", "no space left", "permission denied", "unable to open")
_ROOM_BYTES: Final = 8 << 20
_opening = Lock()
_open_paths: set[str] = set()


class Vectors:
    """One Chroma collection in a directory of its own, open for reading.

    Raises StoreError: `store_damaged` where Chroma cannot read its files or does not find what it holds,
    `store_not_writable` and, where another process holds the files for long, `store_busy`, or what `limit` raises if
    that is over before the files can be opened.
    """

    _create = False
    _writes = False
    _copy: PrivateCopy | None = None

    def __init__(self, directory: Path, name: str, limit: TimeLimit | None = None) -> None:
        self._directory = directory
        self._name = name
        self._lock_file = directory.with_name("vectors.lock")
        if not self._create and not self._has_database():
            raise damaged_vectors(directory, "its database is missing")
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
            return stat.S_ISREG((self._directory / _DATABASE).stat().st_mode)
        except OSError as error:
            if refused := refusal(self._directory, error):
                raise refused from error
            return False

    def _open(self) -> "RustCollection | ChromaCollection":
        database = self._directory / _DATABASE
        if is_writable(database):
            return RustCollection(self._directory, self._name)
        self._copy = PrivateCopy()
        try:
            # Nobody else writes to it: this process holds the lock that a writer holds for each of its batches.
            self._copy.take(database, *(database.with_name(_DATABASE + each) for each in ("-journal", "-wal")))
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
        """Have Chroma load its index now, while no other process writes to it; return how many vectors that has."""
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
        """Ids with their cosine, best first; `vector` has unit length.

        The search is approximate. One that finds next to nothing although there is enough to find means that
        index files are gone: Chroma says nothing of that.
        """
        with self._translate_errors():
            wanted = min(limit, self._loaded)
            if not wanted:
                return []
            found = self._collection.query(
                query_embeddings=vector[None, :],
                n_results=wanted,
                include=["distances"],
            )
            ids, distances = found["ids"][0], found["distances"]
            if len(ids) < wanted:
                # Only now, as counting takes longer than searching: another process may have deleted vectors since.
                wanted = min(wanted, self._collection.count())
        if distances is None or len(ids) < wanted / 2:
            raise damaged_vectors(self._directory, f"its index finds {len(ids)} of {wanted} vectors")
        return [(each, 1.0 - distance) for each, distance in zip(ids, distances[0], strict=True)]

    def cosines(self, vector: FloatArray, ids: Sequence[str]) -> dict[str, float]:
        """The exact cosine of each id to `vector`, which has unit length; ids that are not there are left out."""
        import numpy as np

        if not ids:
            return {}  # Chroma refuses to look for nothing
        with self._translate_errors():
            found = self._collection.get(ids=list(ids), include=["embeddings"])
        if not found["ids"]:
            return {}
        matrix = np.asarray(found["embeddings"], dtype=np.float32)
        # Chroma keeps what it is given, but for rounding; the length is divided out to be exact.
        values = matrix @ vector / np.maximum(np.linalg.norm(matrix, axis=1), 1e-12)
        return dict(zip(found["ids"], values.tolist(), strict=True))

    def get(self, ids: Sequence[str]) -> dict[str, FloatArray]:
        """The vectors with these ids; ids that are not there are left out."""
        import numpy as np

        found: dict[str, FloatArray] = {}
        for start in range(0, len(ids), AT_A_TIME):
            with self._translate_errors():
                part = self._collection.get(ids=list(ids[start : start + AT_A_TIME]), include=["embeddings"])
            matrix = np.asarray(part["embeddings"], dtype=np.float32)
            found |= dict(zip(part["ids"], matrix, strict=True))
        return found

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
            if lack := exhausted_resource(error):
                raise lack from error
            # A panic in Chroma's core derives from BaseException alone and has no importable name.
            if type(error).__module__.startswith("chromadb") or type(error).__name__ == "PanicException":
                raise self._translation(str(error)) from error
            raise

    def _translation(self, message: str) -> StreamragError:
        first_line = message.strip().splitlines()[0] if message.strip() else "unreadable"
        if lack := exhausted_resource_in(message):
            return lack
        if refused := self._refused():
            return refused
        if any(words in message.lower() for words in _REFUSALS):
            return not_writable(self._directory, first_line)
        # Chroma writes even to read, and where a disk is full most of its messages do not say so.
        if self._directory.exists() and shutil.disk_usage(self._directory).free < _ROOM_BYTES:
            return not_writable(self._directory, f"the disk is full ({first_line})")
        return damaged_vectors(self._directory, first_line)

    def _refused(self) -> StreamragError | None:
        """What the system says of the files; Chroma says of most failures only that there was one."""
        for each in (self._directory / _DATABASE, *self._directory.glob("*/*")):
            if refused := cannot_open(each, self._directory, writing=self._writes):
                return refused
        return None


class WritableVectors(Vectors):
    """The same collection, open for writing as well; with `create` it is made where there is none."""

    _writes = True

    def __init__(self, directory: Path, name: str, *, create: bool = False) -> None:
        self._create = create
        super().__init__(directory, name)

    def _open(self) -> "ChromaCollection":
        self._client = _open(self._directory)
        try:
            self._writable = self._found()
        except BaseException:
            self._close()
            raise
        return self._writable

    def _found(self) -> "ChromaCollection":
        # No embedding function, ever: one that a foreign store persisted would be executed.
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
        """Write vectors of shape (len(ids), dimension), replacing those with the same ids."""
        from langchain_chroma import Chroma  # 0.3 s beyond chromadb; only an ingest pays it

        for start in range(0, len(ids), AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            with exclusive(self._lock_file), self._translate_errors():
                Chroma(
                    client=self._client,
                    collection_name=self._name,
                    embedding_function=_Known(vectors[part]),  # type: ignore[arg-type]
                    collection_configuration=_COSINE,  # type: ignore[arg-type]
                ).add_texts(list(texts[part]), metadatas=list(metadatas[part]), ids=list(ids[part]))
                self._loaded = self._collection.count()

    def delete(self, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are passed over."""
        for start in range(0, len(ids), AT_A_TIME):
            with exclusive(self._lock_file), self._translate_errors():
                self._writable.delete(ids=list(ids[start : start + AT_A_TIME]))


class _Known:
    """Hands `langchain-chroma` vectors that are made already; it would embed again otherwise."""

    def __init__(self, vectors: FloatArray) -> None:
        self._vectors = vectors

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if len(texts) != len(self._vectors):
            raise ValueError("one vector a text")
        return list(self._vectors)  # rows serve as lists, without 384 objects each


def _open(directory: Path) -> "Client":
    with _opening, outside_working_directory():
        import chromadb  # 0.6 s
        from chromadb.config import Settings

        # Within a process, clients of one path share their settings and one loaded index, so that a second one would
        # see what the first saw: each gets a path of its own spelling.
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
