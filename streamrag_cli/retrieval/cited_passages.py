"""Looks up the passages that the previous answer cites, for an answer that continues it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from streamrag_cli.model import Filter, Hit
from streamrag_cli.retrieval.calibration import score_curve
from streamrag_cli.retrieval.embedder import BUILTIN, Embedder
from streamrag_cli.retrieval.lexical import is_outside_latin
from streamrag_cli.retrieval.near_duplicates import FindMissing
from streamrag_cli.retrieval.relevance import coverage, relevance_of_words
from streamrag_cli.retrieval.search import NO_FILTER, Retrieved, select
from streamrag_cli.store.interface import Reader, StoredChunk
from streamrag_cli.store.stemming import stems
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit

MAX_PASSAGES: Final = 3


def cited_passages(
    reader: Reader,
    embedder: Embedder,
    retrieved: Retrieved,
    chunk_ids: Sequence[str],
    *,
    scope: Filter = NO_FILTER,
    find_missing: FindMissing | None = None,
    cancellation: Cancellation | None = None,
) -> Retrieved:
    """Return a copy of `retrieved` whose only hits are the cited passages, ranked after the hits of `retrieved`.

    At most `MAX_PASSAGES` are returned. Passages that are already hits, no longer exist or are outside `scope` are left
    out. The passages are scored like hits, but never higher than the last hit of `retrieved`.
    """
    own = {hit.chunk.id for hit in retrieved.hits}
    ids_to_add = [chunk_id for chunk_id in dict.fromkeys(chunk_ids) if chunk_id not in own]
    if not ids_to_add:
        return replace(retrieved, hits=())
    with reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
        selection = select(reader, scope)
        stored = reader.catalog.chunks(reader.within(ids_to_add, selection) if selection else ids_to_add)
        ids = [chunk_id for chunk_id in ids_to_add if chunk_id in stored][:MAX_PASSAGES]
        cosines = reader.cosines(retrieved.question_vector, ids) if ids else {}
        curve = score_curve(embedder, reader.catalog)
        states = reader.catalog.token_states(ids) if retrieved.token_states else {}
    # A document in a new language may have been added after the search.
    chunks = [stored[each] for each in ids if each in cosines and stored[each].language in retrieved.term_weights]
    missing = find_missing(each.path for each in chunks) if find_missing else ()
    words = stems([each.chunk.text_to_embed for each in chunks], [each.language for each in chunks])
    last = retrieved.hits[-1] if retrieved.hits else None
    hits: list[Hit] = []
    for each, of_chunk in zip(chunks, words, strict=True):
        covered = coverage(frozenset(of_chunk), retrieved.term_weights[each.language])
        is_unjudged = retrieved.is_lexical_only or (embedder.name == BUILTIN and is_outside_latin(each.chunk.text))
        score = (
            relevance_of_words(covered) if is_unjudged else curve.score(cosine=cosines[each.chunk.id], coverage=covered)
        )
        hits.append(_hit(each, score, last, is_missing=each.path in missing))
        last = hits[-1]
    return replace(retrieved, hits=tuple(hits), token_states=states)


def _hit(stored: StoredChunk, score: float, before: Hit | None, *, is_missing: bool) -> Hit:
    """Turn a stored passage into a hit that is ranked after the hit `before`."""
    return Hit(
        chunk=stored.chunk,
        source=stored.source,
        path=stored.path,
        score=min(score, before.score) if before else score,
        rank=before.rank + 1 if before else 1,
        is_missing=is_missing,
        language=stored.language,
    )
