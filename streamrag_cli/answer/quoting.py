"""Answers without a model: quotes the sentences from the sources that fit the question best.

A sentence is scored by the share of the question's term weight that it covers, BM25 among the sentences, the cosine of
its embedding, its chunk's score, and whether it contains the requested kind of value (a number, a date, a name). On
SQuAD, three sentences picked from five chunks contain the gold answer to nine of ten questions.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from streamrag_cli.addresses import format_path
from streamrag_cli.answer.expected_values import expected_values, extend_to_value
from streamrag_cli.answer.facts import fact_match
from streamrag_cli.answer.number_words import DIGITS, MAGNITUDES, TENS
from streamrag_cli.answer.passages import AttachedBlock, select_rows
from streamrag_cli.answer.sentence_cosines import sentence_cosines, with_title
from streamrag_cli.answer.sentences import Sentence, select_fields, sentences
from streamrag_cli.documents.formats import inline_markup, text_kind
from streamrag_cli.model import Chunk, Hit
from streamrag_cli.retrieval.embedder import BUILTIN, Embedder
from streamrag_cli.retrieval.lexical import contains_code, has_option, options
from streamrag_cli.retrieval.query import TermWeights
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.store.languages import ENGLISH
from streamrag_cli.store.stemming import stems
from streamrag_cli.store.time_limit import Cancellation

_MAX_QUOTES: Final = 3
MAX_EMBEDDED: Final = 64
"""The number of sentences that are embedded, because embedding is expensive: those whose words match best."""

_BLOCK_CHARS: Final = 200
"""The length of the beginning of a block that is scored together with the sentence that introduces the block."""

_CACHED_TEXTS: Final = 500
"""The number of chunks whose sentences are cached. They take about 5 MB, and are more than one answer can use."""

_TABLE_CHUNKS: Final = 12
"""The maximum number of chunks to read for a table that a sentence introduces. Each chunk takes one query."""

_FIRST_FIELDS: Final = 2
"""The number of fields at the beginning of a long record that are always quoted, because they usually identify it."""

_MIN_STEM_CHARS: Final = 3
"""The minimum length of a question's word that is compared with the beginnings of column names."""

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

_FOREIGN_SHARE: Final = 0.5
"""The weight of the built-in embedder's cosines for languages other than English, which it hardly understands."""
_DETAIL: Final = re.compile(
    r"\w*\d[\w.,:/-]*(?<![.,:/-])|\b[^\W\d_a-zß-öø-ÿ]\w*"
    rf"|\b(?:{'|'.join((*DIGITS, *TENS, *MAGNITUDES))}"
    r"|ein|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|not|no|never|without|nicht|kein\w*|ohne)\b"
)

_DATE_WORDS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|century|centuries|"
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
)
_KINDS: Final = (
    (
        re.compile(
            r"\bhow (?:many|much|long|old|far|large|big|tall|often|fast|high|deep|wide|heavy|thick|expensive)\b"
            r"|\bwhat (?:percent\w*|number)\b|\bwhat (?:do|does|did) .{1,80}\bcost\b"
            r"|\bwie (?:viele?|hoch|lange?|oft|alt|weit|groß|breit|tief|schwer|dick|teuer|schnell)\b|\bwas kost"
        ),
        r"\d",
    ),
    (
        re.compile(r"\b(?:when|wann)\b|\b(?:what|which) (?:year|date|day|month|century|decade)\b"),
        rf"\d|(?i:\b(?:{_DATE_WORDS})\b)",
    ),
    (
        re.compile(r"\bwho(?:se|m)?\b|\bwhere\b|\b(?:what|which) (?:country|city|person|company)\b"),
        r"(?<!^)(?<![.!?] )\b[A-Z]",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A sentence from the source numbered `n`, and the block that it introduces.

    Both are Markdown that renders like the document. `text` is empty for code that no sentence introduces.
    """

    n: int
    text: str
    block: str = ""


def pick_quotes(
    question: str,
    retrieved: Retrieved,
    *,
    max_hits: int,
    embedder: Embedder,
    chunk_after: Callable[[Hit], Chunk | None] = lambda _: None,
    cancellation: Cancellation | None = None,
) -> list[Quote]:
    """The best sentences from the best `max_hits` hits, best first, without repeats.

    `chunk_after` is called if a quoted sentence introduces a block that continues in the next chunk.
    """
    hits, term_weights = retrieved.hits[:max_hits], retrieved.term_weights
    candidates = _candidates(hits, question)
    if not candidates:
        return []
    texts = [_text_to_score(hit, sentence) for hit, sentence in candidates]
    lexical = lexical_scores(
        texts,
        [hit.language for hit, _ in candidates],
        term_weights,
        contexts=[" ".join(each.text for each in sentence.before) for _, sentence in candidates],
    )
    below_code = {(hit.rank, line) for hit in hits for line in _lines_below_code(hit, retrieved.codes)}
    with_code = [
        (hit.rank, sentence.line) in below_code or contains_code(text, retrieved.codes)
        for text, (hit, sentence) in zip(texts, candidates, strict=True)
    ]
    if len(candidates) > MAX_EMBEDDED:
        best = sorted(range(len(candidates)), key=lambda index: (not with_code[index], -sum(lexical[index])))
        selected = sorted(best[:MAX_EMBEDDED])
        candidates = [candidates[index] for index in selected]
        lexical = [lexical[index] for index in selected]
        with_code = [with_code[index] for index in selected]
    cosines = sentence_cosines(candidates, retrieved, embedder, cancellation)
    best_chunk = max(hit.score for hit in hits) or 1.0
    is_english = embedder.name == BUILTIN
    kinds = _expected_kinds(question)
    question_options = options(question)
    scores = [
        _WEIGHTS["coverage"] * coverage
        + _WEIGHTS["bm25"] * bm25
        + _WEIGHTS["cosine"] * float(cosine) * (_FOREIGN_SHARE if is_english and hit.language != ENGLISH else 1.0)
        + _WEIGHTS["chunk"] * hit.score / best_chunk
        + _WEIGHTS["kind"] * any(kind.search(sentence.text) for kind in kinds)
        + _WEIGHTS["code"] * has_code
        + _WEIGHTS["option"] * _defines(sentence, question_options)
        - _WEIGHTS["question"] * (_is_question(sentence) and not sentence.following)
        + _WEIGHTS["fact"] * is_requested_fact(hit, sentence, question)
        for (hit, sentence), (coverage, bm25), cosine, has_code in zip(
            candidates, lexical, cosines, with_code, strict=True
        )
    ]
    order = sorted(range(len(candidates)), key=lambda index: -scores[index])
    quoted = _as_quotes((candidates[index] for index in order), question, term_weights, chunk_after)
    return _without_repeats(quoted)


def is_requested_fact(hit: Hit, sentence: Sentence, question: str) -> bool:
    """Whether the sentence is a fact whose name the question refers to."""
    return sentence.role == "fact" and fact_match(sentence.text, question, hit.chunk.context) == "name"


def sentences_of(hit: Hit) -> Sequence[Sentence]:
    """The sentences in a hit's chunk, split according to the document's format."""
    return _sentences(hit.chunk.text, hit.path)


@lru_cache(maxsize=_CACHED_TEXTS)
def _sentences(text: str, path: str) -> tuple[Sentence, ...]:
    """Split a text into sentences. Cached, because sources, quotes and later answers use the same sentences."""
    return tuple(sentences(text, text_kind(format_path(path)), inline_markup(format_path(path))))


def _candidates(hits: Sequence[Hit], question: str) -> list[tuple[Hit, Sentence]]:
    """The sentences that may be quoted: facts only if the question asks for them, headings only as a last resort."""
    candidates = [
        (hit, sentence)
        for hit in hits
        for sentence in sentences_of(hit)
        if sentence.role != "fact" or fact_match(sentence.text, question, hit.chunk.context)
    ]
    return [each for each in candidates if each[1].role != "heading"] or candidates


def _lines_below_code(hit: Hit, codes: Sequence[str]) -> Iterator[int]:
    """The indices of the lines whose nearest heading contains one of the `codes` in the question."""
    if not codes:
        return
    is_below = contains_code(f"# {hit.chunk.title.rpartition(' > ')[2]}", codes)
    for number, line in enumerate(hit.chunk.text.split("\n")):
        if line.startswith("#"):
            is_below = contains_code(line, codes)
        if is_below:
            yield number


def _is_question(sentence: Sentence) -> bool:
    return sentence.text.rstrip("\"')*_\u201d ").endswith(("?", "\uff1f", "\u061f"))


def _defines(sentence: Sentence, question_options: Sequence[str]) -> float:
    """The confidence that a sentence describes one of the command-line options that the question contains.

    It is 1 if the sentence begins with one of the options, 0.3 if it contains one elsewhere, and 0 otherwise.
    """
    term = sentence.text.partition(": ")[0]
    begins = term.startswith("-") and any(has_option(term, each) for each in question_options)
    return 1.0 if begins else 0.3 if any(has_option(sentence.text, each) for each in question_options) else 0.0


def _text_to_score(hit: Hit, sentence: Sentence) -> str:
    """The text to compare with the question: the sentence, and the beginning of the block that it introduces."""
    if sentence.fields:
        return "; ".join(sentence.fields)
    return f"{with_title(hit, sentence)} {sentence.block.words[:_BLOCK_CHARS]}" if sentence.markdown else sentence.text


def _as_quotes(
    candidates: Iterable[tuple[Hit, Sentence]],
    question: str,
    term_weights: TermWeights,
    chunk_after: Callable[[Hit], Chunk | None],
) -> Iterator[Quote]:
    """Turn each candidate into a quote: extend it to the requested value, and add the block that it introduces."""
    values = expected_values(question)
    shown: set[str] = set()
    for hit, candidate in candidates:
        sentence = _with_matching_fields(candidate, hit.language, term_weights) if candidate.fields else candidate
        parts = extend_to_value(sentence, values, shown)
        if len(parts) == 1 and _is_question(sentence) and not sentence.block.markdown:
            parts = [sentence, *sentence.following[:1]]
        shown.update(part.text for part in parts)
        block = _whole_block(hit, parts[-1], chunk_after)
        if block.rows:
            block = _matching_rows(block, hit.language, term_weights)
        yield Quote(n=hit.rank, text=" ".join(part.markdown for part in parts), block=block.markdown)


def _whole_block(hit: Hit, sentence: Sentence, chunk_after: Callable[[Hit], Chunk | None]) -> AttachedBlock:
    """The block that the sentence introduces, continued from the next chunk or, for a table, from several chunks."""
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
        reread = next(same, sentence)
        block, is_open = reread.block, reread.is_open
    return block


def _matching_rows(table: AttachedBlock, language: str, term_weights: TermWeights) -> AttachedBlock:
    """The rows of a shortened table that match the question better than the others; if none do, the first rows."""
    scores = lexical_scores([words for _, words in table.rows], [language] * len(table.rows), term_weights)
    lowest = min(coverage for coverage, _ in scores)
    matching = [index for index, (coverage, _) in enumerate(scores) if coverage > lowest]
    return select_rows(table, sorted(matching, key=lambda index: -sum(scores[index]))) if matching else table


def _with_matching_fields(record: Sentence, language: str, term_weights: TermWeights) -> Sentence:
    """The first fields of a record that is too long, and the fields that match the question.

    The name of a field also matches if one of its words begins like a word of the question ("owns", `owner`).
    """
    terms = tuple(term for term in term_weights[language] if len(term) >= _MIN_STEM_CHARS)
    scores = lexical_scores(record.fields, [language] * len(record.fields), term_weights)
    ratings = [
        coverage + any(word.startswith(terms) for word in re.findall(r"[^\W_]+", field.partition(": ")[0].lower()))
        for (coverage, _), field in zip(scores, record.fields, strict=True)
    ]
    rest = range(_FIRST_FIELDS, len(record.fields))
    return select_fields(record, [*range(_FIRST_FIELDS), *sorted(rest, key=lambda index: -ratings[index])])


def lexical_scores(
    texts: Sequence[str], languages: Sequence[str], term_weights: TermWeights, *, contexts: Sequence[str] = ()
) -> list[tuple[float, float]]:
    """For each text, the share of the question's term weight that it covers and its BM25 score, both from 0 to 1.

    `contexts` has the sentence before each text, or "". Its words count as covered as well, because a text such as "It
    reopened in 1991." does not repeat them.
    """
    stemmed = [Counter(each) for each in stems(texts, languages)]
    in_contexts = [frozenset(each) for each in stems(contexts, languages)] if contexts else [frozenset()] * len(texts)
    lengths = [each.total() for each in stemmed]
    mean_length = sum(lengths) / len(lengths) or 1.0
    totals = {language: sum(weights.values()) or 1.0 for language, weights in term_weights.items()}
    positions = {language: {term: at for at, term in enumerate(weights)} for language, weights in term_weights.items()}
    # Iterate over the terms in the sentence: it has few, but a question may have thousands.
    common = [
        sorted(counts.keys() & positions[language].keys(), key=positions[language].__getitem__)
        for counts, language in zip(stemmed, languages, strict=True)
    ]

    def bm25(terms: Sequence[str], language: str, counts: Counter[str], length: int) -> float:
        norm = _BM25_K1 * (1 - _BM25_B + _BM25_B * length / mean_length)
        return sum(term_weights[language][t] * counts[t] * (_BM25_K1 + 1) / (counts[t] + norm) for t in terms)

    scores = [bm25(*each) for each in zip(common, languages, stemmed, lengths, strict=True)]
    best = max(scores) or 1.0
    coverages = [
        sum(term_weights[language][term] for term in (counts.keys() | context) & positions[language].keys())
        / totals[language]
        for counts, context, language in zip(stemmed, in_contexts, languages, strict=True)
    ]
    return [(coverage, score / best) for coverage, score in zip(coverages, scores, strict=True)]


def _expected_kinds(question: str) -> list[re.Pattern[str]]:
    """Patterns for the kinds of value that the question asks for."""
    lowered = question.lower()
    return [re.compile(answer) for pattern, answer in _KINDS if pattern.search(lowered)]


def _without_repeats(quotes: Iterable[Quote]) -> list[Quote]:
    """The first `_MAX_QUOTES` quotes, without repeats.

    A repeat shares 90% of its words with an earlier quote, and has no number or name that differs.
    """
    taken: list[Quote] = []
    taken_words: list[tuple[set[str], list[str]]] = []
    for quote in quotes:
        text = f"{quote.text}\n{quote.block}"
        words, details = set(re.findall(r"\w+", text.lower())), _details(text)
        if any(
            len(words & other) >= 0.9 * len(words) and _is_part(details, of_other) for other, of_other in taken_words
        ):
            continue
        taken.append(quote)
        taken_words.append((words, details))
        if len(taken) == _MAX_QUOTES:
            break
    return taken


def _details(text: str) -> list[str]:
    """The numbers, number words, negations and capitalised words in a text, in order, without the first word."""
    return [each.lower() for each in _DETAIL.findall(re.sub(r"^\W*[^\W\d]+", "", text))]


def _is_part(details: Sequence[str], of_other: Sequence[str]) -> bool:
    """Whether all of `details` are in `of_other`, in the same order."""
    rest = iter(of_other)
    return all(each in rest for each in details)


def pieces(quotes: Sequence[Quote], *, stop: Sequence[str] = ()) -> Iterator[str]:
    """The answer as Markdown, word by word: each sentence in quotation marks, followed by its source.

    The block that a sentence introduces follows below it. The answer ends before the first occurrence of a `stop` text.
    """
    answer = "\n\n".join(map(_as_markdown, quotes))
    end = min((at for each in stop if each and (at := answer.find(each)) >= 0), default=len(answer))
    yield from re.findall(r"\s*\S+|\s+\Z", answer[:end])


def _as_markdown(quote: Quote) -> str:
    if not quote.text:
        return f"{quote.block}\n\n[{quote.n}]"
    quoted = f"\N{LEFT DOUBLE QUOTATION MARK}{quote.text}\N{RIGHT DOUBLE QUOTATION MARK} [{quote.n}]"
    return f"{quoted}\n\n{quote.block}" if quote.block else quoted
