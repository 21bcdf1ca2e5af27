"""A local collection, open for writing.

The order of the writes makes it safe to kill the process between any two of them:

1. catalog: mark the new vectors as pending
2. Chroma:  add the new vectors
3. catalog: in one transaction, replace the documents, remove the marks from the new vectors, and mark the former ones
4. Chroma:  delete the former vectors
5. catalog: remove the marks from the former vectors

Readers use the catalog, so they see the state before or after step 3. If any vectors are still pending, the next writer
syncs Chroma with the catalog.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from streamrag_cli.errors import StoreError
from streamrag_cli.model import Chunk, DocumentRecord, UnreadFile
from streamrag_cli.store.interface import (
    Embed,
    EmbeddedPassages,
    FloatArray,
    WrittenDocument,
    bound_embedding,
    dimension_mismatch,
    embedding_mismatch,
)
from streamrag_cli.store.local import index_fingerprint
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.compaction import compact_if_worthwhile, count_deleted
from streamrag_cli.store.local.index_fingerprint import damaged_vectors
from streamrag_cli.store.local.layout import ActiveEpoch, Layout
from streamrag_cli.store.local.lock import not_writable, writing
from streamrag_cli.store.local.vector_fingerprints import changed_vectors, fingerprints
from streamrag_cli.store.local.vectors import WritableVectors


@contextmanager
def open_for_writing(
    store: Path, collection: str, *, embedding: str, rebuild: bool = False
) -> "Iterator[CollectionWriter]":
    """Like `Store.writer`. With `rebuild`, writes go to a new epoch."""
    layout = Layout(store, collection)
    with _translate_os_errors(store):
        layout.make()
    with writing(layout.directory):
        with _translate_os_errors(store):
            writer = CollectionWriter(layout, embedding=embedding, rebuild=rebuild)
        try:
            yield writer
            with _translate_os_errors(store):
                writer.finish()
        finally:
            writer.close()


def remove_collection(store: Path, collection: str) -> list[Path]:
    """Deactivate a collection in one step, then delete its files. Return the kept entries. Raises StoreError."""
    layout = Layout(store, collection)
    with _translate_os_errors(store), writing(layout.directory):
        return layout.remove()


@contextmanager
def _translate_os_errors(store: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise not_writable(store, error) from error


class CollectionWriter:
    """A collection's only writer; `open_for_writing` creates it."""

    def __init__(self, layout: Layout, *, embedding: str, rebuild: bool) -> None:
        self._layout = layout
        self._rebuild = rebuild
        active = None if rebuild else layout.active_epoch()
        self._epoch = active.epoch if active else layout.new_epoch()
        self._vectors: WritableVectors | None = None
        self._changed = rebuild
        self._catalog = Catalog(layout.catalog(self._epoch), write=True, create=active is None)
        try:
            self._bind_embedding(embedding)
            self._check_files()
            if active is None and not rebuild:
                layout.activate(ActiveEpoch(epoch=self._epoch, roots=()))
        except BaseException:
            self._catalog.close()
            raise
        self._remove_orphans()

    def _remove_orphans(self) -> None:
        """Remove the epochs left by interrupted rebuilds. Remove none if the active epoch cannot be determined."""
        with suppress(StoreError):
            active = self._layout.active_epoch()
            self._layout.remove_other_epochs(self._epoch, *([active.epoch] if active else []))

    def _bind_embedding(self, embedding: str) -> None:
        made_with = bound_embedding(self._catalog)
        if made_with is None:
            self._catalog.set_meta("embedding", embedding)
        elif made_with != embedding:
            raise embedding_mismatch(self._layout.collection, stored=made_with, requested=embedding)

    def _check_files(self) -> None:
        """Raise StoreError if the index files have changed since the last ingest.

        Otherwise, `finish` would record the fingerprint of damaged files.
        """
        directory = self._layout.vectors(self._epoch)
        if not index_fingerprint.are_unchanged(self._catalog, directory):
            raise damaged_vectors(directory, "the index files have changed since they were written")

    def close(self) -> None:
        if self._vectors is not None:
            self._vectors.close()
        self._catalog.close()

    @property
    def catalog(self) -> Catalog:
        return self._catalog

    def repair(self, embed: Embed) -> int:
        """Sync Chroma with the catalog after an interrupted ingest. Return the number of added and removed vectors.

        Missing vectors are computed with `embed` from the text in the catalog.
        """
        expected = self._catalog.counts().chunks
        pending = self._catalog.pending()
        ended_cleanly = index_fingerprint.are_recorded(self._catalog)
        if not pending and (ended_cleanly or not expected or self._open_vectors().count() == expected):
            return 0
        self._begin_change()
        vector_ids, chunk_ids = self._open_vectors().ids(), self._catalog.chunk_ids()
        self._open_vectors().delete(sorted(vector_ids - chunk_ids))
        missing = sorted(chunk_ids - vector_ids)
        for start in range(0, len(missing), 256):
            stored = list(self._catalog.chunks(missing[start : start + 256]).values())
            chunks = [each.chunk for each in stored]
            vectors = embed([each.text_to_embed for each in chunks])
            with self._catalog.transaction():
                self._catalog.set_vector_fingerprints([each.id for each in chunks], fingerprints(vectors))
            self._add_vectors([each.source for each in stored], chunks, vectors)
        self._catalog.clear_pending(pending)
        self._catalog.increment_generation()
        return len(vector_ids ^ chunk_ids)

    def prepare(self) -> None:
        """Open Chroma before the first `write`. This takes about 0.7 s in a new process."""
        if self._vectors is None:
            self._begin_change()  # opening Chroma may change its files
            self._open_vectors()

    def vectors(self, chunk_ids: Collection[str]) -> dict[str, FloatArray]:
        known = self._catalog.existing(chunk_ids)
        if not known:
            return {}
        self.prepare()
        changed: list[str] = []
        expected = self._catalog.vector_fingerprints(known)
        vectors = self._open_vectors().get(
            sorted(known), lambda ids, rows: changed.extend(changed_vectors(ids, rows, expected))
        )
        if changed:
            why = f"{len(changed)} of {len(vectors)} vectors have changed since they were written"
            raise damaged_vectors(self._layout.vectors(self._epoch), why)
        return vectors

    def write(self, documents: Sequence[WrittenDocument], passages: EmbeddedPassages) -> None:
        self._begin_change()
        self._check_dimension(passages.vectors)
        chunks = [chunk for _, chunks in documents for chunk in chunks]
        new = [chunk.id for chunk in chunks]
        with self._catalog.transaction():
            self._catalog.mark_pending(new)
        self._add_vectors([record.source for record, chunks in documents for _ in chunks], chunks, passages.vectors)
        checksums = fingerprints(passages.vectors) if chunks else []
        with self._catalog.transaction():
            former: set[str] = set()
            at = 0
            for record, of_document in documents:
                part = slice(at, at + len(of_document))
                former |= self._catalog.put(record, of_document, passages.token_states[part], checksums[part])
                at += len(of_document)
            self._catalog.clear_pending(new)
            former -= set(new)
            self._catalog.mark_pending(former)
            count_deleted(self._catalog, len(former))
            self._catalog.increment_generation()
        self._delete_vectors(former)

    def remove(self, paths: Iterable[str]) -> None:
        self._begin_change()
        with self._catalog.transaction():
            former: set[str] = set()
            for path in paths:
                former |= self._catalog.remove(path)
            self._catalog.mark_pending(former)
            count_deleted(self._catalog, len(former))
            self._catalog.increment_generation()
        self._delete_vectors(former)

    def touch(self, records: Iterable[DocumentRecord]) -> None:
        with self._catalog.transaction():
            for record in records:
                self._catalog.touch(record)

    def add_roots(self, roots: Iterable[str]) -> None:
        with self._catalog.transaction():
            for root in roots:
                self._catalog.add_root(root)
        self._save_roots()

    def remove_roots(self, roots: Iterable[str]) -> None:
        with self._catalog.transaction():
            self._catalog.remove_roots(roots)
        self._save_roots()

    def record_unread(self, roots: Sequence[str], files: Sequence[UnreadFile]) -> None:
        with self._catalog.transaction():
            self._catalog.record_unread(roots, files)

    def set_cosine_range(self, cosine_range: str) -> None:
        self._catalog.set_meta("cosine_range", cosine_range)

    def _save_roots(self) -> None:
        """Save the roots in `current.json` immediately. After an interrupted run, a rebuild reads them from there."""
        active = ActiveEpoch(epoch=self._epoch, roots=tuple(self._catalog.roots()))
        if not self._rebuild and self._layout.active_epoch() != active:
            with _translate_os_errors(self._layout.store):
                self._layout.activate(active)

    def finish(self) -> None:
        """Record the fingerprint of the index files and, after a rebuild, activate the new epoch."""
        if self._vectors is not None:
            self._vectors.close()
            self._vectors = None
        if self._changed:
            index_fingerprint.record(self._catalog, self._layout.vectors(self._epoch))
        self._catalog.set_meta("last_ingest", datetime.now(UTC).isoformat(timespec="seconds"))
        if self._rebuild:
            self._layout.activate(ActiveEpoch(epoch=self._epoch, roots=tuple(self._catalog.roots())))
            self._layout.remove_other_epochs(self._epoch)
        compact_if_worthwhile(self._catalog, self._layout.vectors(self._epoch))

    def _begin_change(self) -> None:
        self._changed = True
        index_fingerprint.clear(self._catalog)

    def _check_dimension(self, vectors: FloatArray) -> None:
        if not len(vectors):
            return
        known, dimension = self._catalog.meta("dimension"), vectors.shape[1]
        if known is None:
            self._catalog.set_meta("dimension", str(dimension))
        elif known != str(dimension):
            raise dimension_mismatch(self._layout.collection, stored=known, returned=dimension)

    def _add_vectors(self, sources: Sequence[str], chunks: Sequence[Chunk], vectors: FloatArray) -> None:
        if not chunks:
            return
        metadatas = [_metadata(source, chunk) for source, chunk in zip(sources, chunks, strict=True)]
        texts = [chunk.text_to_embed for chunk in chunks]
        self._open_vectors().add([chunk.id for chunk in chunks], texts, metadatas, vectors)

    def _delete_vectors(self, former: set[str]) -> None:
        if former:
            self._open_vectors().delete(sorted(former))
            self._catalog.clear_pending(former)

    def _open_vectors(self) -> WritableVectors:
        if self._vectors is None:
            empty = (
                not self._catalog.counts().chunks
            )  # if the catalog has chunks, a missing Chroma collection is damage
            self._vectors = WritableVectors(self._layout.vectors(self._epoch), self._layout.collection, create=empty)
        return self._vectors


def _metadata(source: str, chunk: Chunk) -> dict[str, str | int]:
    """A chunk's metadata for other LangChain programs. It omits missing values, because Chroma rejects None."""
    values = {
        "source": source,
        "title": chunk.title,
        "page": chunk.page,
        "line_start": chunk.line_start,
        "line_end": chunk.line_end,
        "char_start": chunk.char_start,
        "char_end": chunk.char_end,
    }
    return {key: value for key, value in values.items() if value is not None}
