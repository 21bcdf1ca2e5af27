"""Late interaction: compares every token in the question with every token in a passage.

The embedder computes a vector, called the state, for each token of a text. The text's vector is the mean of these
states. For passages, the signs of the states are stored as well: one bit per dimension, 48 bytes per token. They
preserve details that are lost in a mean, such as which of two names a passage is about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class QuestionTokens:
    """The tokens of a question, without special tokens.

    `states` has the shape (tokens, dimension) and rows of unit length. `spans` are the start and end offsets of the
    tokens in the question.
    """

    states: "NDArray[np.float32]"
    spans: Sequence[tuple[int, int]]


def packed(states: "NDArray[np.float32]") -> bytes:
    """Pack the signs of `states`, whose shape is (tokens, dimension), into `dimension / 8` bytes per token.

    `dimension` must be a multiple of 8.
    """
    import numpy as np

    return np.packbits((states > 0).ravel()).tobytes()  # faster than row by row, with the same result


def unpacked(signs: bytes, dimension: int) -> "NDArray[np.uint8]":
    """The signs as an array with one row per token: 1 for each positive component of its state, else 0."""
    import numpy as np

    return np.unpackbits(np.frombuffer(signs, dtype=np.uint8)).reshape(-1, dimension)


def late_interaction(
    question: QuestionTokens, weights: "NDArray[np.float32]", passages: Mapping[str, bytes]
) -> dict[str, float]:
    """The score of each passage: the weighted mean of the best cosine of each question token with a passage token.

    `weights` has one value per token in the question. `passages` maps chunk ids to packed states, none of them empty.
    """
    import numpy as np

    dimension = question.states.shape[1]
    best = np.empty((len(passages), len(question.states)), dtype=np.float32)
    for row, signs in zip(best, passages.values(), strict=True):
        # The bits of one passage fit into the processor's cache. One product for all passages would take twice as long.
        bits = unpacked(signs, dimension).astype(np.float32)
        np.max(question.states @ bits.T, axis=1, out=row)
    # A sign is 2 * bit - 1, and a row of signs has length sqrt(dimension).
    cosines = (2 * best - question.states.sum(axis=1)) / np.sqrt(dimension)
    scores = cosines @ weights / weights.sum()
    return dict(zip(passages, scores.tolist(), strict=True))
