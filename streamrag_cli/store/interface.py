"""The interface of a collection: a reader for questions, a writer for ingests, a manifest for both.

The interface of stores, which contain collections, is in `backend.py`. `tests/store` tests both with every backend.
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

    `vectors` has one row per text. `token_states` has the packed token states of each text, or b"" if it has none.
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
    """A chunk with the display name, absolute path and language (one of `languages.LANGUAGES`) of its document."""

    chunk: Chunk
    source: str
    path: str
    language: str = ENGLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The number of documents and chunks in a collection."""

    documents: int
    chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The documents that match a filter.

    `documents` contains their ids, which the backend assigns. `chunks` is the number of their chunks, and `total` is
    the number of all chunks in the collection. `untagged` contains the paths of documents that the filter excludes
    because their tags are unknown. A selection is valid for one state of the collection.
    """

    documents: tuple[int, ...]
    chunks: int
    total: int
    untagged: tuple[str, ...] = ()


class Manifest(Protocol):
    """The contents of a collection, without vectors. Paths are absolute file paths or addresses (`addresses.py`)."""

    @property
    def generation(self) -> int:
        """A number that increases with every change to the chunks."""

    def meta(self, key: str) -> str | None:
        """The stored value of a key, or None if it is not set.

        The keys are `embedding`, `dimension` (not set before the first vector), `last_ingest` (ISO 8601 in UTC) and
        `cosine_range` (see `Writer.set_cosine_range`).
        """

    def counts(self) -> Counts: ...

    def foreign_chunks(self) -> int:
        """The number of chunks from documents in languages other than English."""

    def roots(self) -> list[str]:
        """The paths that users ingested, sorted."""

    def document(self, path: str) -> DocumentRecord | None:
        """The record of the document at this path; None if there is no document."""

    def documents_under(self, root: str) -> Iterator[DocumentRecord]:
        """Records of the documents at or below `root`, ordered by path. `EVERYTHING` as `root` means all documents."""

    def file_versions(self, root: str) -> dict[str, FileVersion]:
        """The versions of the documents at or below `root`, by path. This is much faster than `documents_under`."""

    def chunks_of(self, path: str) -> list[Chunk]:
        """The chunks of the document at this path, in order."""

    def chunk_at(self, path: str, ordinal: int) -> Chunk | None:
        """The chunk with this number (from 0) in the document at this path; None if it does not exist."""

    def chunk_counts(self) -> dict[str, int]:
        """The number of chunks of each document, by path."""

    def chunk_ids(self) -> set[str]: ...

    def chunk_ids_from(self, prefix: str, limit: int) -> list[str]:
        """At most `limit` of the chunk ids that begin with `prefix`, sorted. `prefix` consists of hex digits."""

    def chunks(self, chunk_ids: Iterable[str]) -> dict[str, StoredChunk]:
        """The chunks with these ids. Ids that are not in the collection are left out."""

    def existing(self, chunk_ids: Iterable[str]) -> set[str]:
        """The ids among `chunk_ids` that are in the collection."""

    def languages_of(self, chunk_ids: Iterable[str]) -> dict[str, str]:
        """The language of the document of each chunk. Ids that are not in the collection are left out."""

    def unread_files(self) -> list[UnreadFile]:
        """The files that could not be read or were skipped when their root was last ingested, ordered by path."""

    def token_states(self, chunk_ids: Collection[str]) -> dict[str, bytes]:
        """The packed token states of these chunks, for late interaction. Chunks without states are left out."""

    def languages(self) -> list[str]:
        """The languages of the documents, sorted, as codes that `languages.language_of` returns."""


class Reader(Protocol):
    """Finds chunks in a collection. Safe to share between threads.

    Raises StoreError: `store_missing` if the collection does not exist, `store_damaged`, and errors that are specific
    to the backend.
    """

    @property
    def catalog(self) -> Manifest: ...

    @property
    def embedding(self) -> str:
        """The name of the embedder that made the vectors."""

    def snapshot(self, limit: TimeLimit | None = None) -> AbstractContextManager[None]:
        """During the `with` block, all reads by this thread see one state, regardless of commits by writers.

        Snapshots in different threads do not block each other.

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
        """Return the documents that the filter `scope` allows."""

    def within(self, chunk_ids: Iterable[str], selection: Selection) -> set[str]:
        """The ids in `chunk_ids` that belong to chunks of the selected documents."""

    def search_text(self, words: Sequence[str], limit: int, selection: Selection | None = None) -> ScoredIds:
        """Return the ids of chunks that contain any of the words, with their BM25 scores, best first.

        With a `selection`, only its documents are searched, but the scores are those of a search in all documents.

        If there are too many words, only the rarest are searched for (`stemming.rarest_words`). A word that is repeated
        in `words` has a higher weight, up to four times that of a single word.
        """

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """The number of chunks that contain each stemmed term."""

    def nearest(self, vector: FloatArray, limit: int, selection: Selection | None = None) -> ScoredIds:
        """Return the ids of the nearest chunks with their cosines to `vector`, a unit vector, best first.

        The search is approximate. In a small `selection`, it is exact.
        """

    def search_both(
        self, words: Sequence[str], vector: FloatArray, limit: int, selection: Selection | None = None
    ) -> tuple[ScoredIds, ScoredIds]:
        """Run both searches, and return the results of `search_text` and `nearest`."""

    def cosines(self, vector: FloatArray, ids: Sequence[str]) -> dict[str, float]:
        """The exact cosine of each id to `vector`. Ids that are not in the collection are left out."""

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        """The stored vectors, one row per id, in the order of `ids`. All ids must be in the collection.

        Raises StoreError `store_busy` if another process has deleted some of them since `snapshot()` began.
        """


class Writer(Protocol):
    """Changes a collection. Each change is atomic: readers see it completely or not at all, even after a crash."""

    @property
    def catalog(self) -> Manifest: ...

    def repair(self, embed: Embed) -> int:
        """Repair the collection after an interrupted ingest. Return the number of added and removed vectors."""

    def prepare(self) -> None:
        """Open the files that the first `write` needs, so that it does not have to wait for them."""

    def vectors(self, chunk_ids: Collection[str]) -> dict[str, FloatArray]:
        """The vectors with these ids. Ids that are not in the collection are left out."""

    def write(self, documents: Sequence[WrittenDocument], passages: EmbeddedPassages) -> None:
        """Add or replace documents. `passages` contains the embeddings of all their chunks, in order."""

    def remove(self, paths: Iterable[str]) -> None: ...

    def touch(self, records: Iterable[DocumentRecord]) -> None:
        """Update the stored metadata of files whose content has not changed, such as their names and time stamps."""

    def add_roots(self, roots: Iterable[str]) -> None:
        """Record the paths that are being ingested, before any document below them is written."""

    def remove_roots(self, roots: Iterable[str]) -> None: ...

    def record_unread(self, roots: Sequence[str], files: Sequence[UnreadFile]) -> None:
        """Replace the records of unread files at or below `roots` with `files`."""

    def set_cosine_range(self, cosine_range: str) -> None:
        """Store the measured range of the embedder's cosines, which scores depend on."""


def bound_embedding(manifest: Manifest) -> str | None:
    """The embedder that the collection must use; None if it has never had a vector and can use any embedder."""
    never_had_one = manifest.meta("dimension") is None and not manifest.counts().chunks
    return None if never_had_one else manifest.meta("embedding")


def damaged(message: str) -> StoreError:
    return StoreError(message, code="store_damaged", hint="streamrag ingest --rebuild")


def busy(why: str, *, hint: str = "try again in a moment") -> StoreError:
    return StoreError(f"the store is busy: {why}", code="store_busy", hint=hint, retryable=True)


def embedding_mismatch(collection: str, *, stored: str, requested: str) -> StoreError:
    return StoreError(
        f"the collection {collection!r} uses the embedder {stored}, but {requested} was requested",
        code="another_embedding",
        hint=_REBUILD_HINT,
    )


def dimension_mismatch(collection: str, *, stored: int | str, returned: int) -> StoreError:
    return StoreError(
        f"the collection {collection!r} has vectors with {stored} dimensions, but the embedder returned {returned}",
        code="another_embedding",
        hint=_REBUILD_HINT,
    )
