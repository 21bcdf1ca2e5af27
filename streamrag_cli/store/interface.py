"""What a collection is to the rest of the program: a reader for questions, a writer for an ingest, a manifest for both.

`kind.py` has the store around it; `tests/store` holds every kind of store to one contract.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from streamrag_cli.errors import StoreError
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.languages import ENGLISH
from streamrag_cli.store.time_limit import TimeLimit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.float32]"
"""A vector, or a matrix with a vector in each row."""
ScoredIds: TypeAlias = list[tuple[str, float]]
"""Ids of chunks with what they score, best first."""


@dataclass(frozen=True, slots=True)
class EmbeddedPassages:
    """`vectors` has one row for each text. `token_states` has the packed states of each text's tokens, or is empty."""

    vectors: FloatArray
    token_states: Sequence[bytes] = ()


Embed: TypeAlias = Callable[[Sequence[str]], FloatArray]
WrittenDocument: TypeAlias = tuple[DocumentRecord, Sequence[Chunk]]
BUSY_AFTER_S: Final = 3.0
"""How long a writer waits for another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """A chunk and its document's shown name, absolute path and language, as `languages.language_of` names it."""

    chunk: Chunk
    source: str
    path: str
    language: str = ENGLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a collection holds, and in which languages."""

    documents: int
    chunks: int
    languages: tuple[str, ...] = (ENGLISH,)


class Manifest(Protocol):
    """What a collection holds. Paths are absolute."""

    @property
    def generation(self) -> int:
        """Raised by every change of the chunks."""

    def meta(self, key: str) -> str | None:
        """`embedding`, `dimension` (None before the first vector), `last_ingest` (ISO 8601 in UTC)."""

    def counts(self) -> Counts: ...

    def roots(self) -> list[str]:
        """The paths that were ingested, sorted."""

    def document(self, path: str) -> DocumentRecord | None:
        """The record of the document at this path."""

    def documents_under(self, root: str) -> Iterator[DocumentRecord]:
        """Records of the documents at `root` or below it, ordered by path."""

    def chunks_of(self, path: str) -> list[Chunk]:
        """The chunks of the document at this path, in order."""

    def chunk_at(self, path: str, ordinal: int) -> Chunk | None:
        """The chunk with this number of the document at this path."""

    def chunk_ids(self) -> set[str]: ...


class Reader(Protocol):
    """Finds chunks. Safe to share between threads.

    Raises StoreError: `store_missing` where the collection was never made, `store_damaged`, and what the kind of store
    has of its own.
    """

    @property
    def catalog(self) -> Manifest: ...

    @property
    def embedding(self) -> str:
        """The name of the embedding that made the vectors."""

    def reading(self, limit: TimeLimit | None = None) -> AbstractContextManager[None]:
        """Everything read inside by this thread sees one state, whatever others commit. No reading waits for another.

        Raises StoreError `retrieval_timeout` once `limit` is over.
        """

    @property
    def is_ready(self) -> bool:
        """Whether the first search has nothing left to open."""

    def get_ready(self, limit: TimeLimit | None = None) -> None:
        """Open what the first search would have to open otherwise.

        Raises StoreError `retrieval_timeout` once `limit` is over, also while another process holds the files.
        """

    def close(self) -> None: ...

    def counts(self) -> Counts: ...

    def chunks(self, chunk_ids: Iterable[str]) -> dict[str, StoredChunk]:
        """The chunks with these ids; an id that is not in the collection is left out."""

    def found_chunks(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """The chunks, in this order, that a search has found in the same `reading()`."""

    def known(self, chunk_ids: Iterable[str]) -> set[str]:
        """Which of these ids are in the collection."""

    def search_text(self, words: Sequence[str], limit: int) -> ScoredIds:
        """Ids of chunks that hold any of the words, with their BM25 score, best first.

        Of very many words only the rarest count (`words.rarest_words`); one that is given twice weighs twice.
        """

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """In how many chunks each stemmed term stands."""

    def nearest(self, vector: FloatArray, limit: int) -> ScoredIds:
        """Ids with their cosine, best first, found approximately; `vector` has unit length."""

    def search_both(self, words: Sequence[str], vector: FloatArray, limit: int) -> tuple[ScoredIds, ScoredIds]:
        """`search_text` and `nearest`."""

    def cosines(self, vector: FloatArray, ids: Sequence[str]) -> dict[str, float]:
        """The exact cosine of each id to `vector`; ids that are not in the collection are left out."""

    def token_states(self, ids: Collection[str]) -> dict[str, bytes]:
        """The packed token states of these chunks, for late interaction; chunks without any are left out."""

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        """The stored vectors, one row for each id, in their order. All of them must be in the collection.

        Raises StoreError: `store_busy` where another process has deleted some of them since `reading()` began.
        """


class Writer(Protocol):
    """Changes a collection; each change is one step for readers, and whole or not there after a crash."""

    @property
    def catalog(self) -> Manifest: ...

    def repair(self, embed: Embed) -> int:
        """Mend what an interrupted run has left; return how many vectors it took."""

    def get_ready(self) -> None:
        """Open what the first `write` would have to open otherwise."""

    def vectors(self, chunk_ids: Collection[str]) -> dict[str, FloatArray]:
        """The vectors with these ids; ids that are not in the collection are left out."""

    def token_states(self, chunk_ids: Collection[str]) -> dict[str, bytes]:
        """As `Reader.token_states`."""

    def write(self, documents: Sequence[WrittenDocument], passages: EmbeddedPassages) -> None:
        """Replace documents. `passages` has what was made of each chunk, in order."""

    def remove(self, paths: Iterable[str]) -> None: ...

    def touch(self, records: Iterable[DocumentRecord]) -> None:
        """Renew what is known of unchanged files."""

    def add_roots(self, roots: Iterable[str]) -> None:
        """Note what is being ingested, before anything below is written."""

    def remove_roots(self, roots: Iterable[str]) -> None: ...


def vectors_made_with(manifest: Manifest) -> str | None:
    """The embedding that the collection is bound to; None as long as it never had a vector and may take any."""
    never_had_one = manifest.meta("dimension") is None and not manifest.counts().chunks
    return None if never_had_one else manifest.meta("embedding")


def damaged(message: str) -> StoreError:
    return StoreError(message, code="store_damaged", hint="streamrag ingest --rebuild")


def busy(why: str, *, hint: str = "try again in a moment") -> StoreError:
    return StoreError(f"the store is busy: {why}", code="store_busy", hint=hint, retryable=True)


def another_embedding(collection: str, *, made_with: str, asked: str) -> StoreError:
    return StoreError(
        f"the collection {collection!r} was made with {made_with}, not with {asked}",
        code="another_embedding",
        hint="use another collection (-c NAME), or make this one anew: streamrag ingest --rebuild",
    )
