"""The last stages of an ingest: files that were examined go into the store in batches, and become events.

The events are in the order of a run that does one thing after the other: a document when its batch is safe, anything
else at once, but never before a batch that was full by then. The store is used by the caller's thread alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
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
    """Documents that are written together; `future` is what is made of them, once they are with the embedder."""

    documents: list[FileResult] = field(default_factory=list)
    chunks: int = 0
    future: Future[EmbeddedPassages] | None = None

    def add(self, examined: FileResult) -> None:
        self.documents.append(examined)
        self.chunks += len(examined.chunks)

    def is_full(self, limits: IngestLimits) -> bool:
        return max(self.chunks, len(self.documents)) >= limits.batch_chunks

    def texts(self) -> list[str]:
        return [chunk.text_to_embed for examined in self.documents for chunk in examined.chunks]

    def to_write(self) -> list[tuple[DocumentRecord, Sequence[Chunk]]]:
        return [(examined.record, examined.chunks) for examined in self.documents if examined.record]

    def progress(self, share: float) -> FileProgress:
        """Of its largest document, if `share` of the batch is embedded."""
        largest = max(self.documents, key=lambda each: len(each.chunks))
        count = len(largest.chunks)
        return FileProgress(source=sanitise_line(largest.shown), embedded=int(count * share), chunks=count)


def write(
    examined: Iterable[FileResult | Waiting], writer: Writer, embedding: BatchEmbedder, limits: IngestLimits
) -> Iterator[Batch | FileResult | Waiting]:
    """Embed and write documents; each batch is yielded when it is safe, what need not be written as it comes."""

    def embed(step: Batch | FileResult) -> Batch | FileResult:
        if isinstance(step, Batch):
            step.future = embedding.begin(step.texts(), _known_passages(step, writer))
            writer.prepare()  # takes its time at the first batch, which is being embedded by then
        return step

    def weight(step: Batch | FileResult) -> int:
        return limits.events_ahead // (limits.batches_ahead + 1) if isinstance(step, Batch) else 1

    renewed: list[DocumentRecord] = []
    for step in prefetch(_in_batches(examined, limits), embed, weight=weight, size=limits.events_ahead):
        if isinstance(step, Batch) and step.future:
            writer.write(step.to_write(), step.future.result())
            _touch(writer, renewed)
        elif isinstance(step, FileResult) and step.record:
            renewed.append(step.record)
        yield step
    _touch(writer, renewed)


def _in_batches(
    examined: Iterable[FileResult | Waiting], limits: IngestLimits
) -> Iterator[Batch | FileResult | Waiting]:
    filling = Batch()
    for step in examined:
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
    """What the store has already, by text: most chunks of a changed document are as they were."""
    changed = [examined for examined in batch.documents if examined.action == "changed"]
    texts = {chunk.id: chunk.text_to_embed for examined in changed for chunk in examined.chunks}
    states = writer.token_states(texts.keys())
    return {
        texts[chunk_id]: Passage(vector, states.get(chunk_id, b""))
        for chunk_id, vector in writer.vectors(texts.keys()).items()
    }


def _touch(writer: Writer, renewed: list[DocumentRecord]) -> None:
    if renewed:
        writer.touch(renewed)
        renewed.clear()


def as_events(
    steps: Iterable[Batch | FileResult | Waiting], limits: IngestLimits, share_done: Callable[[], float]
) -> Iterator[DocumentSeen | FileProgress]:
    """Each step as events, and progress if it takes long; `share_done` is of the batch that is being embedded."""
    since: dict[Step, float] = {}
    for step in steps:
        match step:
            case Waiting(steps=awaited):
                since = {each: since.get(each) or perf_counter() for each in awaited}
                futures = [each.future for each in awaited if each.future]
                if not wait(futures, timeout=limits.progress_every_s, return_when=FIRST_COMPLETED).done:
                    quiet_since = perf_counter() - limits.progress_after_s
                    slow = [each for each in awaited if since[each] < quiet_since]
                    yield from (_progress(each, share_done()) for each in slow[:1])
            case Batch(documents=documents):
                yield from map(_event, documents)
            case FileResult():
                yield _event(step)


def _progress(step: Step, share_done: float) -> FileProgress:
    if isinstance(step, Batch):
        return step.progress(share_done)
    assert isinstance(step, Reading)  # noqa: S101 - nothing else is waited for
    return FileProgress(source=sanitise_line(step.shown), embedded=0, chunks=0)


def _event(examined: FileResult) -> DocumentSeen:
    return document_event(
        examined.shown, examined.action, chunks=len(examined.chunks), reason=examined.reason, code=examined.code
    )
