"""Hybrid search: returns the best chunks for a question in one call.

Full-text search and vector search each return their best 100 chunks. Every candidate gets both scores, which are scaled
and added with equal weight. The best 30 are compared with the question token by token (`token_states`), and that score
is added with the same weight. The sum determines the order of the hits; the scores that are shown are computed in
`relevance`.

The built-in embedder was trained on English. A question or chunk in a script other than Latin is therefore scored only
by its words.
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
from streamrag_cli.retrieval.calibration import score_curve
from streamrag_cli.retrieval.embedder import BUILTIN, EmbeddedQuestion, Embedder, embed_question
from streamrag_cli.retrieval.lexical import codes, contains_code, is_outside_latin, merged_words, words_by_language
from streamrag_cli.retrieval.near_duplicates import DuplicateGroup, DuplicateGroups, FindMissing
from streamrag_cli.retrieval.relevance import ScoreCurve, coverage, relevance_of_words, term_weight
from streamrag_cli.retrieval.token_states import QuestionTokens, late_interaction
from streamrag_cli.stages import Stages
from streamrag_cli.store.interface import Reader
from streamrag_cli.store.stemming import stems
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATES: Final = 100  # from full-text search and from vector search each
_CODE_COVERAGE: Final = 0.75
"""A chunk that contains a code from the question, such as an article number, gets at least this coverage."""
RERANKED: Final = 30
"""The number of fused hits to re-rank by late interaction. Re-ranking 10 achieves two thirds of the improvement."""
LATE_WEIGHT: Final = 0.5
"""The weight of late interaction, equal to that of each part of the fusion. Results hardly change up to twice this."""
_PUNCTUATION: Final = 0.05  # the weight of tokens that are not words
LEXICAL_WEIGHT: Final = 0.5  # fixed, not tuned: on seven public sets, results hardly change between .40 and .55


TermWeights: TypeAlias = Mapping[str, Mapping[str, float]]
"""The stemmed terms of the question with their weights, for each language of the collection."""


class EmbeddingChangedError(Exception):
    """The collection has been rebuilt with another embedder, before or after the question was embedded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The hits, best first, and data of the search that answers reuse.

    - `question_vector` has unit length and shape (dimension,). It is kept because a model server may charge for it.
    - `term_weights` has the stemmed terms of the question in each language of the collection.
    - `best_score` is the score of the best chunk, even if it is below the minimum score; 0 if there is no chunk.
    - `spent_ms` is the duration of each step. `embed` includes opening Chroma, and `full text` includes both searches.
    - `codes` are the codes in the question.
    - `token_states` maps chunk ids of hits to their packed token states, if the embedder has any.
    - `is_lexical_only` is true if the embedder does not support the script of the question; `question_vector` is then
      zero.
    """

    hits: tuple[Hit, ...]
    question_vector: "NDArray[np.float32]"
    term_weights: TermWeights
    best_score: float
    spent_ms: Mapping[str, float]
    codes: tuple[str, ...] = ()
    token_states: Mapping[str, bytes] = field(default_factory=dict)
    is_lexical_only: bool = False


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
    """The `limit` best chunks with a score of at least `min_score`, without near-duplicates.

    `find_missing` finds files that no longer exist. `cancellation` also cancels the embedder.

    Raises StoreError (`store_empty` if there are no chunks, `retrieval_timeout` if the store takes longer than
    `RETRIEVAL_LIMIT_S`, `interrupted` after `cancellation`), EmbeddingChangedError, and the errors of the embedder.
    """
    stages = Stages(perf_counter())
    with reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
        if reader.embedding != embedder.name:  # the old embedder may fail, and must not get the question
            raise EmbeddingChangedError
        count_chunks(reader)  # before opening Chroma, which an empty collection does not have
    embedded = _embedded(reader, embedder, question, cancellation)
    vector = embedded.vector
    stages.end("embed")
    with reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
        total = count_chunks(reader)
        if reader.embedding != embedder.name:
            raise EmbeddingChangedError
        words = words_by_language(question, reader.catalog.languages())
        weights = _term_weights(reader, words, total)
        stages.end("terms")
        asked_codes = codes(question)
        lexical, cosines = _candidates(reader, vector, [*merged_words(words), *asked_codes], stages)
        is_english = embedder.name == BUILTIN
        is_lexical_only = is_english and is_outside_latin(question)
        if is_lexical_only:
            vector, cosines = vector * 0, dict.fromkeys(cosines, 0.0)
        groups = DuplicateGroups(question, find_missing)
        ranked, states = _fused(lexical, cosines), dict[str, bytes]()
        if embedded.tokens and embedded.tokens.spans and not is_lexical_only:
            states = reader.catalog.token_states(list(islice(ranked, RERANKED)))
            ranked = _reranked(
                ranked, states, embedded.tokens, _token_weights(reader, question, embedded.tokens, total)
            )
        _fill(groups, reader, list(ranked), limit)
        best_groups = groups.groups[:limit]
        unjudged = {
            each.best.stored.chunk.id
            for each in best_groups
            if is_lexical_only or (is_english and is_outside_latin(each.best.stored.chunk.text))
        }
        curve = score_curve(embedder, reader.catalog)
        hits = _hits(best_groups, cosines, weights, curve=curve, unjudged=unjudged, asked_codes=asked_codes)
        stages.end("fuse")
    return Retrieved(
        hits=tuple(hit for hit in hits if hit.score >= min_score),
        question_vector=vector,
        term_weights=weights,
        codes=asked_codes,
        token_states={hit.chunk.id: states[hit.chunk.id] for hit in hits if hit.chunk.id in states},
        best_score=hits[0].score if hits else 0.0,
        spent_ms=stages.spent_ms,
        is_lexical_only=is_lexical_only,
    )


def _term_weights(reader: Reader, words: Mapping[str, Sequence[str]], total: int) -> TermWeights:
    stemmed = stems([" ".join(of_language) for of_language in words.values()], are_separate=True)
    frequencies = reader.document_frequencies({term for of_language in stemmed for term in of_language})
    return {
        language: {term: term_weight(frequencies[term], total) for term in dict.fromkeys(of_language)}
        for language, of_language in zip(words, stemmed, strict=True)
    }


def count_chunks(reader: Reader) -> int:
    """The number of chunks in the collection. Raises StoreError `store_empty` if there are none."""
    count = reader.counts().chunks
    if not count:
        raise StoreError(
            "the store is empty: nothing has been ingested", code="store_empty", hint="streamrag ingest PATH"
        )
    return count


def _embedded(reader: Reader, embedder: Embedder, question: str, cancellation: Cancellation | None) -> EmbeddedQuestion:
    """Embed the question. If Chroma is not open yet, open it at the same time, because both steps are slow."""
    if reader.is_prepared:
        return embed_question(embedder, question, cancellation)
    with ThreadPoolExecutor(1, thread_name_prefix="open") as pool:
        opening = pool.submit(reader.prepare, TimeLimit(RETRIEVAL_LIMIT_S, cancellation))
        embedded = embed_question(embedder, question, cancellation)
        opening.result()
        return embedded


def _candidates(
    reader: Reader, vector: "NDArray[np.float32]", words: Sequence[str], stages: Stages
) -> tuple[dict[str, float], dict[str, float]]:
    """The BM25 scores of the full-text hits, and the exact cosines of all candidates."""
    text_hits, vector_hits = reader.search_both(words, vector, CANDIDATES)
    lexical, nearest = dict(text_hits), dict(vector_hits)
    stages.end("full text")
    known = reader.catalog.existing(nearest)  # Chroma may contain chunks that an ingest is still writing
    cosines = {chunk_id: cosine for chunk_id, cosine in nearest.items() if chunk_id in known}
    # The search is approximate but returns exact cosines, so only the cosines of the other candidates are missing.
    cosines |= reader.cosines(vector, sorted(lexical.keys() - cosines.keys()))
    stages.end("vectors")
    return lexical, cosines


def _fused(lexical: dict[str, float], cosines: dict[str, float]) -> dict[str, float]:
    """Chunk ids with their fused scores, best first. Without full-text hits, only the cosine counts."""
    best_lexical = max(lexical.values(), default=0.0) or 1.0
    scaled = _scaled(cosines)
    scores = {
        chunk_id: LEXICAL_WEIGHT * lexical.get(chunk_id, 0.0) / best_lexical + (1 - LEXICAL_WEIGHT) * scaled[chunk_id]
        for chunk_id in cosines
    }
    return _sorted(scores)


def _scaled(scores: Mapping[str, float]) -> dict[str, float]:
    """Scale scores from 0 (worst) to 1 (best): some embedders give every text a cosine between .7 and .9."""
    least, best = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    return {chunk_id: (score - least) / ((best - least) or 1.0) for chunk_id, score in scores.items()}


def _sorted(scores: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda each: (-each[1], each[0])))


def _reranked(
    fused: Mapping[str, float], states: Mapping[str, bytes], tokens: QuestionTokens, weights: "NDArray[np.float32]"
) -> dict[str, float]:
    """The best chunks of `fused`, re-ranked by late interaction, followed by the rest.

    If one of the best chunks has no token states, as in a store written by an older version, the order is unchanged.
    """
    best = list(islice(fused, RERANKED))
    if not set(best) <= states.keys():
        return dict(fused)
    late = _scaled(late_interaction(tokens, weights, {chunk_id: states[chunk_id] for chunk_id in best}))
    scores = {chunk_id: fused[chunk_id] + LATE_WEIGHT * late[chunk_id] for chunk_id in best}
    return _sorted(scores) | {chunk_id: score for chunk_id, score in fused.items() if chunk_id not in scores}


def _token_weights(reader: Reader, question: str, tokens: QuestionTokens, total: int) -> "NDArray[np.float32]":
    """The weight of each token: the weight of its word, or a small weight for punctuation."""
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
    """Add ranked chunks until there are `count` groups of near-duplicates.

    If the file of a group's best chunk no longer exists, `count` more chunks are added, which may include its
    replacement.
    """
    start, size = 0, count
    is_enough = False
    while start < len(ranked) and not is_enough:
        had_enough = len(groups.groups) >= count
        groups.add(reader.require_chunks(ranked[start : start + size]))
        start, size = start + size, count if len(groups.groups) >= count else size * 2
        has_missing = any(group.best.is_missing for group in groups.groups[:count])
        is_enough = had_enough or (len(groups.groups) >= count and not has_missing)


def _hits(
    groups: Sequence[DuplicateGroup],
    cosines: Mapping[str, float],
    weights: TermWeights,
    *,
    curve: ScoreCurve,
    unjudged: Collection[str],
    asked_codes: Sequence[str],
) -> list[Hit]:
    """The chunks in fused order, with their scores. No hit scores higher than the hit before it.

    `unjudged` are chunks in a script that the embedder does not support. They are scored by their words and come last.
    """
    order = sorted(groups, key=lambda group: group.best.stored.chunk.id in unjudged)
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
            else curve.score(cosine=cosines[chunk_id], coverage=covered)
        )
        ceiling = min(ceiling, score)
        hits.append(group.hit(score=ceiling, rank=rank))
    return hits
