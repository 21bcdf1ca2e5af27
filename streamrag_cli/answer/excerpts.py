"""Builds the sources to show. Each has the excerpt from its passage that fits the question best, and a line number."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import fsum
from pathlib import PurePath
from typing import Final

from streamrag_cli.answer.facts import fact_match
from streamrag_cli.answer.quoting import is_requested_fact, sentences_of
from streamrag_cli.answer.sentences import Sentence
from streamrag_cli.display_names import name_of_copy
from streamrag_cli.documents.chunk_lines import line_ranges
from streamrag_cli.documents.formats import has_row_places, inline_markup
from streamrag_cli.documents.row_places import place_of_line
from streamrag_cli.model import Hit, Source
from streamrag_cli.retrieval.lexical import contains_code
from streamrag_cli.retrieval.matched_words import matched_spans
from streamrag_cli.retrieval.query import TermWeights
from streamrag_cli.store.stemming import stems
from streamrag_cli.text import excerpt, sanitise, sanitise_line

_MAX_SENTENCES: Final = 60
"""An excerpt is chosen from at most this many sentences in a passage; only a table of short rows has more."""

_FRAME_LINES: Final = 2


def as_sources(
    hits: Sequence[Hit],
    term_weights: TermWeights,
    codes: Sequence[str] = (),
    *,
    question: str,
    with_matches: bool = False,
) -> tuple[Source, ...]:
    """Convert hits to sources, each with an excerpt. Names and excerpts are safe for a terminal.

    An excerpt begins with the sentence that covers most of the question's term weight, or with one that contains one of
    the question's `codes`, such as a version or an article number. It includes a fact from the front matter only if the
    question is about that fact, or if the passage has nothing else.
    """
    sentences_by_hit = [_shown_sentences(hit, question) for hit in hits]
    texts = [f"{each.text} {each.block.words}" for sentences in sentences_by_hit for each in sentences]
    words = iter(
        stems(texts, [hit.language for hit, sentences in zip(hits, sentences_by_hit, strict=True) for _ in sentences])
    )
    sources: list[Source] = []
    for hit, sentences in zip(hits, sentences_by_hit, strict=True):
        language_weights = term_weights[hit.language]
        weights = [_weight(next(words), language_weights) for _ in sentences]
        has_code = [contains_code(f"{each.text} {each.block.words}", codes) for each in sentences]
        is_asked = [is_requested_fact(hit, each, question) for each in sentences]
        order = [*zip(has_code, is_asked, weights, strict=True)]
        best = max(range(len(sentences)), key=order.__getitem__, default=0)
        role = sentences[best].role if sentences else "text"
        sources.append(_source(hit, [each for each in sentences[best:] if each.role == role]))
    return (
        tuple(_with_matches(each, hit, question) for each, hit in zip(sources, hits, strict=True))
        if with_matches
        else tuple(sources)
    )


def _weight(words: Sequence[str], weights: Mapping[str, float]) -> float:
    # The exact sum does not depend on the order: sentences with the same terms have the same weight.
    return fsum(map(weights.__getitem__, weights.keys() & set(words)))


def _shown_sentences(hit: Hit, question: str) -> Sequence[Sentence]:
    all_sentences = sentences_of(hit)
    shown = [each for each in all_sentences if each.role != "fact"][:_MAX_SENTENCES]
    facts = [each for each in all_sentences if each.role == "fact"]
    return [*shown, *(each for each in facts if fact_match(each.text, question, hit.chunk.context))] if shown else facts


def _with_matches(source: Source, hit: Hit, question: str) -> Source:
    return replace(source, matches=matched_spans(source.content, question, hit.language))


def _source(hit: Hit, shown: Sequence[Sentence]) -> Source:
    chunk = hit.chunk
    text = " ".join(part for each in shown for part in (each.text, each.block.words if each.markdown else "") if part)
    content = excerpt(text or chunk.text)
    line = shown[0].line if shown else 0
    title = chunk.title
    if has_row_places(PurePath(hit.path)):
        title = place_of_line(title, line, chunk.text.count("\n") + 1)
    return Source(
        n=hit.rank,
        source=sanitise_line(hit.source),
        page=chunk.page,
        line_start=_line(hit, line),
        line_end=chunk.line_end,
        title=sanitise_line(title),
        content=content,
        score=hit.score,
        chunk_id=chunk.id,
        collection=hit.collection,
        text=sanitise(chunk.text),
        path=hit.path,
        also=tuple(sanitise_line(name_of_copy(each.source, hit.source)) for each in hit.copies),
        also_paths=tuple(each.path for each in hit.copies),
        gone_paths=(hit.path,) * hit.is_missing + tuple(each.path for each in hit.copies if each.is_missing),
        context=sanitise_line(chunk.context),
    )


def _line(hit: Hit, line: int) -> int | None:
    """The line number in the file for `line`, the index of a line in the passage. It may be too low, but not too high.

    The file may have lines that the text lacks, such as comments. If only one or two are missing and the passage begins
    with a heading, they are assumed to be the lines drawn above and below that heading. Markdown is an
    exception, because its text keeps such lines. Returns None if the document has no line numbers.
    """
    chunk = hit.chunk
    ranges = line_ranges(chunk)
    if not ranges:
        return None
    first, last = ranges[min(line, len(ranges) - 1)]
    is_framed = line and chunk.text.startswith("#") and inline_markup(PurePath(hit.path)) != "markdown"
    return last if is_framed and 0 < last - first <= _FRAME_LINES else first
