"""Computes the scores of hits, which estimate the probability that a chunk is relevant.

Chunks are ranked by fused scores, which are relative to the best hit, so the best of many irrelevant chunks looks as
good as a relevant one. The score that is shown is comparable between questions. It is computed from two values that do
not depend on other hits: the cosine, and the share of the question that the chunk's words cover.

The built-in embedder's curve was fitted to questions with known answers and off-topic questions (see
`docs/retrieval.md`). For embedders without a curve of their own, `calibration` adapts it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Any, Final, TypeVar

Cosine = TypeVar("Cosine", float, Any)
_PER_WORDS: Final = 8.0
_SMOOTHING_CHUNKS: Final = 1000


@dataclass(frozen=True, slots=True)
class ScoreCurve:
    """A logistic curve. The score is 0.5 if `bias + per_cosine * cosine + per_coverage * coverage` is 0."""

    bias: float
    per_cosine: float
    per_coverage: float

    def score(self, *, cosine: float, coverage: float) -> float:
        """The score (0 to 1) of a chunk with this cosine to the question and this coverage of the question's terms.

        >>> [round(BUILTIN_CURVE.score(cosine=cosine, coverage=share), 2) for cosine, share in ((0.7, 1), (0.2, 0.25))]
        [0.99, 0.1]
        """
        return 1 / (1 + exp(-self.bias - self.per_cosine * cosine - self.per_coverage * coverage))

    def builtin_cosine(self, cosine: Cosine) -> Cosine:
        """Convert `cosine` to the built-in embedder's cosine that contributes as much to the score.

        This makes cosines from different embedders comparable. `cosine` may be a number or an array.
        """
        return (self.bias - BUILTIN_CURVE.bias + self.per_cosine * cosine) / BUILTIN_CURVE.per_cosine


BUILTIN_CURVE: Final = ScoreCurve(bias=-4.8, per_cosine=8.0, per_coverage=4.0)


def relevance_of_words(coverage: float) -> float:
    """The score of text in a script that the embedder does not support, computed only from the coverage.

    >>> [round(relevance_of_words(covered), 2) for covered in (0.2, 0.5, 0.8)]
    [0.08, 0.5, 0.92]
    """
    return 1 / (1 + exp(_PER_WORDS * (0.5 - coverage)))


def term_weight(frequency: int, chunks: int) -> float:
    """The inverse document frequency of a term that occurs in `frequency` of `chunks` chunks.

    The frequency is smoothed by adding a thousand imaginary chunks without the term. Otherwise, in a store of three
    chunks, a word that occurs in all of them would have no weight, and a word that occurs in none would dominate.
    """
    return log(1 + (_SMOOTHING_CHUNKS + chunks - frequency + 0.5) / (frequency + 0.5))


def coverage(words: frozenset[str], weights: Mapping[str, float]) -> float:
    """The weight of the terms in `words` as a share of the total weight, from 0 to 1. It is 0 if there are no terms."""
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in words) / total if total else 0.0
