"""A collection from one store into another, with the vectors it has: nothing is embedded again."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.backend import Store
from streamrag_cli.store.interface import EmbeddedPassages, Reader, Writer
from streamrag_cli.store.registry import open_store

_BATCH_CHUNKS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyProgress:
    """How far a copy has come. `documents` of `documents_in_all` are in the other store."""

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
    """Copy, and say after every batch how far it is. The target has the collection at the end, or is as it was.

    The source is read as one state. Raises StoreError: `store_missing`, `store_exists` where the target has documents
    in a collection of this name that it is not to `replace`, `store_busy` where an ingest takes
    vectors out of the source meanwhile, and what opening and writing raise; UsageError where both are the same place.
    """
    if source == target:
        raise UsageError("both stores are the same", code="same_store", hint="streamrag copy --from STORE --to STORE")
    there = open_store(target)
    _refuse_to_replace(there, collection, replace=replace)
    with ExitStack() as stack:
        reader = stack.enter_context(closing(open_store(source).reader(collection)))
        stack.enter_context(reader.reading())
        # As a rebuild: what is half copied never counts.
        writer = stack.enter_context(there.writer(collection, embedding=reader.embedding, rebuild=True))
        writer.add_roots(reader.catalog.roots())
        yield from _copy(reader, writer)


def _refuse_to_replace(target: Store, collection: str, *, replace: bool) -> None:
    if replace:
        return
    with target.manifest(collection) as there:
        if there and there.counts().documents:
            raise StoreError(
                f"{target} has a collection {collection!r} already",
                code="store_exists",
                hint="replace it: the same command with --replace; or copy another collection: -c NAME",
            )


def _copy(reader: Reader, writer: Writer) -> Iterator[CopyProgress]:
    in_all, batch = reader.counts().documents, _Batch()
    documents = chunks = 0
    for record in reader.catalog.documents_under("/"):
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
        states = reader.token_states(ids)
        packed = [states.get(each, b"") for each in ids] if states else ()
        writer.write(batch.documents, EmbeddedPassages(reader.vectors(ids), packed))
