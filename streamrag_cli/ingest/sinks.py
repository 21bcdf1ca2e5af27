"""Where an ingest puts what it finds: into the store, or, for a dry run, nowhere.

What is put in comes out as events, in the order that a run would have that did one thing after the other: a document
when its batch is safe, anything else at once, but never before a batch that was full by then.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, TypeAlias

from streamrag_cli.events import DocumentAction, DocumentSeen, FileProgress
from streamrag_cli.ingest.embedding import EmbedAhead
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.ingest.reading import Examined
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.interface import Manifest, Writer
from streamrag_cli.text import sanitise_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]


class Sink(Protocol):
    """What an ingest needs of the place it writes to. Each event says what is done, not what is planned.

    To be used from one thread.
    """

    @property
    def wants_chunks(self) -> bool:
        """False where it is enough to know that a document is new or changed."""

    def record(self, path: str) -> DocumentRecord | None: ...

    def records_under(self, root: str) -> Iterator[DocumentRecord]: ...

    def put(self, examined: Examined) -> None:
        """Take in what became of one path: what is to be stored, or only said."""

    def is_crowded(self) -> bool:
        """Whether so much has piled up that `ready` comes first; never after it."""

    def waits_for(self) -> "Future[Vectors] | None":
        """What has to be done before `ready` has more, if that is what it is short of."""

    def progress(self) -> FileProgress | None:
        """How far the largest document is that `waits_for` is about; None if there is none, or it is nearly new."""

    def ready(self) -> "Iterator[DocumentSeen | FileProgress]":
        """Do what can be done by now, waiting only where too much has piled up, and say what is done."""

    def flush(self) -> "Iterator[DocumentSeen | FileProgress]":
        """Do and say all the rest."""

    def remove(self, records: Sequence[DocumentRecord]) -> Iterator[DocumentSeen]: ...


@dataclass(slots=True)
class _Batch:
    """Documents that are written together; `vectors` is there once they are with the embedder."""

    documents: list[Examined] = field(default_factory=list)
    chunks: int = 0
    vectors: "Future[Vectors] | None" = None
    waited_since: float = 0.0

    def texts(self) -> list[str]:
        return [chunk.text_to_embed for examined in self.documents for chunk in examined.chunks]

    def to_write(self) -> list[tuple[DocumentRecord, Sequence[Chunk]]]:
        return [(examined.record, examined.chunks) for examined in self.documents if examined.record]


class StoreSink:
    """Writes documents in batches; one is reported when it is safe. The store is used by the caller's thread alone."""

    wants_chunks = True

    def __init__(self, writer: Writer, embedding: EmbedAhead, limits: IngestLimits) -> None:
        self._writer = writer
        self._limits = limits
        self._embedding = embedding
        self._filling = _Batch()
        self._pending: deque[_Batch | DocumentSeen] = deque()
        self._batches_ahead = 0
        self._renewed: list[DocumentRecord] = []

    def record(self, path: str) -> DocumentRecord | None:
        return self._writer.catalog.document(path)

    def records_under(self, root: str) -> Iterator[DocumentRecord]:
        return self._writer.catalog.documents_under(root)

    def put(self, examined: Examined) -> None:
        if examined.action in {"added", "changed"}:
            self._filling.documents.append(examined)
            self._filling.chunks += len(examined.chunks)
            if max(self._filling.chunks, len(self._filling.documents)) >= self._limits.batch_chunks:
                self._embed()
            return
        if examined.record:
            self._renewed.append(examined.record)
        self._pending.append(_said(examined))

    def _embed(self) -> None:
        self._filling.vectors = self._embedding.begin(self._filling.texts(), self._known())
        self._pending.append(self._filling)
        self._batches_ahead += 1
        self._filling = _Batch()
        self._writer.get_ready()  # takes its time at the first batch, which is being embedded meanwhile

    def _known(self) -> "dict[str, NDArray[np.float32]]":
        """What the store has already, by text: most chunks of a changed document are as they were."""
        changed = [examined for examined in self._filling.documents if examined.action == "changed"]
        texts = {chunk.id: chunk.text_to_embed for examined in changed for chunk in examined.chunks}
        return {texts[chunk_id]: vector for chunk_id, vector in self._writer.vectors(texts.keys()).items()}

    def waits_for(self) -> "Future[Vectors] | None":
        match self._pending:
            case [_Batch(vectors=vectors), *_]:
                return vectors
            case _:
                return None

    def progress(self) -> FileProgress | None:
        match self._pending:
            case [_Batch(documents=documents, waited_since=since), *_] if (
                since and perf_counter() - since > self._limits.quiet_s
            ):
                largest = max(documents, key=lambda each: len(each.chunks))
                count = len(largest.chunks)
                embedded = int(count * self._embedding.share_done)
                return FileProgress(source=sanitise_line(largest.source), embedded=embedded, chunks=count)
            case [_Batch() as batch, *_]:
                batch.waited_since = batch.waited_since or perf_counter()
        return None

    def ready(self) -> Iterator[DocumentSeen | FileProgress]:
        while self._pending and (self.is_crowded() or not (vectors := self.waits_for()) or vectors.done()):
            yield from self._next()

    def is_crowded(self) -> bool:
        return self._batches_ahead > self._limits.batches_ahead or len(self._pending) > self._limits.events_ahead

    def _next(self) -> Iterator[DocumentSeen | FileProgress]:
        first = self._pending[0]
        while (
            isinstance(first, _Batch) and first.vectors and not wait([first.vectors], timeout=self._limits.tick_s).done
        ):
            if progress := self.progress():
                yield progress
        self._pending.popleft()
        if isinstance(first, DocumentSeen):
            yield first
            return
        assert first.vectors is not None  # noqa: S101 - it was put there with it
        self._write(first, first.vectors.result())
        yield from map(_said, first.documents)

    def _write(self, batch: _Batch, vectors: "Vectors") -> None:
        self._batches_ahead -= 1
        self._writer.write(batch.to_write(), vectors)
        self._touch()

    def _touch(self) -> None:
        if self._renewed:
            self._writer.touch(self._renewed)
            self._renewed = []

    def flush(self) -> Iterator[DocumentSeen | FileProgress]:
        if self._filling.documents:
            self._embed()
        while self._pending:
            yield from self._next()
        self._touch()

    def remove(self, records: Sequence[DocumentRecord]) -> Iterator[DocumentSeen]:
        self._writer.remove(record.path for record in records)
        for record in records:
            yield seen(record.source, "deleted")


class DryRun:
    """Compares with the collection as it is and writes nothing. `catalog` is None where there is none."""

    wants_chunks = False

    def __init__(self, catalog: Manifest | None) -> None:
        self._catalog = catalog
        self._events: deque[DocumentSeen] = deque()

    def record(self, path: str) -> DocumentRecord | None:
        return self._catalog.document(path) if self._catalog else None

    def records_under(self, root: str) -> Iterator[DocumentRecord]:
        return self._catalog.documents_under(root) if self._catalog else iter(())

    def put(self, examined: Examined) -> None:
        self._events.append(_said(examined))

    def is_crowded(self) -> bool:
        return False

    def waits_for(self) -> None:
        return None

    def progress(self) -> None:
        return None

    def ready(self) -> Iterator[DocumentSeen]:
        while self._events:
            yield self._events.popleft()

    def flush(self) -> Iterator[DocumentSeen]:
        return self.ready()

    def remove(self, records: Sequence[DocumentRecord]) -> Iterator[DocumentSeen]:
        for record in records:
            yield seen(record.source, "deleted")


def seen(source: str, action: DocumentAction, *, chunks: int = 0, reason: str = "", code: str = "") -> DocumentSeen:
    """The event, with names that are safe to show."""
    return DocumentSeen(
        source=sanitise_line(source), action=action, chunks=chunks, reason=sanitise_line(reason), code=code
    )


def _said(examined: Examined) -> DocumentSeen:
    return seen(
        examined.source, examined.action, chunks=len(examined.chunks), reason=examined.reason, code=examined.code
    )
