"""Where an ingest puts what it finds: into the store, or, for a dry run, nowhere."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from streamrag_cli.events import DocumentAction, DocumentSeen
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.retrieval.embeddings import Embedder
from streamrag_cli.store.catalog import Catalog
from streamrag_cli.store.writer import CollectionWriter
from streamrag_cli.text import sanitise_line

BATCH_CHUNKS: Final = 256


class Sink(Protocol):
    """What an ingest needs of the place it writes to. Each event says what is done, not what is planned."""

    @property
    def wants_chunks(self) -> bool:
        """False where it is enough to know that a document is new or changed."""

    def record(self, path: str) -> DocumentRecord | None: ...

    def records_under(self, root: str) -> Iterator[DocumentRecord]: ...

    def put(
        self, record: DocumentRecord, chunks: Sequence[Chunk], action: DocumentAction, remark: str
    ) -> Iterator[DocumentSeen]: ...

    def renew(self, record: DocumentRecord) -> None: ...

    def remove(self, records: Sequence[DocumentRecord]) -> Iterator[DocumentSeen]: ...

    def flush(self) -> Iterator[DocumentSeen]: ...


class StoreSink:
    """Writes documents in batches; one is reported when it is safe."""

    wants_chunks = True

    def __init__(self, writer: CollectionWriter, embedder: Embedder) -> None:
        self._writer = writer
        self._embedder = embedder
        self._batch: list[tuple[DocumentRecord, Sequence[Chunk], DocumentAction, str]] = []
        self._batch_chunks = 0
        self._renewed: list[DocumentRecord] = []

    def record(self, path: str) -> DocumentRecord | None:
        return self._writer.catalog.document(path)

    def records_under(self, root: str) -> Iterator[DocumentRecord]:
        return self._writer.catalog.documents_under(root)

    def put(
        self, record: DocumentRecord, chunks: Sequence[Chunk], action: DocumentAction, remark: str
    ) -> Iterator[DocumentSeen]:
        self._batch.append((record, chunks, action, remark))
        self._batch_chunks += len(chunks)
        if self._batch_chunks >= BATCH_CHUNKS or len(self._batch) >= BATCH_CHUNKS:
            yield from self.flush()

    def renew(self, record: DocumentRecord) -> None:
        self._renewed.append(record)

    def remove(self, records: Sequence[DocumentRecord]) -> Iterator[DocumentSeen]:
        self._writer.remove(record.path for record in records)
        for record in records:
            yield seen(record.source, "deleted")

    def flush(self) -> Iterator[DocumentSeen]:
        batch, self._batch, self._batch_chunks = self._batch, [], 0
        if batch:
            texts = [chunk.text_to_embed for _, chunks, _, _ in batch for chunk in chunks]
            vectors = self._embedder.embed_documents(texts)
            self._writer.write([(record, chunks) for record, chunks, _, _ in batch], vectors)
        if self._renewed:
            self._writer.touch(self._renewed)
            self._renewed = []
        for record, chunks, action, remark in batch:
            yield seen(record.source, action, chunks=len(chunks), reason=remark)


class DryRun:
    """Compares with the collection as it is and writes nothing. `catalog` is None where there is none."""

    wants_chunks = False

    def __init__(self, catalog: Catalog | None) -> None:
        self._catalog = catalog

    def record(self, path: str) -> DocumentRecord | None:
        return self._catalog.document(path) if self._catalog else None

    def records_under(self, root: str) -> Iterator[DocumentRecord]:
        return self._catalog.documents_under(root) if self._catalog else iter(())

    def put(
        self,
        record: DocumentRecord,
        chunks: Sequence[Chunk],  # noqa: ARG002
        action: DocumentAction,
        remark: str,
    ) -> Iterator[DocumentSeen]:
        yield seen(record.source, action, reason=remark)

    def renew(self, record: DocumentRecord) -> None:
        """Nothing to do."""

    def remove(self, records: Sequence[DocumentRecord]) -> Iterator[DocumentSeen]:
        for record in records:
            yield seen(record.source, "deleted")

    def flush(self) -> Iterator[DocumentSeen]:
        return iter(())


def seen(source: str, action: DocumentAction, *, chunks: int = 0, reason: str = "") -> DocumentSeen:
    """The event, with names that are safe to show."""
    return DocumentSeen(source=sanitise_line(source), action=action, chunks=chunks, reason=sanitise_line(reason))
