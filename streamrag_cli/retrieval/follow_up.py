"""The hits for a question of a conversation: it may say nothing without the question before it ("and in winter?").

Two searches, one for the question alone and one for both questions, are fused by rank. A question that stands alone
scores high by itself, and then counts for more: the topic before it is not what it asks about.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Final

from streamrag_cli.model import Hit
from streamrag_cli.retrieval.search import Retrieved

MOST_CHARS_BEFORE: Final = 2000
_RANK_OFFSET: Final = 10
_STANDS_ALONE: Final = 0.9  # measured, like the weights: docs/retrieval.md
_WEIGHTS_IF_ALONE: Final = (3.0, 1.0)
_WEIGHTS: Final = (1.0, 1.5)


def fuse(alone: Retrieved, together: Retrieved, *, limit: int) -> Retrieved:
    """The `limit` best of the hits for the question alone and for both questions together.

    Vector and weights of terms are those of the question, unless nothing was found for it alone.
    """
    basis = alone if alone.hits else together
    weights = _WEIGHTS_IF_ALONE if alone.best_score >= _STANDS_ALONE else _WEIGHTS
    points: defaultdict[str, float] = defaultdict(float)
    best: dict[str, Hit] = {}
    for found, weight in zip((alone, together), weights, strict=True):
        for hit in found.hits:
            points[hit.chunk.id] += weight / (_RANK_OFFSET + hit.rank)
            if hit.chunk.id not in best or hit.score > best[hit.chunk.id].score:
                best[hit.chunk.id] = hit
    order = sorted(best, key=lambda chunk_id: (-points[chunk_id], chunk_id))[:limit]
    return replace(
        basis,
        hits=_ranked([best[chunk_id] for chunk_id in order]),
        best_score=max(alone.best_score, together.best_score),
        token_states={**together.token_states, **alone.token_states},
        spent_ms={step: ms + together.spent_ms.get(step, 0.0) for step, ms in alone.spent_ms.items()},
    )


def _ranked(hits: list[Hit]) -> tuple[Hit, ...]:
    """In this order; none scores above one that is ranked before it."""
    ranked: list[Hit] = []
    for hit in hits:
        ceiling = ranked[-1].score if ranked else 1.0
        ranked.append(replace(hit, rank=len(ranked) + 1, score=min(hit.score, ceiling)))
    return tuple(ranked)
