"""Retrieval for follow-up questions, which may mean nothing without the conversation ("and in winter?").

The question and the two questions before it are searched as one weighted query: their words, vectors and tokens are
combined, and the new question counts four times as much as each of the others. An earlier topic hardly affects a
question with specific words of its own. A question without such words finds what the conversation is about.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from streamrag_cli.model import Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUESTION_WEIGHT: Final = 4
"""The weight of the new question; each earlier question has the weight 1. Measured: docs/retrieval.md."""
MAX_EARLIER: Final = 2
MAX_EARLIER_CHARS: Final = 400
MAX_EARLIER_WORDS: Final = 24


def earlier_questions(question: str, history: Sequence[Turn]) -> tuple[str, ...]:
    """The beginnings of the last questions of `history` that differ from `question`, newest first."""
    earlier: list[str] = []
    for turn in reversed(history):
        text = turn.question[:MAX_EARLIER_CHARS].strip()
        if text and text != question.strip() and text not in earlier:
            earlier.append(text)
        if len(earlier) == MAX_EARLIER:
            break
    return tuple(earlier)


def weighted_words(question: Sequence[str], earlier: Sequence[str]) -> list[str]:
    """The words to search for, repeated according to their weights. Only the first of the `earlier` words count."""
    if not earlier:
        return list(question)
    return [*list(question) * QUESTION_WEIGHT, *list(dict.fromkeys(earlier))[:MAX_EARLIER_WORDS]]


def weights(count: int) -> list[float]:
    """The weights of `count` questions, the new one first."""
    return [1.0, *[1 / QUESTION_WEIGHT] * (count - 1)]


def combined_vector(vectors: "Sequence[NDArray[np.float32]]", of_each: Sequence[float]) -> "NDArray[np.float32]":
    """The weighted mean of unit vectors, scaled to unit length."""
    import numpy as np

    total = np.average(vectors, axis=0, weights=of_each)
    unit: NDArray[np.float32] = (total / (np.linalg.norm(total) or 1.0)).astype(np.float32)
    return unit


def combined_terms(terms: Sequence[Mapping[str, float]], of_each: Sequence[float]) -> dict[str, float]:
    """The terms of several questions with their weights. A term of several questions gets its highest weight."""
    combined: dict[str, float] = {}
    for of_question, weight in zip(terms, of_each, strict=True):
        for term, value in of_question.items():
            combined[term] = max(combined.get(term, 0.0), weight * value)
    return combined
