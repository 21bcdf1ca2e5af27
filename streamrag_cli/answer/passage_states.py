"""Looks up a passage's token states by character offsets."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamrag_cli.model import Chunk
from streamrag_cli.retrieval.embedder import Embedder, has_tokens
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.retrieval.token_states import unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PassageStates:
    """The token states of a chunk. Offsets refer to `text_to_embed`, where the chunk's own text begins at `offset`."""

    def __init__(self, chunk: Chunk, signs: bytes, starts: Sequence[int], question: "NDArray[np.float32]") -> None:
        """`signs` are the packed states, `starts` the offsets of the tokens; `question` is a vector of unit length."""
        text = chunk.text_to_embed
        self.offset = len(text) - len(chunk.text)
        self._question = question
        self._bits = unpacked(signs, len(question))
        self._token_starts = list(starts[: len(self._bits)])
        self._token_starts[0] = -1  # special tokens have the offset 0, which would break the order
        self._token_starts[-1] = len(text)

    def tokens(self, start: int, end: int) -> range:
        """The indices of the tokens that begin between these offsets; empty beyond the end of the model's input."""
        return range(bisect_left(self._token_starts, start), bisect_left(self._token_starts, end))

    def cosine(self, tokens: Sequence[int]) -> float:
        """The cosine between the question and the mean state of `tokens`, which must not be empty."""
        return self.cosines([tokens])[0]

    def cosines(self, groups: Sequence[Sequence[int]]) -> list[float]:
        """The cosine between the question and the mean state of each group of tokens, as `cosine` computes it."""
        import numpy as np

        bits = [self._bits[slice(group.start, group.stop) if isinstance(group, range) else group] for group in groups]
        counts = np.array([of_group.sum(axis=0, dtype=np.int32) for of_group in bits])
        sums = 2 * counts - np.array([[len(group)] for group in groups])  # a sign is 2 * bit - 1
        lengths = np.linalg.norm(sums, axis=1)
        cosines: list[float] = (sums @ self._question / np.where(lengths, lengths, 1)).tolist()
        return cosines


def passage_states(chunk: Chunk, retrieved: Retrieved, embedder: Embedder) -> PassageStates | None:
    """The token states of a hit's chunk; None if the embedder or the store has no token states for it."""
    signs = retrieved.token_states.get(chunk.id)
    if not signs or not has_tokens(embedder):
        return None
    return PassageStates(chunk, signs, embedder.token_starts(chunk.text_to_embed), retrieved.question_vector)
