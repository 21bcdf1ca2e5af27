"""Retrieval for follow-up questions, which may mean nothing without the previous question ("and in winter?").

Two searches are run: one for the new question, and one for both questions together. Their hits are combined by rank. If
the new question has a hit with a high score, it is self-contained. Its own hits then get more weight, because the topic
may have changed.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Final

from streamrag_cli.model import Hit
from streamrag_cli.retrieval.search import Retrieved

MAX_PREVIOUS_CHARS: Final = 2000
_RANK_OFFSET: Final = 10
_SELF_CONTAINED_SCORE: Final = 0.9  # measured, like the weights: docs/retrieval.md
_SELF_CONTAINED_WEIGHTS: Final = (3.0, 1.0)
_WEIGHTS: Final = (1.0, 1.5)


def fuse(single: Retrieved, combined: Retrieved, *, limit: int) -> Retrieved:
    """The `limit` best hits of the searches for the question (`single`) and for both questions (`combined`).

    The vector and the term weights are those of `single`, or of `combined` if `single` has no hits.
    """
    basis = single if single.hits else combined
    weights = _SELF_CONTAINED_WEIGHTS if single.best_score >= _SELF_CONTAINED_SCORE else _WEIGHTS
    points: defaultdict[str, float] = defaultdict(float)
    best: dict[str, Hit] = {}
    for retrieved, weight in zip((single, combined), weights, strict=True):
        for hit in retrieved.hits:
            points[hit.chunk.id] += weight / (_RANK_OFFSET + hit.rank)
            if hit.chunk.id not in best or hit.score > best[hit.chunk.id].score:
                best[hit.chunk.id] = hit
    order = sorted(best, key=lambda chunk_id: (-points[chunk_id], chunk_id))[:limit]
    return replace(
        basis,
        hits=_ranked([best[chunk_id] for chunk_id in order]),
        best_score=max(single.best_score, combined.best_score),
        token_states={**combined.token_states, **single.token_states},
        spent_ms={step: ms + combined.spent_ms.get(step, 0.0) for step, ms in single.spent_ms.items()},
    )


def _ranked(hits: list[Hit]) -> tuple[Hit, ...]:
    """Number the hits in this order, and lower scores so that no hit scores higher than the hit before it."""
    ranked: list[Hit] = []
    for hit in hits:
        ceiling = ranked[-1].score if ranked else 1.0
        ranked.append(replace(hit, rank=len(ranked) + 1, score=min(hit.score, ceiling)))
    return tuple(ranked)
