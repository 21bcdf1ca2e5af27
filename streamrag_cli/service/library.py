"""Reads passages and documents of a collection from its catalog, without vectors, an embedder or a model."""

from streamrag_cli.errors import UsageError
from streamrag_cli.model import Passage, Selection
from streamrag_cli.store.interface import Manifest, StoredChunk
from streamrag_cli.text import sanitise, sanitise_line


def read(manifest: Manifest, selection: Selection) -> Passage:
    """The selected text. Raises UsageError `no_such_passage`, and the errors of the store."""
    stored = manifest.chunks([selection.chunk_id]).get(selection.chunk_id)
    if stored is None:
        raise UsageError(
            f"no passage has the id {sanitise_line(selection.chunk_id)[:80]!r}",
            code="no_such_passage",
            hint="search again, because an id changes with the document: streamrag search QUERY",
        )
    return _passage(stored)


def _passage(stored: StoredChunk) -> Passage:
    chunk = stored.chunk
    return Passage(
        source=sanitise_line(stored.source),
        title=sanitise_line(chunk.title),
        page=chunk.page,
        line_start=chunk.line_start,
        line_end=chunk.line_end,
        text=sanitise(chunk.text),
        chunk_id=chunk.id,
        path=stored.path,
    )
