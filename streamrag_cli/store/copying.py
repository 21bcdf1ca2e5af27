"""Copies a collection and its vectors to another store, so that nothing has to be embedded again."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.backend import Store
from streamrag_cli.store.interface import EmbeddedPassages, Reader, Writer
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.rows import EVERYTHING

_BATCH_CHUNKS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyProgress:
    """The progress of a copy: `documents` out of `documents_in_all` have been written to the target."""

    documents: int
    documents_in_all: int
    chunks: int


@dataclass(slots=True)
class _Batch:
    documents: list[tuple[DocumentRecord, Sequence[Chunk]]] = field(default_factory=list)
    chunks: int = 0


def copy_collection(
    source: StoreAddress, target: StoreAddress, collection: str, *, replace: bool = False
) -> Iterator[CopyProgress]:
    """Copy a collection, and yield the progress after every batch. If the copy fails, the target is unchanged.

    The source is read from one snapshot. Raises UsageError `same_store` if both addresses lead to the same store, even
    through symbolic links. Raises StoreError:

    - `store_missing` if the source does not have the collection
    - `store_exists` if the target has documents in a collection with this name, unless `replace` is set
    - `store_busy` if an ingest deletes vectors from the source during the copy
    - the errors that `Store.reader` and `Store.writer` raise
    """
    if source == target or _is_same_directory(source, target):
        raise UsageError(
            "--from and --to name the same store", code="same_store", hint="streamrag copy --from STORE --to STORE"
        )
    target_store = open_store(target)
    if not replace:
        _check_not_replacing(target_store, collection)
    with ExitStack() as stack:
        reader = stack.enter_context(closing(open_store(source).reader(collection)))
        stack.enter_context(reader.snapshot())
        # The copy is written like a rebuild, so that an incomplete copy never becomes active.
        writer = stack.enter_context(target_store.writer(collection, embedding=reader.embedding, rebuild=True))
        writer.add_roots(reader.catalog.roots())
        yield from _copy(reader, writer)
        if cosine_range := reader.catalog.meta("cosine_range"):
            writer.set_cosine_range(cosine_range)
        writer.record_unread((), reader.catalog.unread_files())


def _is_same_directory(source: StoreAddress, target: StoreAddress) -> bool:
    try:
        return Path(str(source)).samefile(str(target))
    except OSError:  # an address is not a directory, does not exist or cannot be read
        return False


def _check_not_replacing(target: Store, collection: str) -> None:
    with target.manifest(collection) as manifest:
        if manifest and manifest.counts().documents:
            raise StoreError(
                f"{target} already has a collection {collection!r}",
                code="store_exists",
                hint="add --replace to replace it, or copy another collection: -c NAME",
            )


def _copy(reader: Reader, writer: Writer) -> Iterator[CopyProgress]:
    in_all, batch = reader.counts().documents, _Batch()
    documents = chunks = 0
    for record in reader.catalog.documents_under(EVERYTHING):
        of_document = reader.catalog.chunks_of(record.path)
        batch.documents.append((record, of_document))
        batch.chunks += len(of_document)
        documents, chunks = documents + 1, chunks + len(of_document)
        if batch.chunks >= _BATCH_CHUNKS or len(batch.documents) >= _BATCH_CHUNKS:
            _write(reader, writer, batch)
            batch = _Batch()
            yield CopyProgress(documents=documents, documents_in_all=in_all, chunks=chunks)
    _write(reader, writer, batch)
    yield CopyProgress(documents=documents, documents_in_all=in_all, chunks=chunks)


def _write(reader: Reader, writer: Writer, batch: _Batch) -> None:
    if batch.documents:
        ids = [chunk.id for _, chunks in batch.documents for chunk in chunks]
        states = reader.catalog.token_states(ids)
        packed = [states.get(each, b"") for each in ids]
        writer.write(batch.documents, EmbeddedPassages(reader.vectors(ids), packed))
