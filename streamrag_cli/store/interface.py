"""The interface of a collection: a reader for questions, a writer for ingests, a manifest for both.

Stores, which contain collections, are in `backend.py`. `tests/store` tests every backend against this contract.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from streamrag_cli.errors import StoreError
from streamrag_cli.model import Chunk, DocumentRecord, FileVersion, Filter, UnreadFile
from streamrag_cli.store.languages import ENGLISH
from streamrag_cli.store.time_limit import TimeLimit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.float32]"
"""A vector, or a matrix whose rows are vectors."""
ScoredIds: TypeAlias = list[tuple[str, float]]
"""Ids of chunks with their scores, best first."""


@dataclass(frozen=True, slots=True)
class EmbeddedPassages:
    """The embeddings of texts, in order.

    `vectors` has one row per text. `token_states` has the packed token states of each text, b"" if it has none.
    """

    vectors: FloatArray
    token_states: Sequence[bytes] = ()

    def __post_init__(self) -> None:
        if not self.token_states:
            object.__setattr__(self, "token_states", [b""] * len(self.vectors))


Embed: TypeAlias = Callable[[Sequence[str]], FloatArray]
WrittenDocument: TypeAlias = tuple[DocumentRecord, Sequence[Chunk]]
BUSY_AFTER_S: Final = 3.0
"""How many seconds a writer waits for another writer before it fails with `store_busy`."""
_REBUILD_HINT: Final = "use another collection (-c NAME), or rebuild this one: streamrag ingest --rebuild"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """A chunk with its document's display name, absolute path and language (a code of `languages.LANGUAGES`)."""

    chunk: Chunk
    source: str
    path: str
    language: str = ENGLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The size of a collection."""

    documents: int
    chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The documents that match a filter.

    `documents` are the ids that the backend gave them. They have `chunks` of the `total` chunks of the collection.
    `untagged` are the paths of documents that the filter excludes because their tags are unknown. A selection is valid
    for one state of the collection.
    """

    documents: tuple[int, ...]
    chunks: int
    total: int
    untagged: tuple[str, ...] = ()


class Manifest(Protocol):
    """The contents of a collection, without vectors. Paths are absolute, or addresses (`addresses.py`)."""

    @property
    def generation(self) -> int:
        """A number that increases with every change of the chunks."""

    def meta(self, key: str) -> str | None:
        """The value of `embedding`, `dimension` (None before the first vector), `last_ingest` (ISO 8601 in UTC) or
        `cosine_range` (see `Writer.set_cosine_range`).
        """

    def counts(self) -> Counts: ...

    def foreign_chunks(self) -> int:
        """The number of chunks of documents in languages other than English."""

    def roots(self) -> list[str]:
        """The paths that were ingested, sorted."""

    def document(self, path: str) -> DocumentRecord | None:
        """The record of the document at this path, or None."""

    def documents_under(self, root: str) -> Iterator[DocumentRecord]:
        """Records of the documents at `root` or below it, ordered by path. All are below `EVERYTHING`."""

    def file_versions(self, root: str) -> dict[str, FileVersion]:
        """The versions of the documents at `root` or below it, by path. Much faster than `documents_under`."""

    def chunks_of(self, path: str) -> list[Chunk]:
        """The chunks of the document at this path, in order."""

    def chunk_at(self, path: str, ordinal: int) -> Chunk | None:
        """The chunk with this number (from 0) in the document at this path, or None."""

    def chunk_counts(self) -> dict[str, int]:
        """The number of chunks of each document, by path."""

    def chunk_ids(self) -> set[str]: ...

    def chunk_ids_from(self, prefix: str, limit: int) -> list[str]:
        """At most `limit` ids of chunks that begin with `prefix`, which consists of hex digits; sorted."""

    def chunks(self, chunk_ids: Iterable[str]) -> dict[str, StoredChunk]:
        """The chunks with these ids. Ids that are not in the collection are left out."""

    def existing(self, chunk_ids: Iterable[str]) -> set[str]:
        """The subset of these ids that is in the collection."""

    def unread_files(self) -> list[UnreadFile]:
        """The files that the last ingest of their root failed to read or skipped, ordered by path."""

    def token_states(self, chunk_ids: Collection[str]) -> dict[str, bytes]:
        """The packed token states of these chunks, for late interaction. Chunks without states are left out."""

    def languages(self) -> list[str]:
        """The languages of the documents, sorted, as `languages.language_of` returns them."""


class Reader(Protocol):
    """Finds chunks. Safe to share between threads.

    Raises StoreError: `store_missing` if the collection does not exist, `store_damaged`, and errors that are specific
    to the backend.
    """

    @property
    def catalog(self) -> Manifest: ...

    @property
    def embedding(self) -> str:
        """The name of the embedder that made the vectors."""

    def snapshot(self, limit: TimeLimit | None = None) -> AbstractContextManager[None]:
        """While the `with` block runs, all reads of this thread see one state, regardless of commits by writers.

        Snapshots of several threads do not block each other.

        Raises StoreError `retrieval_timeout` when `limit` expires.
        """

    @property
    def is_prepared(self) -> bool:
        """Whether the first search can start without opening anything."""

    def prepare(self, limit: TimeLimit | None = None) -> None:
        """Open everything that the first search needs.

        Raises StoreError `retrieval_timeout` when `limit` expires, even while another process has locked the files.
        """

    def close(self) -> None: ...

    def counts(self) -> Counts: ...

    def require_chunks(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """The chunks with these ids, in this order.

        The ids must come from a search in the same `snapshot()`: an id that is missing means `store_damaged`.
        """

    def select(self, scope: Filter) -> Selection:
        """The documents that a filter allows."""

    def within(self, chunk_ids: Iterable[str], selection: Selection) -> set[str]:
        """The subset of these ids that are chunks of the selected documents."""

    def search_text(self, words: Sequence[str], limit: int, selection: Selection | None = None) -> ScoredIds:
        """Ids of chunks that contain any of the words, with their BM25 scores, best first.

        With a `selection`, only its documents are searched. The scores are those of a search in all documents.

        If there are too many words, only the rarest are searched (`stemming.rarest_words`). A word counts as many times
        as it occurs in `words`, up to four times.
        """

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """The number of chunks that contain each stemmed term."""

    def nearest(self, vector: FloatArray, limit: int, selection: Selection | None = None) -> ScoredIds:
        """Ids of chunks with their cosines to `vector`, a unit vector, best first.

        The search is approximate. In a small `selection`, it is exact.
        """

    def search_both(
        self, words: Sequence[str], vector: FloatArray, limit: int, selection: Selection | None = None
    ) -> tuple[ScoredIds, ScoredIds]:
        """The results of `search_text` and `nearest`."""

    def cosines(self, vector: FloatArray, ids: Sequence[str]) -> dict[str, float]:
        """The exact cosine of each id to `vector`. Ids that are not in the collection are left out."""

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        """The stored vectors, one row per id, in the order of `ids`. All ids must be in the collection.

        Raises StoreError `store_busy` if another process has deleted some of them since `snapshot()` began.
        """


class Writer(Protocol):
    """Changes a collection. Each change is atomic, both for readers and after a crash."""

    @property
    def catalog(self) -> Manifest: ...

    def repair(self, embed: Embed) -> int:
        """Repair the collection after an interrupted run. Return the number of vectors that were added or removed."""

    def prepare(self) -> None:
        """Open everything that the first `write` needs."""

    def vectors(self, chunk_ids: Collection[str]) -> dict[str, FloatArray]:
        """The vectors with these ids. Ids that are not in the collection are left out."""

    def write(self, documents: Sequence[WrittenDocument], passages: EmbeddedPassages) -> None:
        """Add or replace documents. `passages` contains the embeddings of all their chunks, in order."""

    def remove(self, paths: Iterable[str]) -> None: ...

    def touch(self, records: Iterable[DocumentRecord]) -> None:
        """Update the stored metadata (name, size, time stamps) of unchanged files."""

    def add_roots(self, roots: Iterable[str]) -> None:
        """Record the paths that are being ingested, before any document below them is written."""

    def remove_roots(self, roots: Iterable[str]) -> None: ...

    def record_unread(self, roots: Sequence[str], files: Sequence[UnreadFile]) -> None:
        """Replace the records of unread files at or below `roots` with `files`."""

    def set_cosine_range(self, cosine_range: str) -> None:
        """Store the measured range of the embedder's cosines, which scores depend on."""


def bound_embedding(manifest: Manifest) -> str | None:
    """The embedder that the collection must use; None if it never had a vector and can use any embedder."""
    never_had_one = manifest.meta("dimension") is None and not manifest.counts().chunks
    return None if never_had_one else manifest.meta("embedding")


def damaged(message: str) -> StoreError:
    return StoreError(message, code="store_damaged", hint="streamrag ingest --rebuild")


def busy(why: str, *, hint: str = "try again in a moment") -> StoreError:
    return StoreError(f"the store is busy: {why}", code="store_busy", hint=hint, retryable=True)


def embedding_mismatch(collection: str, *, stored: str, requested: str) -> StoreError:
    return StoreError(
        f"collection {collection!r} uses the embedder {stored}, but {requested} was requested",
        code="another_embedding",
        hint=_REBUILD_HINT,
    )


def dimension_mismatch(collection: str, *, stored: int | str, returned: int) -> StoreError:
    return StoreError(
        f"collection {collection!r} has vectors with {stored} dimensions, but the embedder returned {returned}",
        code="another_embedding",
        hint=_REBUILD_HINT,
    )
