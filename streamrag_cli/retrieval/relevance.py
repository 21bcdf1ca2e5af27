"""What a score means."""

from dataclasses import dataclass
from math import exp


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one chunk and one question.

    `cosine` is that of their vectors. `lexical` is the chunk's BM25 divided by the summed inverse document
    frequency of the question's terms: about 1 where a chunk of usual length has every term once.
    """

    cosine: float
    lexical: float


def relevance(evidence: Evidence) -> float:
    return 1 / (1 + exp(-(8 * (evidence.cosine - 0.4) + 2 * (evidence.lexical - 0.5))))
