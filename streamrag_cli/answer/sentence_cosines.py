"""Cosines between sentences and the question, from the token states stored with each chunk.

A sentence's vector is the mean of its token states. They were computed over the whole chunk, so "it" carries the
meaning of what it refers to. Sentences without states (an embedder that provides none, or text beyond the model's
input) are embedded.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

from streamrag_cli.answer.sentences import Sentence
from streamrag_cli.model import Chunk, Hit
from streamrag_cli.retrieval.embedder import Embedder, TokenEmbedder
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.retrieval.token_states import unpacked
from streamrag_cli.store.time_limit import Cancellation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD: Final = re.compile(r"\w+")
_WORDS_BETWEEN: Final = 40
"""The maximum number of words in markup between two words of a sentence, such as a link's URL."""
_MIN_MATCHED_SHARE: Final = 0.7
"""The share of a sentence's words that must be found in its chunk for their states to represent it."""


def sentence_cosines(
    candidates: Sequence[tuple[Hit, Sentence]],
    retrieved: Retrieved,
    embedder: Embedder,
    cancellation: Cancellation | None = None,
) -> "NDArray[np.float32]":
    """One cosine per candidate, in the same order."""
    import numpy as np  # the embedder has already imported it

    vector = retrieved.question_vector
    cosines = np.full(len(candidates), np.nan, dtype=np.float32)
    if isinstance(embedder, TokenEmbedder):
        states_of = cache(
            lambda hit: _ChunkStates(hit.chunk, retrieved.token_states[hit.chunk.id], embedder, len(vector))
        )
        for row, (hit, sentence) in enumerate(candidates):
            if hit.chunk.id in retrieved.token_states and (mean := states_of(hit).mean_of(sentence)) is not None:
                cosines[row] = mean @ vector
    rest = [row for row, cosine in enumerate(cosines) if np.isnan(cosine)]
    if rest:
        cosines[rest] = embedder.embed_documents([with_title(*candidates[row]) for row in rest], cancellation) @ vector
    return cosines


def with_title(hit: Hit, sentence: Sentence) -> str:
    """The sentence as compared with a question: a fact is meaningless without the title of its page."""
    return f"{hit.chunk.title}: {sentence.text}" if sentence.role == "fact" else sentence.text


class _ChunkStates:
    """A chunk's token states and the mapping from words to them."""

    def __init__(self, chunk: Chunk, signs: bytes, embedder: TokenEmbedder, dimension: int) -> None:
        text = chunk.text_to_embed
        self._signs = 2 * unpacked(signs, dimension) - 1
        self._token_starts = [start for start, _ in embedder.token_spans(text)[: len(self._signs)]]
        self._token_starts[0] = -1  # special tokens have the span (0, 0), which would break the order
        self._token_starts[-1] = len(text)
        self._words = [(match[0].lower(), *match.span()) for match in _WORD.finditer(text)]
        before = len(text) - len(chunk.text)
        line_starts = [before, *(before + match.end() for match in re.finditer("\n", chunk.text))]
        word_starts = [start for _, start, _ in self._words]
        self._first_words = [bisect_left(word_starts, start) for start in line_starts]

    def mean_of(self, sentence: Sentence) -> "NDArray[np.float32] | None":
        """The sentence's unit vector, or None if too few of its words have token states."""
        words = _WORD.findall(sentence.text.lower())
        at = self._first_words[min(sentence.line, len(self._first_words) - 1)]
        tokens: list[int] = []
        matched = 0
        for word in words:
            for index in range(at, min(at + _WORDS_BETWEEN, len(self._words))):
                chunk_word, start, end = self._words[index]
                if chunk_word == word:
                    word_tokens = range(bisect_left(self._token_starts, start), bisect_left(self._token_starts, end))
                    tokens += word_tokens
                    matched += bool(word_tokens)
                    at = index + 1
                    break
        import numpy as np

        if not tokens or matched < _MIN_MATCHED_SHARE * len(words):
            return None
        mean: NDArray[np.float32] = self._signs[tokens].mean(axis=0)
        return mean / (np.linalg.norm(mean) or 1.0)
