"""Builds the query for a question: words, a vector and tokens. For a follow-up, they include earlier questions."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from streamrag_cli.retrieval.embedder import BUILTIN, EmbeddedQuestion, Embedder
from streamrag_cli.retrieval.follow_up import (
    QUESTION_WEIGHT,
    combined_terms,
    combined_vector,
    needs_conversation,
    weighted_words,
    weights,
)
from streamrag_cli.retrieval.lexical import (
    codes,
    has_content_words,
    is_outside_latin,
    measure_words,
    merged_words,
    references,
    short_codes,
    words_by_language,
)
from streamrag_cli.retrieval.relevance import term_weight
from streamrag_cli.retrieval.token_states import QuestionTokens
from streamrag_cli.store.interface import Reader
from streamrag_cli.store.languages import language_of
from streamrag_cli.store.stemming import stems

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PUNCTUATION: Final = 0.05  # the weight of tokens that are not words

_MEASURE_SHARE: Final = 0.25
"""The weight of a word such as "long" in "how long" is multiplied by this, because answers do not repeat such words."""
_MAX_CODE_SHARE: Final = 0.005
_MAX_CODE_CHUNKS: Final = 5
"""A code that occurs in more chunks, and in a larger share of the chunks, is the name of a topic, such as "mp3"."""
_LATEST_FOR_QUOTES: Final = 0.5
"""The weight of the previous question in the choice of quotes, if the new question is incomplete without it."""

TermWeights: TypeAlias = Mapping[str, Mapping[str, float]]
"""The stemmed terms in a question with their weights, for each language in the collection."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to understand a question: a vector of unit length, and the weighted terms by which hits are scored."""

    vector: "NDArray[np.float32]"
    term_weights: TermWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query for all searches.

    - `vector` has unit length.
    - `words` are repeated according to their weights.
    - `term_weights` are for choosing quotes. Earlier questions have little weight if the new one has content words.
    - `decisive_codes` are codes that are so rare that every chunk with one of them is relevant.
    - `tokens` is None if the embedder has no token states for the question. `token_weights` has one value per token.
    - `readings` are the ways to understand the question; the one with the highest score for a hit counts. A question
      can be read on its own or with the weighted conversation. If it is incomplete, it can also be read with the
      previous or all questions as equal parts. Without content words, it can also be read as the previous question.
    - `is_lexical_only` is True if the embedder does not support the question's script.
    - `language` is the language of the question; `ENGLISH` also stands for unknown languages.
    """

    vector: "NDArray[np.float32]"
    words: Sequence[str]
    term_weights: TermWeights
    codes: tuple[str, ...]
    decisive_codes: tuple[str, ...]
    tokens: QuestionTokens | None
    token_weights: "NDArray[np.float32] | None"
    readings: Sequence[Reading]
    is_lexical_only: bool
    language: str


def make_query(
    reader: Reader, embedder: Embedder, texts: Sequence[str], embedded: Sequence[EmbeddedQuestion], *, total: int
) -> Query:
    """Build the query for `texts`, which are the question and earlier ones. `total` is the number of chunks."""
    question = texts[0]
    is_english = embedder.name == BUILTIN
    is_lexical_only = is_english and is_outside_latin(question)
    languages = reader.catalog.languages()
    words = [words_by_language(text, languages) for text in texts]
    if len(texts) > 1 and not has_content_words(question):
        words[0] = {language: [] for language in languages}  # the words in the earlier questions suffice
    terms = _Terms(reader, words, texts, total)
    rare_codes = tuple(each for each in (*codes(question), *short_codes(question)) if terms.is_rare(each))
    decisive_codes = (*references(question), *rare_codes)
    asked_codes = tuple(dict.fromkeys((*codes(question), *decisive_codes)))
    # An earlier question in a script that the embedder does not support contributes only its words.
    supported = [index for index, text in enumerate(texts) if not index or not (is_english and is_outside_latin(text))]
    vectors = [embedded[index].vector for index in supported]
    of_each = weights(len(texts), content_words=min((len(set(each)) for each in words[0].values()), default=0))
    of_supported = [of_each[index] for index in supported]
    vector = combined_vector(vectors, of_supported) if len(vectors) > 1 else vectors[0]
    tokens = None if is_lexical_only else _tokens([embedded[index].tokens for index in supported])
    term_weights = terms.combined([weight / QUESTION_WEIGHT for weight in of_each])
    depends = len(texts) > 1 and needs_conversation(question, terms.least_weight)
    for_quotes = term_weights
    if has_content_words(question):  # sentences that answer the new question are quoted first
        latest = _LATEST_FOR_QUOTES if depends else 1 / QUESTION_WEIGHT
        for_quotes = terms.combined([1.0, latest, *[1 / QUESTION_WEIGHT] * len(texts)][: len(texts)])
    readings = [Reading(vectors[0], terms.weights[0])]
    if len(texts) > 1:
        readings.append(Reading(vector, term_weights))
        if depends:
            for count in range(2, len(texts) + 1):  # an older question may have been about another topic
                equal = [float(index < count) for index in range(len(texts))]
                of_vectors = combined_vector(vectors, [equal[index] for index in supported])
                readings.append(Reading(of_vectors, terms.combined(equal)))
        if not has_content_words(question) and 1 in supported:
            readings.append(Reading(vectors[1], terms.weights[1]))
    return Query(
        vector=vector,
        words=[*terms.weighted_words(of_each), *asked_codes],
        term_weights=for_quotes,
        codes=asked_codes,
        decisive_codes=decisive_codes,
        tokens=tokens,
        token_weights=terms.token_weights(supported, of_supported, embedded) if tokens else None,
        readings=readings,
        is_lexical_only=is_lexical_only,
        language=language_of(question),
    )


class _Terms:
    """The words in all questions, and how rare they are. All frequencies are read from the collection in one query."""

    def __init__(
        self, reader: Reader, words: Sequence[Mapping[str, Sequence[str]]], texts: Sequence[str], total: int
    ) -> None:
        self._texts = texts
        self._total = total
        self._reader = reader
        self._measures = [measure_words(text) for text in texts]
        self._words = [
            _without(merged_words(of_text), measured) for of_text, measured in zip(words, self._measures, strict=True)
        ]
        self._earlier = list(dict.fromkeys(word for of_text in self._words[1:] for word in of_text))
        self._stems_of_earlier = stems(self._earlier, are_separate=True)
        self._spans = [[match.span() for match in re.finditer(r"\w+", text)] for text in texts]
        self._stems_of_spans = [
            stems([text[start:end] for start, end in spans]) for text, spans in zip(texts, self._spans, strict=True)
        ]
        stemmed = [stems([" ".join(each) for each in of_text.values()], are_separate=True) for of_text in words]
        self._frequencies = reader.document_frequencies(
            {term for of_text in (*stemmed, *self._stems_of_spans) for each in of_text for term in each}
        )
        measures = [
            frozenset(stem for of_word in stems(sorted(measured), are_separate=True) for stem in of_word)
            for measured in self._measures
        ]
        self.weights: list[TermWeights] = [
            {
                language: {
                    term: self._weight(term) * (_MEASURE_SHARE if term in measured else 1.0)
                    for term in dict.fromkeys(of_language)
                }
                for language, of_language in zip(of_text, in_languages, strict=True)
            }
            for of_text, in_languages, measured in zip(words, stemmed, measures, strict=True)
        ]
        self.least_weight = min(sum(map(self._weight, dict.fromkeys(of_language))) for of_language in stemmed[0])

    def is_rare(self, code: str) -> bool:
        """Whether few chunks contain the code or its rarest part, so that it identifies the subject of these chunks."""
        parts = [stem for each in stems([code], are_separate=True) for stem in each]
        frequency = min(self._reader.document_frequencies(set(parts)).values(), default=0)
        return frequency <= max(_MAX_CODE_CHUNKS, _MAX_CODE_SHARE * self._total)

    def combined(self, of_each: Sequence[float]) -> TermWeights:
        """Combine the term weights of all questions. `of_each` contains the weight of each question."""
        if len(self.weights) == 1:
            return self.weights[0]
        return {
            language: combined_terms([each[language] for each in self.weights], of_each) for language in self.weights[0]
        }

    def weighted_words(self, of_each: Sequence[int]) -> list[str]:
        """The unstemmed words to search for, each repeated according to its weight."""
        earlier = {
            word: (
                min((self._frequencies.get(stem, 0) for stem in of_word), default=0),
                max(weight for weight, of_text in zip(of_each[1:], self._words[1:], strict=True) if word in of_text),
            )
            for word, of_word in zip(self._earlier, self._stems_of_earlier, strict=True)
        }
        return weighted_words(self._words[0], earlier)

    def token_weights(
        self, indexes: Sequence[int], of_each: Sequence[int], embedded: Sequence[EmbeddedQuestion]
    ) -> "NDArray[np.float32]":
        """The weight of each token: the weight of its word, or a small weight for punctuation."""
        import numpy as np

        of_tokens = [
            weight * each
            for weight, index in zip(of_each, indexes, strict=True)
            if (tokens := embedded[index].tokens)
            for each in self._token_weights(index, tokens)
        ]
        return np.array(of_tokens, dtype=np.float32)

    def _token_weights(self, index: int, tokens: QuestionTokens) -> list[float]:
        spans = self._spans[index]
        starts = [start for start, _ in spans]
        of_words = [
            min(map(self._weight, of_word), default=_PUNCTUATION)
            * (_MEASURE_SHARE if self._texts[index][slice(*span)].lower() in self._measures[index] else 1.0)
            for of_word, span in zip(self._stems_of_spans[index], spans, strict=True)
        ]

        def weight(start: int) -> float:
            word = bisect_right(starts, start) - 1
            return of_words[word] if word >= 0 and start < spans[word][1] else _PUNCTUATION

        return [weight(start) for start, _ in tokens.spans]

    def _weight(self, term: str) -> float:
        return term_weight(self._frequencies[term], self._total)


def _without(words: Sequence[str], measures: frozenset[str]) -> list[str]:
    """The words without measure words, such as "long" in "how long"; all words if there are no others."""
    return [each for each in words if each not in measures] or list(words)


def _tokens(of_each: Sequence[QuestionTokens | None]) -> QuestionTokens | None:
    """The tokens of all questions; None if the first question has no tokens."""
    import numpy as np

    if not (of_each[0] and of_each[0].spans):
        return None
    if len(of_each) == 1:
        return of_each[0]
    known = [tokens for tokens in of_each if tokens]
    spans = [span for tokens in known for span in tokens.spans]
    return QuestionTokens(np.concatenate([tokens.states for tokens in known]), spans)
