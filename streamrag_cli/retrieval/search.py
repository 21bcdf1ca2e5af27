"""Hybrid search, which returns the best chunks for a question in one call.

Full-text search and vector search each return their best 100 chunks. Every candidate gets both scores, which are scaled
and added with equal weight. The best 30 are compared with the question token by token (`token_states`), and that score
is added with the same weight. The sum determines the order of the hits. `relevance` computes the scores that are shown.

The built-in embedder was trained on English text. Questions and chunks in scripts other than Latin are therefore
scored only by their words.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Final

from streamrag_cli.addresses import format_path
from streamrag_cli.documents.formats import has_front_matter
from streamrag_cli.errors import NothingRelevantError, StoreError
from streamrag_cli.model import Filter, Hit
from streamrag_cli.retrieval.calibration import score_curve
from streamrag_cli.retrieval.embedder import BUILTIN, EmbeddedQuestion, Embedder
from streamrag_cli.retrieval.lexical import contains_code, is_outside_latin
from streamrag_cli.retrieval.near_duplicates import DuplicateGroup, DuplicateGroups, FindMissing
from streamrag_cli.retrieval.query import Query, TermWeights, make_query
from streamrag_cli.retrieval.recent_questions import RecentQuestions
from streamrag_cli.retrieval.relevance import BUILTIN_CURVE, ScoreCurve, coverage, relevance_of_words
from streamrag_cli.retrieval.token_states import late_interaction
from streamrag_cli.stages import Stages
from streamrag_cli.store.interface import Reader, Selection
from streamrag_cli.store.languages import ENGLISH
from streamrag_cli.store.stemming import stems
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_FILTER: Final = Filter()
CANDIDATES: Final = 100  # the number of results of the full-text search, and of the vector search
_CODE_COVERAGE: Final = 0.75
"""A chunk that contains a code from the question, such as an article number, gets at least this coverage."""
_CODE_SCORE: Final = 0.5
"""A chunk that contains a rare code from the question gets at least this score."""
RERANKED: Final = 30
"""The number of fused hits to re-rank by late interaction. Re-ranking 10 achieves two thirds of the improvement."""
LATE_WEIGHT: Final = 0.5
"""The weight of late interaction, equal to that of each other score. Twice this value hardly changes results."""
_OTHER_LANGUAGE: Final = 0.5
"""If only words count, the words of a chunk in another language than the question's have this weight."""
LEXICAL_WEIGHT: Final = 0.5  # not tuned: on seven public data sets, results hardly change between 0.40 and 0.55


class DimensionError(Exception):
    """Raised if the embedder's vectors and the collection's vectors have different dimensions."""

    def __init__(self, *, stored: int, returned: int) -> None:
        super().__init__(f"the vectors have {returned} instead of {stored} dimensions")
        self.stored = stored
        self.returned = returned


class EmbeddingChangedError(Exception):
    """Raised if the collection was rebuilt with another embedder during the search."""


NEAREST: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The hits from a search, best first, and intermediate results that are needed for the answer.

    - `question_vector` has unit length and shape (dimension,). It is kept because a model server may charge for it.
    - `term_weights` has the question's stemmed terms in each language in the collection.
    - `best_score` is the score of the best chunk, even if it is below the minimum score; 0 if there is no chunk.
    - `spent_ms` is the duration of each step. `embed` includes opening Chroma, and `full text` includes both searches.
    - `codes` are the codes in the question.
    - `token_states` maps chunk ids of hits to their packed token states, if the embedder has any.
    - `is_lexical_only` is True if the embedder does not support the question's script. `question_vector` is then
      zero.
    - `nearest` contains the best hits, even if they are below the minimum score.
    - `curve` maps cosines to scores.
    - `parts` has each collection's results by its name, if several were searched. Vectors from different embedders
    cannot be compared, so a hit's text is compared with the question vector in its collection's part.
    """

    hits: tuple[Hit, ...]
    question_vector: "NDArray[np.float32]"
    term_weights: TermWeights
    best_score: float
    spent_ms: Mapping[str, float]
    codes: tuple[str, ...] = ()
    token_states: Mapping[str, bytes] = field(default_factory=dict)
    is_lexical_only: bool = False
    nearest: tuple[Hit, ...] = ()
    curve: ScoreCurve = BUILTIN_CURVE
    parts: "Mapping[str, Part]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """The results from one of several collections, and its embedder."""

    retrieved: Retrieved
    embedder: Embedder


def retrieve(
    reader: Reader,
    embedder: Embedder,
    question: str,
    *,
    earlier: Sequence[str] = (),
    limit: int,
    min_score: float = 0.0,
    scope: Filter = NO_FILTER,
    find_missing: FindMissing | None = None,
    cancellation: Cancellation | None = None,
    recent: RecentQuestions | None = None,
) -> Retrieved:
    """Return the `limit` best chunks with a score of at least `min_score`, without near-duplicates.

    Only documents that the filter `scope` allows are searched. Scores are the same as without a filter. `earlier` are
    the questions before a follow-up, newest first. `find_missing` finds files that no longer exist. `cancellation`
    also cancels the embedder. `recent` is a cache of question vectors.

    Raises StoreError (`store_empty` if there are no chunks, `retrieval_timeout` if the store takes longer than
    `RETRIEVAL_LIMIT_S`, `interrupted` after `cancellation`), EmbeddingChangedError, DimensionError, the errors of
    the embedder, and NothingRelevantError `no_document_matches` if the filter allows no document.
    """
    stages = Stages(perf_counter())
    with reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
        if reader.embedding != embedder.name:  # the previous embedder may fail, and must not get the question
            raise EmbeddingChangedError
        count_chunks(reader)  # must precede opening Chroma, because an empty collection has no Chroma files
        select(reader, scope)  # must precede embedding the question, for which a server may charge
    texts = (question, *earlier)
    embed = partial((recent or RecentQuestions()).embed, embedder, texts, cancellation)
    embedded = _embedded(reader, embed, cancellation)
    stages.end("embed")
    with reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
        total = count_chunks(reader)
        if reader.embedding != embedder.name:
            raise EmbeddingChangedError
        _check_dimension(reader, embedded)
        query = make_query(reader, embedder, texts, embedded, total=total)
        stages.end("terms")
        lexical, cosines = _candidates(reader, query, select(reader, scope), stages)
        groups = DuplicateGroups(question, find_missing)
        ranked, states = _fused(lexical, cosines), dict[str, bytes]()
        if query.tokens:
            states = reader.catalog.token_states(list(islice(ranked, RERANKED)))
            ranked = _reranked(ranked, states, query)
        _fill(groups, reader, list(ranked), limit)
        curve = score_curve(embedder, reader.catalog)
        hits = _hits(reader, embedder, groups.groups[:limit], query, cosines, curve=curve)
        stages.end("fuse")
    return Retrieved(
        hits=tuple(hit for hit in hits if hit.score >= min_score),
        question_vector=query.vector * 0 if query.is_lexical_only else query.vector,
        term_weights=query.term_weights,
        codes=query.codes,
        token_states={hit.chunk.id: states[hit.chunk.id] for hit in hits if hit.chunk.id in states},
        best_score=hits[0].score if hits else 0.0,
        spent_ms=stages.spent_ms,
        is_lexical_only=query.is_lexical_only,
        nearest=tuple(hits[:NEAREST]),
        curve=curve,
    )


def count_chunks(reader: Reader) -> int:
    """The number of chunks in the collection. Raises StoreError `store_empty` if there are none."""
    count = reader.counts().chunks
    if not count:
        if reader.catalog.roots() and not reader.catalog.meta("last_ingest"):
            message, hint = "the first ingest of the collection is not complete", "streamrag ingest"
        else:
            message, hint = "nothing has been ingested into the collection", "streamrag ingest PATH"
        raise StoreError(message, code="store_empty", hint=hint)
    return count


def _check_dimension(reader: Reader, embedded: Sequence[EmbeddedQuestion]) -> None:
    stored = int(reader.catalog.meta("dimension") or 0)
    returned = len(embedded[0].vector)
    if stored not in {0, returned}:
        raise DimensionError(stored=stored, returned=returned)


def select(reader: Reader, scope: Filter) -> Selection | None:
    """The documents that a filter allows; None if it allows all. Raises NothingRelevantError if it allows none."""
    if scope.is_empty:
        return None
    selection = reader.select(scope)
    if selection.documents:
        return selection if len(selection.documents) < reader.counts().documents else None
    hint = "list the documents: streamrag ls"
    if any(has_front_matter(format_path(path)) for path in selection.untagged):
        hint = (
            "documents that were ingested by an earlier version have no tags until they are ingested again:"
            " streamrag ingest"
        )
    raise NothingRelevantError(
        f"no document in the collection matches {scope.text or 'the filter'}", code="no_document_matches", hint=hint
    )


def _embedded(
    reader: Reader, embed: Callable[[], list[EmbeddedQuestion]], cancellation: Cancellation | None
) -> list[EmbeddedQuestion]:
    """Embed the questions. If Chroma is not open yet, it is opened at the same time, because both steps are slow."""
    if reader.is_prepared:
        return embed()
    with ThreadPoolExecutor(1, thread_name_prefix="open") as pool:
        opening = pool.submit(reader.prepare, TimeLimit(RETRIEVAL_LIMIT_S, cancellation))
        embedded = embed()
        opening.result()
        return embedded


def _candidates(
    reader: Reader, query: Query, selection: Selection | None, stages: Stages
) -> tuple[dict[str, float], dict[str, float]]:
    """The BM25 scores of the full-text hits, and the exact cosines of all candidates."""
    text_hits, vector_hits = reader.search_both(query.words, query.vector, CANDIDATES, selection)
    lexical, nearest = dict(text_hits), dict(vector_hits)
    stages.end("full text")
    known = reader.catalog.existing(
        nearest
    )  # Chroma may contain vectors for chunks that an ingest has not committed yet
    cosines = {chunk_id: cosine for chunk_id, cosine in nearest.items() if chunk_id in known}
    # The vector search returns its hits' exact cosines, so only those of the other candidates must be computed.
    cosines |= reader.cosines(query.vector, sorted(lexical.keys() - cosines.keys()))
    stages.end("vectors")
    if not query.is_lexical_only:
        return lexical, cosines
    if query.language != ENGLISH:
        lexical = _with_less_weight_for_other_languages(lexical, reader.catalog.languages_of(lexical), query.language)
    return lexical, dict.fromkeys(cosines, 0.0)


def _with_less_weight_for_other_languages(
    lexical: dict[str, float], languages: Mapping[str, str], language: str
) -> dict[str, float]:
    """The BM25 scores, lower for chunks in other languages. Chinese and Japanese have many characters in common."""
    return {
        chunk_id: score * (1.0 if languages.get(chunk_id) == language else _OTHER_LANGUAGE)
        for chunk_id, score in lexical.items()
    }


def _fused(lexical: dict[str, float], cosines: dict[str, float]) -> dict[str, float]:
    """The chunk ids with their fused scores, best first. Without full-text hits, only the cosine counts."""
    best_lexical = max(lexical.values(), default=0.0) or 1.0
    scaled = _scaled(cosines)
    scores = {
        chunk_id: LEXICAL_WEIGHT * lexical.get(chunk_id, 0.0) / best_lexical + (1 - LEXICAL_WEIGHT) * scaled[chunk_id]
        for chunk_id in cosines
    }
    return _sorted(scores)


def _scaled(scores: Mapping[str, float]) -> dict[str, float]:
    """Scale scores to the range from 0 to 1, because the cosines of some embedders are all between 0.7 and 0.9."""
    least, best = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    return {chunk_id: (score - least) / ((best - least) or 1.0) for chunk_id, score in scores.items()}


def _sorted(scores: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda each: (-each[1], each[0])))


def _reranked(fused: Mapping[str, float], states: Mapping[str, bytes], query: Query) -> dict[str, float]:
    """Re-rank the best chunks of `fused` by late interaction, and return them before the rest.

    If one of the best chunks has no token states, as in a store written by an older version, the order is unchanged.
    """
    best = list(islice(fused, RERANKED))
    if query.tokens is None or query.token_weights is None or not set(best) <= states.keys():
        return dict(fused)
    late = _scaled(late_interaction(query.tokens, query.token_weights, {each: states[each] for each in best}))
    scores = {chunk_id: fused[chunk_id] + LATE_WEIGHT * late[chunk_id] for chunk_id in best}
    return _sorted(scores) | {chunk_id: score for chunk_id, score in fused.items() if chunk_id not in scores}


def _fill(groups: DuplicateGroups, reader: Reader, ranked: Sequence[str], count: int) -> None:
    """Add ranked chunks until there are `count` groups of near-duplicates.

    If the file that contains a group's best chunk no longer exists, `count` more chunks are added, which may include
    its replacement.
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
    reader: Reader,
    embedder: Embedder,
    groups: Sequence[DuplicateGroup],
    query: Query,
    cosines: Mapping[str, float],
    *,
    curve: ScoreCurve,
) -> list[Hit]:
    """Return the best chunk of each group as a hit, in fused order. No hit has a higher score than the hit before it.

    Chunks with a rare code from the question are first, and are always relevant. Chunks in a script that the embedder
    does not support are scored by their words, and are last.
    """
    is_english = embedder.name == BUILTIN
    unjudged = {
        each.best.stored.chunk.id
        for each in groups
        if query.is_lexical_only or (is_english and is_outside_latin(each.best.stored.chunk.text))
    }
    decisive = {
        each.best.stored.chunk.id
        for each in groups
        if contains_code(each.best.stored.chunk.text_to_embed, query.decisive_codes)
    }
    order = sorted(
        groups, key=lambda group: (group.best.stored.chunk.id not in decisive, group.best.stored.chunk.id in unjudged)
    )
    languages = [group.best.stored.language for group in order]
    words = [frozenset(each) for each in stems([group.best.stored.chunk.text_to_embed for group in order], languages)]
    ids = [group.best.stored.chunk.id for group in order]
    of_readings = [
        cosines if query.is_lexical_only or each.vector is query.vector else reader.cosines(each.vector, ids)
        for each in query.readings
    ]
    hits: list[Hit] = []
    ceiling = 1.0
    for rank, (group, language, of_chunk) in enumerate(zip(order, languages, words, strict=True), start=1):
        chunk = group.best.stored.chunk
        least = _CODE_COVERAGE if contains_code(chunk.text_to_embed, query.codes) else 0.0
        coverages = [max(least, coverage(of_chunk, each.term_weights[language])) for each in query.readings]
        score = (
            max(map(relevance_of_words, coverages))
            if chunk.id in unjudged
            else max(
                curve.score(cosine=of_reading.get(chunk.id, 0.0), coverage=covered)
                for of_reading, covered in zip(of_readings, coverages, strict=True)
            )
        )
        if chunk.id in decisive:
            score = max(score, _CODE_SCORE)
        ceiling = min(ceiling, score)
        hits.append(group.hit(score=ceiling, rank=rank))
    return hits
