"""A collection, open for writing.

The order of the writes is what makes it safe to be killed between any two of them:

1. catalog: note the new vectors as in doubt
2. Chroma:  add the new vectors
3. catalog: in one transaction, replace the documents, clear the doubt, note the former vectors as in doubt
4. Chroma:  delete the former vectors
5. catalog: clear that doubt

A reader follows the catalog, so it sees step 3 or nothing. The next writer looks at what is in doubt and
puts Chroma in line with the catalog.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from streamrag_cli.errors import StoreError
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.interface import (
    Embed,
    EmbeddedPassages,
    FloatArray,
    WrittenDocument,
    another_embedding,
    vectors_made_with,
)
from streamrag_cli.store.local import index_fingerprint
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.compaction import compact_if_worthwhile, note_dropped
from streamrag_cli.store.local.index_fingerprint import damaged_vectors
from streamrag_cli.store.local.layout import ActiveEpoch, Layout
from streamrag_cli.store.local.lock import not_writable, writing
from streamrag_cli.store.local.vectors import WritableVectors


@contextmanager
def open_for_writing(
    store: Path, collection: str, *, embedding: str, rebuild: bool = False
) -> "Iterator[CollectionWriter]":
    """As `Store.writer`: with `rebuild` into a new epoch."""
    layout = Layout(store, collection)
    with _refusals(store):
        layout.make()
    with writing(layout.directory):
        with _refusals(store):
            writer = CollectionWriter(layout, embedding=embedding, rebuild=rebuild)
        try:
            yield writer
            with _refusals(store):
                writer.finish()
        finally:
            writer.close()


def remove_collection(store: Path, collection: str) -> None:
    """Remove a collection with everything in it; it is gone in one step, and then its files. Raises StoreError."""
    layout = Layout(store, collection)
    with _refusals(store), writing(layout.directory):
        layout.remove()


@contextmanager
def _refusals(store: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise not_writable(store, error) from error


class CollectionWriter:
    """The one writer of a collection; made by `open_for_writing`."""

    def __init__(self, layout: Layout, *, embedding: str, rebuild: bool) -> None:
        self._layout = layout
        self._rebuild = rebuild
        current = None if rebuild else layout.current()
        self._epoch = current.epoch if current else layout.new_epoch()
        self._vectors: WritableVectors | None = None
        self._changed = rebuild
        self._catalog = Catalog(layout.catalog(self._epoch), write=True, create=current is None)
        try:
            self._claim(embedding)
            self._check_files()
            if current is None and not rebuild:
                layout.activate(ActiveEpoch(epoch=self._epoch, roots=()))
        except BaseException:
            self._catalog.close()
            raise
        self._remove_orphans()

    def _remove_orphans(self) -> None:
        """Remove the epochs that interrupted rebuilds have left; where it cannot be told which one counts, none."""
        with suppress(StoreError):
            current = self._layout.current()
            self._layout.remove_epochs_but(self._epoch, *([current.epoch] if current else []))

    def _claim(self, embedding: str) -> None:
        made_with = vectors_made_with(self._catalog)
        if made_with is None:
            self._catalog.set_meta("embedding", embedding)
        elif made_with != embedding:
            raise another_embedding(self._layout.collection, made_with=made_with, asked=embedding)

    def _check_files(self) -> None:
        """Refuse index files that changed since a clean end: what is written now would pass them off as sound."""
        directory = self._layout.vectors(self._epoch)
        if not index_fingerprint.are_unchanged(self._catalog, directory):
            raise damaged_vectors(directory, "its index files are not those that were written")

    def close(self) -> None:
        if self._vectors is not None:
            self._vectors.close()
        self._catalog.close()

    @property
    def catalog(self) -> Catalog:
        return self._catalog

    def repair(self, embed: Embed) -> int:
        """Put Chroma in line with the catalog after an interrupted run; return how many vectors it took.

        `embed` makes vectors anew from the catalog's own text where they are missing.
        """
        expected = self._catalog.counts().chunks
        doubted = self._catalog.pending()
        ended_cleanly = index_fingerprint.are_recorded(self._catalog)
        if not doubted and (ended_cleanly or not expected or self._open_vectors().count() == expected):
            return 0
        self._begin_change()
        there, wanted = self._open_vectors().ids(), self._catalog.chunk_ids()
        self._open_vectors().delete(sorted(there - wanted))
        missing = sorted(wanted - there)
        for start in range(0, len(missing), 256):
            stored = list(self._catalog.chunks(missing[start : start + 256]).values())
            chunks = [each.chunk for each in stored]
            self._add_vectors([each.source for each in stored], chunks, embed([each.text_to_embed for each in chunks]))
        self._catalog.clear_pending(doubted)
        self._catalog.raise_generation()
        return len(there ^ wanted)

    def get_ready(self) -> None:
        """Open Chroma, about 0.7 s in a fresh process, so that the first `write` need not."""
        if self._vectors is None:
            self._begin_change()  # opening it may change its files
            self._open_vectors()

    def vectors(self, chunk_ids: Collection[str]) -> dict[str, FloatArray]:
        known = self._catalog.known(chunk_ids)
        if not known:
            return {}
        self.get_ready()
        return self._open_vectors().get(sorted(known))

    def token_states(self, chunk_ids: Collection[str]) -> dict[str, bytes]:
        return self._catalog.token_states(chunk_ids)

    def write(self, documents: Sequence[WrittenDocument], passages: EmbeddedPassages) -> None:
        self._begin_change()
        self._check_dimension(passages.vectors)
        chunks = [chunk for _, chunks in documents for chunk in chunks]
        new = [chunk.id for chunk in chunks]
        with self._catalog.transaction():
            self._catalog.mark_pending(new)
        self._add_vectors([record.source for record, chunks in documents for _ in chunks], chunks, passages.vectors)
        with self._catalog.transaction():
            former: set[str] = set()
            at = 0
            for record, of_document in documents:
                former |= self._catalog.put(record, of_document, passages.token_states[at : at + len(of_document)])
                at += len(of_document)
            self._catalog.clear_pending(new)
            former -= set(new)
            self._catalog.mark_pending(former)
            note_dropped(self._catalog, len(former))
            self._catalog.raise_generation()
        self._drop_vectors(former)

    def remove(self, paths: Iterable[str]) -> None:
        self._begin_change()
        with self._catalog.transaction():
            former: set[str] = set()
            for path in paths:
                former |= self._catalog.remove(path)
            self._catalog.mark_pending(former)
            note_dropped(self._catalog, len(former))
            self._catalog.raise_generation()
        self._drop_vectors(former)

    def touch(self, records: Iterable[DocumentRecord]) -> None:
        with self._catalog.transaction():
            for record in records:
                self._catalog.touch(record)

    def add_roots(self, roots: Iterable[str]) -> None:
        with self._catalog.transaction():
            for root in roots:
                self._catalog.add_root(root)
        self._note_roots()

    def remove_roots(self, roots: Iterable[str]) -> None:
        with self._catalog.transaction():
            self._catalog.remove_roots(roots)
        self._note_roots()

    def _note_roots(self) -> None:
        """Have the roots known where a rebuild looks for them, though this run may be broken off."""
        roots = tuple(self._catalog.roots())
        if not self._rebuild and self._layout.current() != (current := ActiveEpoch(epoch=self._epoch, roots=roots)):
            self._layout.activate(current)

    def finish(self) -> None:
        """A clean end: note the state of the index files and, after a rebuild, let the new epoch count."""
        if self._vectors is not None:
            self._vectors.close()
            self._vectors = None
        if self._changed:
            index_fingerprint.note(self._catalog, self._layout.vectors(self._epoch))
        self._catalog.set_meta("last_ingest", datetime.now(UTC).isoformat(timespec="seconds"))
        if self._rebuild:
            self._layout.activate(ActiveEpoch(epoch=self._epoch, roots=tuple(self._catalog.roots())))
            self._layout.remove_epochs_but(self._epoch)
        compact_if_worthwhile(self._catalog, self._layout.vectors(self._epoch))

    def _begin_change(self) -> None:
        self._changed = True
        index_fingerprint.forget(self._catalog)

    def _check_dimension(self, vectors: FloatArray) -> None:
        known = self._catalog.meta("dimension")
        dimension = str(vectors.shape[1])
        if known is None and len(vectors):
            self._catalog.set_meta("dimension", dimension)
        elif len(vectors) and known != dimension:
            raise another_embedding(
                self._layout.collection, made_with=f"{known} dimensions", asked=f"{dimension} dimensions"
            )

    def _add_vectors(self, sources: Sequence[str], chunks: Sequence[Chunk], vectors: FloatArray) -> None:
        if not chunks:
            return
        metadatas = [_metadata(source, chunk) for source, chunk in zip(sources, chunks, strict=True)]
        texts = [chunk.text_to_embed for chunk in chunks]
        self._open_vectors().add([chunk.id for chunk in chunks], texts, metadatas, vectors)

    def _drop_vectors(self, former: set[str]) -> None:
        if former:
            self._open_vectors().delete(sorted(former))
            self._catalog.clear_pending(former)

    def _open_vectors(self) -> WritableVectors:
        if self._vectors is None:
            empty = not self._catalog.counts().chunks  # else it was there, and if it is not now, that is damage
            self._vectors = WritableVectors(self._layout.vectors(self._epoch), self._layout.collection, create=empty)
        return self._vectors


def _metadata(source: str, chunk: Chunk) -> dict[str, str | int]:
    """What a foreign LangChain program sees of a chunk; Chroma takes no None."""
    found = {
        "source": source,
        "title": chunk.title,
        "page": chunk.page,
        "line_start": chunk.line_start,
        "line_end": chunk.line_end,
        "char_start": chunk.char_start,
        "char_end": chunk.char_end,
    }
    return {key: value for key, value in found.items() if value is not None}
