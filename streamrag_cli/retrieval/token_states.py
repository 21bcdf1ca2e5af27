"""Late interaction: every token of the question is compared with every token of a passage.

The encoder computes a state for each token of a text, and the mean of these states is the text's vector. Of a
passage the signs of the states are stored as well, one bit for each dimension: 48 bytes a token. What the mean
averages away, such as which of two names a passage is about, is still in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class QuestionTokens:
    """The tokens of a question without the special ones.

    `states` has the shape (tokens, dimension), each row of unit length; `spans` are the characters of each token.
    """

    states: "NDArray[np.float32]"
    spans: Sequence[tuple[int, int]]


def packed(states: "NDArray[np.float32]") -> bytes:
    """The signs of states of the shape (tokens, dimension), a multiple of 8; `dimension / 8` bytes a token."""
    import numpy as np

    return np.packbits(states > 0, axis=1).tobytes()


def unpacked(signs: bytes, dimension: int) -> "NDArray[np.float32]":
    """One row for each token: 1 if a state's component was positive, else 0."""
    import numpy as np

    bits = np.frombuffer(signs, dtype=np.uint8).reshape(-1, dimension // 8)
    return np.unpackbits(bits, axis=1).astype(np.float32)


def late_interaction(
    question: QuestionTokens, weights: "NDArray[np.float32]", passages: Mapping[str, bytes]
) -> dict[str, float]:
    """For each passage the weighted mean over the question's tokens of the best cosine with one of its tokens.

    `weights` has one figure for each token of the question; `passages` are packed states, none of them empty.
    """
    import numpy as np

    dimension = question.states.shape[1]
    starts = np.cumsum([0, *(len(signs) * 8 // dimension for signs in passages.values())])[:-1]
    signs = unpacked(b"".join(passages.values()), dimension)
    # A sign is 2 * bit - 1, and a row of signs has the length sqrt(dimension).
    cosines = (2 * (question.states @ signs.T) - question.states.sum(axis=1)[:, None]) / np.sqrt(dimension)
    best = np.maximum.reduceat(cosines, starts, axis=1)
    scores = weights @ best / weights.sum()
    return dict(zip(passages, scores.tolist(), strict=True))
