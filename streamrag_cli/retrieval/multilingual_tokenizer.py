"""Splits text in any language into pieces from multilingual-e5-small's vocabulary (SentencePiece, unigram).

A word is split so that the sum of the scores of its pieces is highest. The library `tokenizers` would return the same
pieces, but takes over a second and 280 MB to load a vocabulary of 250,000 pieces. This module takes 1 ms per chunk; the
model takes at least 30 ms.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from streamrag_cli.retrieval.multilingual_weights import Vocabulary

BEGIN: Final = 0
END: Final = 2
UNKNOWN: Final = 3
_SPACE: Final = "\u2581"  # marks the beginning of a word
_UNKNOWN_PENALTY: Final = 10.0
_SPECIAL: Final = frozenset({"<s>", "<pad>", "</s>", "<unk>", "<mask>"})
_CACHED_WORDS: Final = 50_000
_CACHED_CHARS: Final = 24
_WORD: Final = re.compile(r"\S+")


@dataclass(slots=True)
class Tokens:
    """The pieces of a text: their ids in the vocabulary, and their spans in the text."""

    ids: list[int] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)

    def first(self, count: int) -> "Tokens":
        return Tokens(self.ids[:count], self.spans[:count])


class UnigramTokenizer:
    """Splits text into pieces of a vocabulary. Safe to share between threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._ids = {piece: number for number, piece in enumerate(vocabulary.pieces) if piece not in _SPECIAL}
        self._scores = vocabulary.scores
        self._replacements = dict(vocabulary.replacements)
        self._longest = max(map(len, self._ids))
        self._unknown_score = min(vocabulary.scores) - _UNKNOWN_PENALTY
        self._cached_pieces = lru_cache(_CACHED_WORDS)(self._pieces)

    def tokenize(self, text: str) -> Tokens:
        """Split `text` into pieces, without special tokens."""
        tokens = Tokens()
        for match in _WORD.finditer(text):
            word, start = match[0], match.start()
            pieces = (self._cached_pieces if len(word) <= _CACHED_CHARS else self._pieces)(word)
            for number, begin, end in pieces:
                tokens.ids.append(number)
                tokens.spans.append(
                    (start + begin, start + max(end, begin + 1))
                )  # a piece that is only the marker has no character
        return tokens

    def _pieces(self, word: str) -> Sequence[tuple[int, int, int]]:
        """The id, start and end of each piece of a word."""
        normal = unicodedata.normalize("NFC", word).translate(self._replacements)
        if normal == word:
            return self._best_pieces(word)
        if len(normal) == len(word) and " " not in normal:
            return self._best_pieces(normal)
        # The normalised characters do not correspond to those of the word, so every piece gets the word's span.
        return tuple((number, 0, len(word)) for part in normal.split() for number, _, _ in self._best_pieces(part))

    def _best_pieces(self, word: str) -> Sequence[tuple[int, int, int]]:
        """Find the best split of `word` with the Viterbi algorithm: the best piece that ends at each position."""
        text = _SPACE + word
        ids, scores, longest = self._ids, self._scores, self._longest
        length = len(text)
        best = [0.0] + [float("-inf")] * length
        last: list[tuple[int, int]] = [(0, 0)] * (length + 1)  # the id and the start of this piece
        for start in range(length):
            so_far = best[start]
            if so_far + self._unknown_score > best[start + 1]:
                best[start + 1], last[start + 1] = so_far + self._unknown_score, (UNKNOWN, start)
            for end in range(start + 1, min(start + longest, length) + 1):
                number = ids.get(text[start:end])
                if number is not None and so_far + scores[number] > best[end]:
                    best[end], last[end] = so_far + scores[number], (number, start)
        pieces: list[tuple[int, int, int]] = []
        end = length
        while end > 0:
            number, start = last[end]
            if number == UNKNOWN and pieces and pieces[-1][0] == UNKNOWN:
                pieces[-1] = (UNKNOWN, max(start - 1, 0), pieces[-1][2])  # consecutive unknown characters are one piece
            else:
                pieces.append((number, max(start - 1, 0), end - 1))
            end = start
        pieces.reverse()
        return tuple(pieces)
