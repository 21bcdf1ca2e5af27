"""The last stages of an ingest: writes file results to the store in batches, and turns them into events.

The events have the same order as in a sequential run. The event for a written document follows its batch's commit.
Other events are not delayed, except that they follow those of batches that were already full. Only the caller's thread
uses the store.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from time import perf_counter

from streamrag_cli.events import DocumentSeen, FileProgress
from streamrag_cli.ingest.embedding import BatchEmbedder, Passage
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.ingest.prefetch import Step, Waiting, prefetch
from streamrag_cli.ingest.progress import document_event
from streamrag_cli.ingest.reading import FileResult, Reading
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.interface import EmbeddedPassages, Writer
from streamrag_cli.text import sanitise_line


@dataclass(slots=True, eq=False)
class Batch:
    """Documents that are written together. `future` is set when their texts are submitted to the embedder."""

    documents: list[FileResult] = field(default_factory=list)
    chunks: int = 0
    future: Future[EmbeddedPassages] | None = None

    def add(self, result: FileResult) -> None:
        self.documents.append(result)
        self.chunks += len(result.chunks)

    def is_full(self, limits: IngestLimits) -> bool:
        return max(self.chunks, len(self.documents)) >= limits.batch_chunks

    def texts(self) -> list[str]:
        return [chunk.text_to_embed for result in self.documents for chunk in result.chunks]

    def to_write(self) -> list[tuple[DocumentRecord, Sequence[Chunk]]]:
        return [(result.record, result.chunks) for result in self.documents if result.record]

    def progress(self, share: float) -> FileProgress:
        """The current document's progress if the fraction `share` of the batch has been embedded."""
        left = done = int(self.chunks * share)
        current, embedded = self.documents[-1], 0
        for each in self.documents:
            current, embedded = each, min(left, len(each.chunks))
            left -= len(each.chunks)
            if left < 0:
                break
        source = sanitise_line(current.shown)
        return FileProgress(source=source, embedded=embedded, chunks=len(current.chunks), passages=done)


def write(
    results: Iterable[FileResult | Waiting],
    writer: Writer,
    embedding: BatchEmbedder,
    limits: IngestLimits,
    *,
    uninterrupted: Callable[[], AbstractContextManager[object]] = nullcontext,
    keep: Callable[[int], None] = lambda _passages: None,
) -> Generator[Batch | FileResult | Waiting, None, None]:
    """Embed and write documents. Yields each batch after its commit, and other results in between.

    Within a block of `uninterrupted`, signals do not raise exceptions. After an interruption, `keep` is called with the
    number of passages that are written or embedded, so that embedded passages can be cached. Then complete documents
    are written, unless the store would have to be opened first, which takes a long time.
    """
    pending: deque[Batch] = deque()
    is_prepared = False
    written = 0

    def embed(step: Batch | FileResult) -> Batch | FileResult:
        if isinstance(step, Batch):
            pending.append(step)
            step.future = embedding.begin(step.texts(), _known_passages(step, writer))
        return step

    def weight(step: Batch | FileResult) -> int:
        return limits.events_ahead // (limits.batches_ahead + 1) if isinstance(step, Batch) else 1

    refreshed: list[DocumentRecord] = []
    try:
        for step in prefetch(_in_batches(results, limits), embed, weight=weight, size=limits.events_ahead):
            if pending and not is_prepared:
                yield Waiting((pending[0],), is_idle=False)
                writer.prepare()  # slow for the first batch, which is embedded at the same time
                is_prepared = True
            if isinstance(step, Batch) and step.future:
                passages = step.future.result()
                with uninterrupted():
                    writer.write(step.to_write(), passages)
                    pending.popleft()
                    written += step.chunks
                _refresh(writer, refreshed)
            elif isinstance(step, FileResult) and step.record:
                refreshed.append(step.record)
            yield step
    except BaseException as error:
        if not isinstance(error, Exception):  # Ctrl-C, or the caller has closed the generator
            with uninterrupted():
                embedding.stop()
                keep(written + sum(embedding.embedded_of(batch.texts()) for batch in pending))
                if is_prepared:
                    _write_finished(pending, writer, embedding)
        raise
    _refresh(writer, refreshed)


def _write_finished(pending: Iterable[Batch], writer: Writer, embedding: BatchEmbedder) -> None:
    """Write the embedded documents in pending batches. If this fails, the next ingest embeds them again."""
    finished = Batch()
    with suppress(Exception):
        for batch in pending:
            if batch.future and batch.future.done() and not batch.future.cancelled():
                writer.write(batch.to_write(), batch.future.result())
                continue
            for result in batch.documents:
                if embedding.finished([chunk.text_to_embed for chunk in result.chunks]):
                    finished.add(result)
        if passages := embedding.finished(finished.texts()):
            writer.write(finished.to_write(), passages)


def _in_batches(
    results: Iterable[FileResult | Waiting], limits: IngestLimits
) -> Iterator[Batch | FileResult | Waiting]:
    filling = Batch()
    for step in results:
        if isinstance(step, Waiting) or step.action not in {"added", "changed"}:
            yield step
            continue
        filling.add(step)
        if filling.is_full(limits):
            yield filling
            filling = Batch()
    if filling.documents:
        yield filling


def _known_passages(batch: Batch, writer: Writer) -> dict[str, Passage]:
    """The embeddings that the store has for texts in the batch: most chunks of a changed document are unchanged."""
    changed = [result for result in batch.documents if result.action == "changed"]
    texts = {chunk.id: chunk.text_to_embed for result in changed for chunk in result.chunks}
    states = writer.catalog.token_states(texts.keys())
    return {
        texts[chunk_id]: Passage(vector, states.get(chunk_id, b""))
        for chunk_id, vector in writer.vectors(texts.keys()).items()
    }


def _refresh(writer: Writer, refreshed: list[DocumentRecord]) -> None:
    if refreshed:
        writer.touch(refreshed)
        refreshed.clear()


def as_events(
    steps: Iterable[Batch | FileResult | Waiting], limits: IngestLimits, share_done: Callable[[], float]
) -> Iterator[DocumentSeen | FileProgress]:
    """Yield the events from all steps, and progress events while waiting for a step.

    `share_done` returns the share of the current batch that has been embedded.
    """
    first_report_at = report_at = perf_counter() + limits.progress_after_s
    for step in steps:
        match step:
            case Waiting(steps=pending, is_idle=is_idle):
                if is_idle:
                    futures = [each.future for each in pending if each.future]
                    wait(futures, timeout=limits.progress_every_s, return_when=FIRST_COMPLETED)
                if pending and perf_counter() >= (report_at if is_idle else first_report_at):
                    report_at = perf_counter() + limits.progress_every_s
                    yield _progress(pending[0], share_done())
            case Batch(documents=documents):
                yield from map(_event, documents)
            case FileResult():
                yield _event(step)


def _progress(step: Step, share_done: float) -> FileProgress:
    if isinstance(step, Batch):
        return step.progress(share_done)
    assert isinstance(step, Reading)  # noqa: S101 - nothing else is waited for
    return FileProgress(source=sanitise_line(step.shown), embedded=0, chunks=0)


def _event(result: FileResult) -> DocumentSeen:
    return document_event(
        result.shown, result.action, chunks=len(result.chunks), reason=result.reason, code=result.code
    )
