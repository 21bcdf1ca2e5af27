"""Searches the documents that a filter selects."""

from collections.abc import Iterable, Iterator
from math import ceil
from typing import Final

from streamrag_cli.model import Filter
from streamrag_cli.store.document_filter import FilterRow, allowed_documents
from streamrag_cli.store.interface import FloatArray, ScoredIds, Selection
from streamrag_cli.store.postgres.manifest import Session
from streamrag_cli.store.postgres.schema import cosine, distance

_MAX_COMPARED: Final = 5000
"""The maximum number of selected vectors that are all compared with the question. With more, the index is searched."""
_SURPLUS: Final = 1.25


def select(session: Session, scope: Filter) -> Selection:
    """Return the documents that the filter allows. Raises ValueError if the store has malformed tags."""
    columns = session.columns("id, path, source, tags")
    query = f"SELECT {columns} FROM {session.table('documents')} WHERE path >= %s AND path < %s AND mtime_ns >= %s"

    def fetch(low: str, high: str, since_ns: int) -> Iterator[FilterRow]:
        return map(FilterRow._make, session.rows(query, (low, high, since_ns)))

    ids, untagged = allowed_documents(scope, fetch)
    [(chunks,)] = session.rows(f"SELECT count(*) FROM {session.table('chunks')} WHERE document_id = ANY(%s)", (ids,))
    [(total,)] = session.rows(f"SELECT chunks FROM {session.shared('epochs')} WHERE id = %s", (session.epoch,))
    return Selection(documents=tuple(ids), chunks=int(chunks), total=int(total), untagged=tuple(untagged))


def within(session: Session, chunk_ids: Iterable[str], selection: Selection) -> set[str]:
    """The ids in `chunk_ids` that belong to chunks of the selected documents."""
    query = f"SELECT chunk_id FROM {session.table('chunks')} WHERE chunk_id = ANY(%s) AND document_id = ANY(%s)"
    return {chunk_id for (chunk_id,) in session.rows(query, (list(chunk_ids), list(selection.documents)))}


def nearest_of_all(session: Session, vector: FloatArray, limit: int) -> ScoredIds:
    """Search all chunks with the vector index. Return the ids of the nearest chunks with their cosines, best first."""
    order = distance(session.conn, len(vector))
    best = f"SELECT chunk_id, embedding FROM {session.table('vectors')} ORDER BY {order} LIMIT {int(limit)}"
    query = f"SELECT chunk_id, {cosine(session.conn)} FROM ({best}) AS nearest ORDER BY 2 DESC"
    return session.rows(query, (vector, vector))


def nearest(session: Session, vector: FloatArray, limit: int, selection: Selection) -> ScoredIds:
    """Like `nearest_of_all`, but searches only chunks of the selected documents."""
    if selection.chunks > _MAX_COMPARED:
        hits = nearest_of_all(session, vector, ceil(limit * selection.total / selection.chunks * _SURPLUS))
        allowed = within(session, (chunk_id for chunk_id, _ in hits), selection)
        selected_hits = [each for each in hits if each[0] in allowed][:limit]
        if len(selected_hits) >= limit / 2:
            return selected_hits
    chunks = f"SELECT chunk_id FROM {session.table('chunks')} WHERE document_id = ANY(%s)"
    return session.rows(
        f"SELECT chunk_id, {cosine(session.conn)} AS cosine FROM {session.table('vectors')}"
        f" WHERE chunk_id IN ({chunks}) ORDER BY cosine DESC, chunk_id LIMIT {int(limit)}",
        (vector, list(selection.documents)),
    )
