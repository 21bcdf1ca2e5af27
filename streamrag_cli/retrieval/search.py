"""From a question to hits: one batch call.

Full text and vectors each name their best hundred chunks; every candidate gets both scores, each scaled to the range
that it has among them, and the two are added at equal weight. The best thirty are compared with the question token by
token (`token_states`), and that score is added at the same weight. The sum decides the order. What a score means is
another matter and is settled in `relevance`.

The built-in embedder knows English: a question in another script is judged by its words alone, and a chunk in another
script is found by words alone.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias

from streamrag_cli.errors import StoreError
from streamrag_cli.model import Hit
from streamrag_cli.retrieval.embedder import BUILTIN, EmbeddedQuestion, Embedder, embed_question
from streamrag_cli.retrieval.lexical import codes, contains_code, is_outside_latin, merged_words, words_by_language
from streamrag_cli.retrieval.near_duplicates import DuplicateGroup, DuplicateGroups, FindMissing
from streamrag_cli.retrieval.relevance import coverage, relevance, relevance_of_words, term_weight
from streamrag_cli.retrieval.token_states import QuestionTokens, late_interaction
from streamrag_cli.stages import Stages
from streamrag_cli.store.interface import Reader
from streamrag_cli.store.stemming import stems
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATES: Final = 100  # of each side
_CODE_COVERAGE: Final = 0.75
"""Of a chunk with a code of the question: whatever else is asked of it, it is about that thing."""
RERANKED: Final = 30
"""Of the fused ranking, by late interaction. Ten give two thirds of its use."""
LATE_WEIGHT: Final = 0.5
"""As much as either part of the fusion; up to twice that makes no difference."""
_PUNCTUATION: Final = 0.05  # the weight of a token that is no word
LEXICAL_WEIGHT: Final = 0.5  # flat between .40 and .55 on seven public sets: fixed, not tuned


TermWeights: TypeAlias = Mapping[str, Mapping[str, float]]
"""For each language of a collection the stemmed terms of the question with their weight."""


class EmbeddingChangedError(Exception):
    """The collection's vectors were made by another embedding than the question's: it was made anew meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The hits, best first, and what the question's terms weigh in this collection.

    `question_vector` has unit length and shape (dimension,): an embedding may be paid for, and is made once.
    `term_weights` maps each stemmed term of the question to its weight, for each language of the collection, as words
    are compared in the language of their document. `best_score` is the score of the best chunk,
    whether or not it reached the least score asked for; 0 where there is none. `spent_ms` says how long each step
    took; `embed` includes opening Chroma, if it was not open, and `full text` is both searches, side by side.
    `token_states` has the packed token states of hits, by the ids of their chunks, if the embedder has any.
    `by_words_alone` says that the embedder cannot judge the question; then `question_vector` is zero.
    """

    hits: tuple[Hit, ...]
    question_vector: "NDArray[np.float32]"
    term_weights: TermWeights
    best_score: float
    spent_ms: Mapping[str, float]
    codes: tuple[str, ...] = ()
    token_states: Mapping[str, bytes] = field(default_factory=dict)
    by_words_alone: bool = False


def retrieve(
    reader: Reader,
    embedder: Embedder,
    question: str,
    *,
    limit: int,
    min_score: float = 0.0,
    find_missing: FindMissing | None = None,
    cancellation: Cancellation | None = None,
) -> Retrieved:
    """The `limit` best chunks that score at least `min_score`, near-copies as one. `find_missing` checks their files.

    Raises StoreError (`store_empty` if there is nothing to search, `retrieval_timeout` if the store takes longer than
    `RETRIEVAL_LIMIT_S` or after `cancellation`), EmbeddingChangedError, and what the embedder raises, which has limits
    of its own and is cancelled as well.
    """
    stages = Stages(perf_counter())
    with reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
        count_chunks(reader)  # before Chroma is opened, which an empty collection does not have
    embedded = _embedded(reader, embedder, question, cancellation)
    vector = embedded.vector
    stages.end("embed")
    with reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
        total = count_chunks(reader)
        if reader.embedding != embedder.name:
            raise EmbeddingChangedError
        words = words_by_language(question, reader.counts().languages)
        weights = _term_weights(reader, words, total)
        stages.end("terms")
        asked_codes = codes(question)
        lexical, cosines = _candidates(reader, vector, [*merged_words(words), *asked_codes], stages)
        is_english = embedder.name == BUILTIN
        by_words_alone = is_english and is_outside_latin(question)
        if by_words_alone:
            vector, cosines = vector * 0, dict.fromkeys(cosines, 0.0)
        groups = DuplicateGroups(question, find_missing)
        ranked, states = _fused(lexical, cosines), dict[str, bytes]()
        if embedded.tokens and embedded.tokens.spans and not by_words_alone:
            states = reader.token_states(list(islice(ranked, RERANKED)))
            ranked = _reranked(
                ranked, states, embedded.tokens, _token_weights(reader, question, embedded.tokens, total)
            )
        _fill(groups, reader, list(ranked), limit)
        found = groups.groups[:limit]
        unjudged = {
            each.best.stored.chunk.id
            for each in found
            if by_words_alone or (is_english and is_outside_latin(each.best.stored.chunk.text))
        }
        hits = _hits(found, cosines, weights, unjudged, asked_codes)
        stages.end("fuse")
    return Retrieved(
        hits=tuple(hit for hit in hits if hit.score >= min_score),
        question_vector=vector,
        term_weights=weights,
        codes=asked_codes,
        token_states={hit.chunk.id: states[hit.chunk.id] for hit in hits if hit.chunk.id in states},
        best_score=hits[0].score if hits else 0.0,
        spent_ms=stages.spent_ms,
        by_words_alone=by_words_alone,
    )


def _term_weights(reader: Reader, words: Mapping[str, Sequence[str]], total: int) -> TermWeights:
    stemmed = stems([" ".join(of_language) for of_language in words.values()], are_separate=True)
    frequencies = reader.document_frequencies({term for of_language in stemmed for term in of_language})
    return {
        language: {term: term_weight(frequencies[term], total) for term in dict.fromkeys(of_language)}
        for language, of_language in zip(words, stemmed, strict=True)
    }


def count_chunks(reader: Reader) -> int:
    """How many chunks there are to search. Raises StoreError `store_empty` if there are none."""
    count = reader.counts().chunks
    if not count:
        raise StoreError("the store is empty: nothing was ingested", code="store_empty", hint="streamrag ingest PATH")
    return count


def _embedded(reader: Reader, embedder: Embedder, question: str, cancellation: Cancellation | None) -> EmbeddedQuestion:
    """The question's vector and tokens. The first time Chroma is opened in parallel: both take long."""
    if reader.is_prepared:
        return embed_question(embedder, question, cancellation)
    with ThreadPoolExecutor(1, thread_name_prefix="open") as beside:
        opening = beside.submit(reader.prepare, TimeLimit(RETRIEVAL_LIMIT_S, cancellation))
        embedded = embed_question(embedder, question, cancellation)
        opening.result()
        return embedded


def _candidates(
    reader: Reader, vector: "NDArray[np.float32]", words: Sequence[str], stages: Stages
) -> tuple[dict[str, float], dict[str, float]]:
    """BM25 of what full text found, and the exact cosine of every candidate of either side."""
    found_by_words, found_by_vector = reader.search_both(words, vector, CANDIDATES)
    lexical, nearest = dict(found_by_words), dict(found_by_vector)
    stages.end("full text")
    known = reader.existing(nearest)  # Chroma may hold what an ingest is still writing
    cosines = {chunk_id: cosine for chunk_id, cosine in nearest.items() if chunk_id in known}
    # The search is approximate, its cosines are not: only those of the others are missing.
    cosines |= reader.cosines(vector, sorted(lexical.keys() - cosines.keys()))
    stages.end("vectors")
    return lexical, cosines


def _fused(lexical: dict[str, float], cosines: dict[str, float]) -> dict[str, float]:
    """Chunk ids with their fused score, best first. Without any full-text hit the cosine alone decides."""
    best_lexical = max(lexical.values(), default=0.0) or 1.0
    scaled = _scaled(cosines)
    scores = {
        chunk_id: LEXICAL_WEIGHT * lexical.get(chunk_id, 0.0) / best_lexical + (1 - LEXICAL_WEIGHT) * scaled[chunk_id]
        for chunk_id in cosines
    }
    return _sorted(scores)


def _scaled(scores: Mapping[str, float]) -> dict[str, float]:
    """0 for the least of the scores, 1 for the best: some embedders give every text a cosine between .7 and .9."""
    least, best = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    return {chunk_id: (score - least) / ((best - least) or 1.0) for chunk_id, score in scores.items()}


def _sorted(scores: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda each: (-each[1], each[0])))


def _reranked(
    fused: Mapping[str, float], states: Mapping[str, bytes], tokens: QuestionTokens, weights: "NDArray[np.float32]"
) -> dict[str, float]:
    """The best of the fusion in the order that late interaction gives them, and the rest behind.

    If only some of them have token states, as after a new version, the order stays as it is.
    """
    best = list(islice(fused, RERANKED))
    if not set(best) <= states.keys():
        return dict(fused)
    late = _scaled(late_interaction(tokens, weights, {chunk_id: states[chunk_id] for chunk_id in best}))
    scores = {chunk_id: fused[chunk_id] + LATE_WEIGHT * late[chunk_id] for chunk_id in best}
    return _sorted(scores) | {chunk_id: score for chunk_id, score in fused.items() if chunk_id not in scores}


def _token_weights(reader: Reader, question: str, tokens: QuestionTokens, total: int) -> "NDArray[np.float32]":
    """For each token the weight of the word that it is a part of; little for punctuation."""
    import numpy as np

    spans = [match.span() for match in re.finditer(r"\w+", question)]
    stemmed = stems([question[start:end] for start, end in spans])
    frequencies = reader.document_frequencies({stem for of_word in stemmed for stem in of_word})
    weights = [
        min((term_weight(frequencies[stem], total) for stem in of_word), default=_PUNCTUATION) for of_word in stemmed
    ]
    starts = [start for start, _ in spans]

    def weight(start: int) -> float:
        word = bisect_right(starts, start) - 1
        return weights[word] if word >= 0 and start < spans[word][1] else _PUNCTUATION

    return np.array([weight(start) for start, _ in tokens.spans], dtype=np.float32)


def _fill(groups: DuplicateGroups, reader: Reader, ranked: Sequence[str], count: int) -> None:
    """Look at the ranked chunks until there are `count` that do not say the same.

    If the file of one is gone, the same number again is looked at: what became of it may be among them.
    """
    start, size = 0, count
    is_enough = False
    while start < len(ranked) and not is_enough:
        had_enough = len(groups.groups) >= count
        groups.add(reader.require_chunks(ranked[start : start + size]))
        start, size = start + size, count if len(groups.groups) >= count else size * 2
        has_gone = any(group.best.is_missing for group in groups.groups[:count])
        is_enough = had_enough or (len(groups.groups) >= count and not has_gone)


def _hits(
    found: Sequence[DuplicateGroup],
    cosines: Mapping[str, float],
    weights: TermWeights,
    unjudged: Collection[str],
    asked_codes: Sequence[str],
) -> list[Hit]:
    """The chunks with their scores. None is above that of a hit ranked before it: the order is the fusion's.

    The cosines of `unjudged` chunks say nothing: these come last, unless all are, and are scored by their words.
    """
    order = sorted(found, key=lambda group: group.best.stored.chunk.id in unjudged)
    languages = [group.best.stored.language for group in order]
    words = stems([group.best.stored.chunk.text_to_embed for group in order], languages)
    hits: list[Hit] = []
    ceiling = 1.0
    for rank, (group, language, of_chunk) in enumerate(zip(order, languages, words, strict=True), start=1):
        chunk_id = group.best.stored.chunk.id
        covered = coverage(frozenset(of_chunk), weights[language])
        if contains_code(group.best.stored.chunk.text_to_embed, asked_codes):
            covered = max(covered, _CODE_COVERAGE)
        score = (
            relevance_of_words(covered)
            if chunk_id in unjudged
            else relevance(cosine=cosines[chunk_id], coverage=covered)
        )
        ceiling = min(ceiling, score)
        hits.append(group.hit(score=ceiling, rank=rank))
    return hits
