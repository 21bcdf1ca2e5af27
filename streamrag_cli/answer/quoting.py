"""Answers without a model: the sentences of the sources that bear on the question, quoted.

A sentence is judged by how much of the question's weight its words cover, by BM25 among the sentences, by the
cosine of its embedding, by its chunk's score and by whether it holds the kind of thing asked for (a number, a
date, a name). On SQuAD the gold answer is among three sentences picked so from five chunks for nine questions of ten.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePath
from typing import Final

from streamrag_cli.answer.expected_values import expected_values, extend_to_value
from streamrag_cli.answer.facts import asked_by
from streamrag_cli.answer.passages import Announced, chosen_rows
from streamrag_cli.answer.sentence_cosines import sentence_cosines, with_title
from streamrag_cli.answer.sentences import Sentence, sentences
from streamrag_cli.documents.formats import inline_markup, text_kind
from streamrag_cli.model import Chunk, Hit
from streamrag_cli.retrieval.embedder import Embedder
from streamrag_cli.retrieval.lexical import contains_code, has_option, options
from streamrag_cli.retrieval.search import Retrieved, TermWeights
from streamrag_cli.setting_row import MAX_TOP_K
from streamrag_cli.store.stemming import stems
from streamrag_cli.store.time_limit import Cancellation

QUOTES: Final = 3
EMBEDDED: Final = 64
"""Of more sentences, as rows of tables are, those are judged whose words fit best: each costs an embedding."""

_BLOCK_CHARS: Final = 200
"""Of the block that a sentence announces these count as its own words."""

_TABLE_CHUNKS: Final = 12
"""That a table which a sentence announces is read from; each is a look into the store."""

_BM25_K1: Final = 1.2
_BM25_B: Final = 0.3
_WEIGHTS: Final = {
    "coverage": 0.5,
    "bm25": 0.5,
    "cosine": 1.0,
    "chunk": 0.1,
    "kind": 0.2,
    "code": 1.0,
    "fact": 0.5,
    "option": 1.5,
    "question": 1.0,
}

_DATE_WORDS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|century|centuries|"
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
)
_KINDS: Final = (
    (re.compile(r"\bhow (?:many|much|long|old|far|large|big|tall|often|fast)\b|\bwhat (?:percent\w*|number)\b"), r"\d"),
    (
        re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade)\b"),
        rf"\d|(?i:\b(?:{_DATE_WORDS})\b)",
    ),
    (
        re.compile(r"\bwho(?:se|m)?\b|\bwhere\b|\b(?:what|which) (?:country|city|person|company)\b"),
        r"(?<!^)(?<![.!?] )\b[A-Z]",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A sentence taken from the source numbered `n`, and the block that it announces.

    Both are Markdown that shows just what the document does. Code without a sentence about it has no `text`.
    """

    n: int
    text: str
    block: str = ""


def pick_quotes(
    question: str,
    found: Retrieved,
    *,
    max_hits: int,
    embedder: Embedder,
    limit: int = QUOTES,
    chunk_after: Callable[[Hit], Chunk | None] = lambda _: None,
    cancellation: Cancellation | None = None,
) -> list[Quote]:
    """The best sentences of the best `max_hits` hits, best first, no sentence twice.

    `chunk_after` is asked for the block that the last sentence of a chunk announces, if that is quoted.
    """
    hits, term_weights = found.hits[:max_hits], found.term_weights
    candidates = _candidates(hits, question)
    if not candidates:
        return []
    judged = [_judged(hit, sentence) for hit, sentence in candidates]
    lexical = lexical_scores(judged, [hit.language for hit, _ in candidates], term_weights)
    with_code = [contains_code(text, found.codes) for text in judged]
    if len(candidates) > EMBEDDED:
        best = sorted(range(len(candidates)), key=lambda index: (not with_code[index], -sum(lexical[index])))
        kept = sorted(best[:EMBEDDED])
        candidates = [candidates[index] for index in kept]
        lexical = [lexical[index] for index in kept]
        with_code = [with_code[index] for index in kept]
    cosines = sentence_cosines(candidates, found, embedder, cancellation)
    best_chunk = max(hit.score for hit in hits) or 1.0
    kinds = _kinds_asked_for(question)
    asked_options = options(question)
    scores = [
        _WEIGHTS["coverage"] * coverage
        + _WEIGHTS["bm25"] * bm25
        + _WEIGHTS["cosine"] * float(cosine)
        + _WEIGHTS["chunk"] * hit.score / best_chunk
        + _WEIGHTS["kind"] * any(kind.search(sentence.text) for kind in kinds)
        + _WEIGHTS["code"] * has_code
        + _WEIGHTS["option"] * _defines(sentence, asked_options)
        - _WEIGHTS["question"] * (_is_question(sentence) and not sentence.following)
        + _WEIGHTS["fact"] * (sentence.role == "fact" and asked_by(sentence.text, question, hit.chunk.title) == "name")
        for (hit, sentence), (coverage, bm25), cosine, has_code in zip(
            candidates, lexical, cosines, with_code, strict=True
        )
    ]
    order = sorted(range(len(candidates)), key=lambda index: -scores[index])
    quoted = _in_order((candidates[index] for index in order), question, term_weights, chunk_after)
    return _without_repeats(quoted, limit)


def sentences_of(hit: Hit) -> Sequence[Sentence]:
    """The sentences of a hit's chunk, read as its document's format wants."""
    return _sentences(hit.chunk.text, hit.path)


@lru_cache(maxsize=MAX_TOP_K)
def _sentences(text: str, path: str) -> tuple[Sentence, ...]:
    """They are asked for twice: for the excerpts of the sources and, without a model, for the quotes."""
    return tuple(sentences(text, text_kind(PurePath(path)), inline_markup(PurePath(path))))


def _candidates(hits: Sequence[Hit], question: str) -> list[tuple[Hit, Sentence]]:
    """The sentences that may be quoted: facts that are asked for, headings only if there is nothing else."""
    found = [
        (hit, sentence)
        for hit in hits
        for sentence in sentences_of(hit)
        if sentence.role != "fact" or asked_by(sentence.text, question, hit.chunk.title)
    ]
    return [each for each in found if each[1].role != "heading"] or found


def _is_question(sentence: Sentence) -> bool:
    return sentence.text.rstrip("\"')*_\u201d ").endswith(("?", "\uff1f", "\u061f"))


def _defines(sentence: Sentence, asked: Sequence[str]) -> float:
    """How sure it is that the sentence says what one of the options does: it begins with it, or has it at all."""
    term = sentence.text.partition(": ")[0]
    begins = term.startswith("-") and any(has_option(term, each) for each in asked)
    return 1.0 if begins else 0.3 if any(has_option(sentence.text, each) for each in asked) else 0.0


def _judged(hit: Hit, sentence: Sentence) -> str:
    """The words by which the sentence is compared with the question."""
    return f"{with_title(hit, sentence)} {sentence.block.words[:_BLOCK_CHARS]}" if sentence.markdown else sentence.text


def _in_order(
    candidates: Iterable[tuple[Hit, Sentence]],
    question: str,
    term_weights: TermWeights,
    chunk_after: Callable[[Hit], Chunk | None],
) -> Iterator[Quote]:
    """Each candidate as a quote, up to the value that is asked for, with the block that it announces."""
    values = expected_values(question)
    shown: set[str] = set()
    for hit, sentence in candidates:
        parts = extend_to_value(sentence, values, shown)
        if len(parts) == 1 and _is_question(sentence) and not sentence.block.markdown:
            parts = [sentence, *sentence.following[:1]]
        shown.update(part.text for part in parts)
        block = _whole_block(hit, parts[-1], chunk_after)
        if block.rows:
            block = _rows_asked_for(block, hit.language, term_weights)
        yield Quote(n=hit.rank, text=" ".join(part.markdown for part in parts), block=block.markdown)


def _whole_block(hit: Hit, sentence: Sentence, chunk_after: Callable[[Hit], Chunk | None]) -> Announced:
    """The block that the sentence announces, with what of it is in the next chunk; of a table in those after that."""
    block, is_open = sentence.block, sentence.is_open
    text, last = hit.chunk.text, hit
    for count in range(_TABLE_CHUNKS):
        if not is_open or (count and not block.rows) or not (following := chunk_after(last)):
            break
        text += ("\n\n" if following.char_start - last.chunk.char_end > 1 else "\n") + following.text
        last = replace(last, chunk=following)
        same = (
            each for each in _sentences(text, hit.path) if each.line == sentence.line and each.text == sentence.text
        )
        found = next(same, sentence)
        block, is_open = found.block, found.is_open
    return block


def _rows_asked_for(table: Announced, language: str, term_weights: TermWeights) -> Announced:
    """Of a table that is cut the rows that hold more of the question than others do; if none does, the first ones."""
    scores = lexical_scores([words for _, words in table.rows], [language] * len(table.rows), term_weights)
    least = min(coverage for coverage, _ in scores)
    fit = [index for index, (coverage, _) in enumerate(scores) if coverage > least]
    return chosen_rows(table, sorted(fit, key=lambda index: -sum(scores[index]))) if fit else table


def lexical_scores(
    texts: Sequence[str], languages: Sequence[str], term_weights: TermWeights
) -> list[tuple[float, float]]:
    """For each text, in its language, its coverage of the terms' weight and its BM25, both 0 to 1."""
    stemmed = [Counter(each) for each in stems(texts, languages)]
    lengths = [each.total() for each in stemmed]
    mean_length = sum(lengths) / len(lengths) or 1.0
    totals = {language: sum(weights.values()) or 1.0 for language, weights in term_weights.items()}
    places = {language: {term: at for at, term in enumerate(weights)} for language, weights in term_weights.items()}
    # A question may have thousands of terms, a sentence has few: those of the sentence are gone through.
    common = [
        sorted(counts.keys() & places[language].keys(), key=places[language].__getitem__)
        for counts, language in zip(stemmed, languages, strict=True)
    ]

    def bm25(terms: Sequence[str], language: str, counts: Counter[str], length: int) -> float:
        norm = _BM25_K1 * (1 - _BM25_B + _BM25_B * length / mean_length)
        return sum(term_weights[language][t] * counts[t] * (_BM25_K1 + 1) / (counts[t] + norm) for t in terms)

    scores = [bm25(*each) for each in zip(common, languages, stemmed, lengths, strict=True)]
    best = max(scores) or 1.0
    covered = [
        sum(term_weights[language][term] for term in terms) / totals[language]
        for terms, language in zip(common, languages, strict=True)
    ]
    return [(coverage, score / best) for coverage, score in zip(covered, scores, strict=True)]


def _kinds_asked_for(question: str) -> list[re.Pattern[str]]:
    """Patterns of the kinds of thing that an answer may be asked to hold."""
    asked = question.lower()
    return [re.compile(answer) for pattern, answer in _KINDS if pattern.search(asked)]


def _without_repeats(quotes: Iterable[Quote], limit: int) -> list[Quote]:
    """The first `limit` quotes whose words are not all in one taken before."""
    taken: list[Quote] = []
    seen: list[set[str]] = []
    for quote in quotes:
        found = set(re.findall(r"\w+", f"{quote.text}\n{quote.block}".lower()))
        if any(len(found & other) >= 0.9 * len(found) for other in seen):
            continue
        taken.append(quote)
        seen.append(found)
        if len(taken) == limit:
            break
    return taken


def pieces(quotes: Sequence[Quote], *, stop: Sequence[str] = ()) -> Iterator[str]:
    """The answer as Markdown, word by word: each sentence in quotation marks with its source behind it.

    What it announces stands below. The answer ends before the first of the `stop` texts.
    """
    answer = "\n\n".join(map(_shown, quotes))
    end = min((at for each in stop if each and (at := answer.find(each)) >= 0), default=len(answer))
    yield from re.findall(r"\s*\S+|\s+\Z", answer[:end])


def _shown(quote: Quote) -> str:
    if not quote.text:
        return f"{quote.block}\n\n[{quote.n}]"
    quoted = f"\N{LEFT DOUBLE QUOTATION MARK}{quote.text}\N{RIGHT DOUBLE QUOTATION MARK} [{quote.n}]"
    return f"{quoted}\n\n{quote.block}" if quote.block else quoted
