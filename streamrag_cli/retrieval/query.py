"""What is searched for a question: words, a vector and tokens. Those of a follow-up include earlier questions."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from streamrag_cli.retrieval.embedder import BUILTIN, EmbeddedQuestion, Embedder
from streamrag_cli.retrieval.follow_up import combined_terms, combined_vector, weighted_words, weights
from streamrag_cli.retrieval.lexical import codes, is_outside_latin, merged_words, words_by_language
from streamrag_cli.retrieval.relevance import term_weight
from streamrag_cli.retrieval.token_states import QuestionTokens
from streamrag_cli.store.interface import Reader
from streamrag_cli.store.stemming import stems

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PUNCTUATION: Final = 0.05  # the weight of tokens that are not words

TermWeights: TypeAlias = Mapping[str, Mapping[str, float]]
"""The stemmed terms of a question with their weights, for each language of the collection."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A vector and terms by which hits are scored."""

    vector: "NDArray[np.float32]"
    term_weights: TermWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is searched. `vector` has unit length.

    `words` are repeated according to their weights. `token_weights` has one value per token of `tokens`. `readings` has
    the question alone and, for a follow-up, together with the earlier questions. `is_lexical_only` is true if the
    embedder does not support the script of the question.
    """

    vector: "NDArray[np.float32]"
    words: Sequence[str]
    term_weights: TermWeights
    codes: tuple[str, ...]
    tokens: QuestionTokens | None
    token_weights: "NDArray[np.float32] | None"
    readings: Sequence[Reading]
    is_lexical_only: bool


def make_query(
    reader: Reader, embedder: Embedder, texts: Sequence[str], embedded: Sequence[EmbeddedQuestion], *, total: int
) -> Query:
    """The query for `texts`: the question, followed by earlier ones. `total` is the number of chunks."""
    question, *earlier = texts
    is_english = embedder.name == BUILTIN
    is_lexical_only = is_english and is_outside_latin(question)
    languages = reader.catalog.languages()
    words = [words_by_language(text, languages) for text in texts]
    terms = _term_weights(reader, words, total)
    asked_codes = codes(question)
    merged = [merged_words(of_text) for of_text in words]
    known = [index for index, text in enumerate(texts) if not index or not (is_english and is_outside_latin(text))]
    of_each = weights(len(known))
    vectors = [embedded[index].vector for index in known]
    vector = combined_vector(vectors, of_each) if earlier else vectors[0]
    readings = [Reading(vectors[0], terms[0])]
    if earlier:
        readings.append(Reading(combined_vector(vectors, [1.0] * len(known)), _combined(terms, [1.0] * len(texts))))
    tokens, token_weights = None, None
    if not is_lexical_only:
        tokens, token_weights = _tokens(reader, [(texts[index], embedded[index]) for index in known], of_each, total)
    return Query(
        vector=vector,
        words=[*weighted_words(merged[0], [word for of_text in merged[1:] for word in of_text]), *asked_codes],
        term_weights=_combined(terms, weights(len(texts))),
        codes=asked_codes,
        tokens=tokens,
        token_weights=token_weights,
        readings=readings,
        is_lexical_only=is_lexical_only,
    )


def _combined(terms: Sequence[TermWeights], of_each: Sequence[float]) -> TermWeights:
    if len(terms) == 1:
        return terms[0]
    return {language: combined_terms([each[language] for each in terms], of_each) for language in terms[0]}


def _term_weights(
    reader: Reader, words: Sequence[Mapping[str, Sequence[str]]], total: int
) -> list[dict[str, dict[str, float]]]:
    """The term weights of each text."""
    stemmed = [stems([" ".join(each) for each in of_text.values()], are_separate=True) for of_text in words]
    frequencies = reader.document_frequencies({term for of_text in stemmed for each in of_text for term in each})
    return [
        {
            language: {term: term_weight(frequencies[term], total) for term in dict.fromkeys(of_language)}
            for language, of_language in zip(of_text, in_languages, strict=True)
        }
        for of_text, in_languages in zip(words, stemmed, strict=True)
    ]


def _tokens(
    reader: Reader, embedded: Sequence[tuple[str, EmbeddedQuestion]], of_each: Sequence[float], total: int
) -> "tuple[QuestionTokens | None, NDArray[np.float32] | None]":
    """The tokens of all texts with their weights, or (None, None) if the question has none."""
    import numpy as np

    if not (embedded[0][1].tokens and embedded[0][1].tokens.spans):
        return None, None
    tokens = [(text, each.tokens) for text, each in embedded if each.tokens is not None]
    of_tokens = [
        weight * _token_weights(reader, text, each, total) for weight, (text, each) in zip(of_each, tokens, strict=True)
    ]
    states = QuestionTokens(
        np.concatenate([each.states for _, each in tokens]), [span for _, each in tokens for span in each.spans]
    )
    return states, np.concatenate(of_tokens)


def _token_weights(reader: Reader, question: str, tokens: QuestionTokens, total: int) -> "NDArray[np.float32]":
    """The weight of each token: the weight of its word, or a small weight for punctuation."""
    import numpy as np

    spans = [match.span() for match in re.finditer(r"\w+", question)]
    stemmed = stems([question[start:end] for start, end in spans])
    frequencies = reader.document_frequencies({stem for of_word in stemmed for stem in of_word})
    of_words = [
        min((term_weight(frequencies[stem], total) for stem in of_word), default=_PUNCTUATION) for of_word in stemmed
    ]
    starts = [start for start, _ in spans]

    def weight(start: int) -> float:
        word = bisect_right(starts, start) - 1
        return of_words[word] if word >= 0 and start < spans[word][1] else _PUNCTUATION

    return np.array([weight(start) for start, _ in tokens.spans], dtype=np.float32)
