"""Cosines between sentences and the question, from the token states stored with each chunk.

A sentence's vector is the mean of its token states. These were computed over the whole chunk, so the state of a pronoun
contains the meaning of what it refers to. Sentences without token states are embedded instead: the embedder may not
provide token states, or the sentence may be beyond the end of its input.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

from streamrag_cli.answer.passage_states import PassageStates, passage_states
from streamrag_cli.answer.sentences import Sentence
from streamrag_cli.model import Chunk, Hit
from streamrag_cli.retrieval.embedder import Embedder
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.store.time_limit import Cancellation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD: Final = re.compile(r"\w+")
_WORDS_BETWEEN: Final = 40
"""The maximum number of markup words between two words in a sentence, such as the words in a link's URL."""
_MIN_MATCHED_SHARE: Final = 0.7
"""A sentence is represented by token states only if at least this share of its words is found in its chunk."""


def sentence_cosines(
    candidates: Sequence[tuple[Hit, Sentence]],
    retrieved: Retrieved,
    embedder: Embedder,
    cancellation: Cancellation | None = None,
) -> "NDArray[np.float32]":
    """One cosine per candidate, in the same order. Cosines from several collections are made comparable."""
    import numpy as np  # the embedder has already imported it

    if retrieved.parts:
        return _cosines_across(candidates, retrieved, cancellation)
    cosines = np.full(len(candidates), np.nan, dtype=np.float32)
    words_of = cache(lambda hit: _words_with_states(hit.chunk, retrieved, embedder))
    for row, (hit, sentence) in enumerate(candidates):
        if (words := words_of(hit)) is not None and (cosine := words.cosine_of(sentence)) is not None:
            cosines[row] = cosine
    rest = [row for row, cosine in enumerate(cosines) if np.isnan(cosine)]
    if rest:
        vectors = embedder.embed_documents([with_title(*candidates[row]) for row in rest], cancellation)
        cosines[rest] = vectors @ retrieved.question_vector
    return cosines


def _cosines_across(
    candidates: Sequence[tuple[Hit, Sentence]], retrieved: Retrieved, cancellation: Cancellation | None
) -> "NDArray[np.float32]":
    """The cosines of sentences from several collections, converted to the built-in embedder's scale.

    If an embedder cannot judge the question, its sentences get the mean of the other cosines. The words that they share
    with the question then decide.
    """
    import numpy as np

    cosines = np.full(len(candidates), np.nan, dtype=np.float32)
    for collection, part in retrieved.parts.items():
        rows = [row for row, (hit, _) in enumerate(candidates) if hit.collection == collection]
        if rows and not part.retrieved.is_lexical_only:
            own = sentence_cosines([candidates[row] for row in rows], part.retrieved, part.embedder, cancellation)
            cosines[rows] = part.retrieved.curve.builtin_cosine(own)
    known = cosines[~np.isnan(cosines)]
    cosines[np.isnan(cosines)] = known.mean() if known.size else 0.0
    return cosines


def with_title(hit: Hit, sentence: Sentence) -> str:
    """The sentence's text to compare with a question. A fact is preceded by its page's title as context."""
    return f"{hit.chunk.context}: {sentence.text}" if sentence.role == "fact" else sentence.text


def _words_with_states(chunk: Chunk, retrieved: Retrieved, embedder: Embedder) -> "_ChunkWords | None":
    states = passage_states(chunk, retrieved, embedder)
    return _ChunkWords(chunk, states) if states else None


class _ChunkWords:
    """A chunk's words with their token states."""

    def __init__(self, chunk: Chunk, states: PassageStates) -> None:
        self._states = states
        self._words = [(match[0].lower(), *match.span()) for match in _WORD.finditer(chunk.text_to_embed)]
        before = states.offset
        line_starts = [before, *(before + match.end() for match in re.finditer("\n", chunk.text))]
        word_starts = [start for _, start, _ in self._words]
        self._first_words = [bisect_left(word_starts, start) for start in line_starts]

    def cosine_of(self, sentence: Sentence) -> float | None:
        """The sentence's cosine with the question, or None if too few of its words have token states."""
        words = _WORD.findall(sentence.text.lower())
        at = self._first_words[min(sentence.line, len(self._first_words) - 1)]
        tokens: list[int] = []
        matched = 0
        for word in words:
            for index in range(at, min(at + _WORDS_BETWEEN, len(self._words))):
                chunk_word, start, end = self._words[index]
                if chunk_word == word:
                    word_tokens = self._states.tokens(start, end)
                    tokens += word_tokens
                    matched += bool(word_tokens)
                    at = index + 1
                    break
        is_represented = tokens and matched >= _MIN_MATCHED_SHARE * len(words)
        return self._states.cosine(tokens) if is_represented else None
