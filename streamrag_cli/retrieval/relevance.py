"""Scores of hits: the probability that a chunk is relevant, comparable between questions.

Chunks are ranked by fused scores, which are relative to the best hit, so the best of many irrelevant chunks looks as
good as a relevant one. The score that is shown is therefore computed from two values that do not depend on other hits:
the cosine, and the share of the question that the chunk's words cover.

The curves were fitted on questions with known answers and on off-topic questions; see `docs/retrieval.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Final

from streamrag_cli.retrieval.embedder import MULTILINGUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How cosine and coverage become a score.

    At `per_cosine * cosine + per_coverage * coverage = threshold` a chunk is as likely to be relevant as not.
    """

    per_cosine: float
    per_coverage: float
    threshold: float


_CURVE: Final = Curve(per_cosine=8.0, per_coverage=4.0, threshold=4.8)
_CURVES: Final = {MULTILINGUAL: Curve(per_cosine=16.0, per_coverage=1.0, threshold=5.0)}
_PER_WORDS: Final = 8.0
_SMOOTHING_CHUNKS: Final = 1000


def curve_of(embedding: str) -> Curve:
    """The curve for the cosines of an embedder."""
    return _CURVES.get(embedding, _CURVE)


def relevance(*, cosine: float, coverage: float, curve: Curve = _CURVE) -> float:
    """A score from 0 to 1, from the cosine of question and chunk and the share of the question that the chunk covers.

    >>> round(relevance(cosine=0.7, coverage=1.0), 2), round(relevance(cosine=0.2, coverage=0.25), 2)
    (0.99, 0.1)
    """
    return 1 / (1 + exp(curve.threshold - curve.per_cosine * cosine - curve.per_coverage * coverage))


def relevance_of_words(coverage: float) -> float:
    """A score from the coverage only, for text in a script that the embedder does not support.

    >>> [round(relevance_of_words(covered), 2) for covered in (0.2, 0.5, 0.8)]
    [0.08, 0.5, 0.92]
    """
    return 1 / (1 + exp(_PER_WORDS * (0.5 - coverage)))


def term_weight(frequency: int, chunks: int) -> float:
    """The inverse document frequency of a term that occurs in `frequency` of `chunks` chunks.

    It is smoothed by a thousand imaginary chunks without the term. Otherwise, in a store of three chunks, a word that
    occurs in all of them would have no weight, and one that occurs in none would dominate.
    """
    return log(1 + (_SMOOTHING_CHUNKS + chunks - frequency + 0.5) / (frequency + 0.5))


def coverage(words: frozenset[str], weights: Mapping[str, float]) -> float:
    """The share of the total weight of all terms that is covered by `words`, 0 to 1; 0 if there are no terms."""
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in words) / total if total else 0.0
