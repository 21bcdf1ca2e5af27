"""What a score means: how likely it is that a chunk bears on the question, judged the same way for every question.

The fused scores that rank the chunks are scaled to the best hit, so the best of a hopeless lot looks like the best
of a good one. A score therefore rests on two figures that need no other hit to compare with: the cosine, and how
much of the question's weight the chunk's words cover.

The curve was fitted on questions with known answers against questions about something else, and rounded; how, and
how well it separates them, is in `docs/retrieval.md`.
"""

from collections.abc import Mapping
from math import exp, log
from typing import Final

_PER_COSINE: Final = 8.0
_PER_COVERAGE: Final = 4.0
_THRESHOLD: Final = 4.8  # where a chunk is as likely to bear on the question as not
_PER_WORDS: Final = 8.0
_IMAGINED_CHUNKS: Final = 1000


def relevance(*, cosine: float, coverage: float) -> float:
    """A score from 0 to 1, from the cosine of question and chunk and the share of the question that the chunk covers.

    >>> round(relevance(cosine=0.7, coverage=1.0), 2), round(relevance(cosine=0.2, coverage=0.25), 2)
    (0.99, 0.1)
    """
    return 1 / (1 + exp(_THRESHOLD - _PER_COSINE * cosine - _PER_COVERAGE * coverage))


def relevance_of_words(coverage: float) -> float:
    """A score from the share of the question that the chunk covers alone, for text that the embedder cannot judge.

    >>> [round(relevance_of_words(covered), 2) for covered in (0.2, 0.5, 0.8)]
    [0.08, 0.5, 0.92]
    """
    return 1 / (1 + exp(_PER_WORDS * (0.5 - coverage)))


def term_weight(frequency: int, chunks: int) -> float:
    """How telling a term is that stands in `frequency` of `chunks` chunks: its inverse document frequency.

    A thousand imagined chunks without the term are added: in a store of three chunks, a word that stands in all of
    them would otherwise tell nothing, and one that stands in none would tell everything.
    """
    return log(1 + (_IMAGINED_CHUNKS + chunks - frequency + 0.5) / (frequency + 0.5))


def coverage(words: frozenset[str], weights: Mapping[str, float]) -> float:
    """The share, 0 to 1, of the terms' weight that `words` hold. Without any term there is nothing to cover."""
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in words) / total if total else 0.0
