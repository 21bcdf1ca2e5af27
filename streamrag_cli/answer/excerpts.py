"""A source as it is shown: the part of the passage that fits the question, and the line that it stands on."""

from collections.abc import Sequence
from typing import Final

from streamrag_cli.answer.facts import asked_by
from streamrag_cli.answer.quoting import sentences_of
from streamrag_cli.answer.sentences import Sentence
from streamrag_cli.display_names import name_of_copy
from streamrag_cli.model import Chunk, Hit, Source
from streamrag_cli.retrieval.lexical import contains_code
from streamrag_cli.retrieval.search import TermWeights
from streamrag_cli.store.stemming import stems
from streamrag_cli.text import excerpt, sanitise_line

_MOST_SENTENCES: Final = 60
"""Of a passage; only a table of short rows has more."""

_FRAME_LINES: Final = 2


def as_sources(
    hits: Sequence[Hit], term_weights: TermWeights, codes: Sequence[str] = (), *, question: str
) -> tuple[Source, ...]:
    """The hits with an excerpt each: names and excerpts are safe for any terminal.

    The excerpt begins with the first of the sentences that hold the most of the question's weight, those with one of
    its `codes` before all others. A fact of the front matter is in it only if the question asks for that.
    """
    found = [_shown_sentences(hit, question) for hit in hits]
    texts = [f"{each.text} {each.block.words}" for of_hit in found for each in of_hit]
    words = iter(stems(texts, [hit.language for hit, of_hit in zip(hits, found, strict=True) for _ in of_hit]))
    sources: list[Source] = []
    for hit, of_hit in zip(hits, found, strict=True):
        of_language = term_weights[hit.language]
        weights = [sum(of_language.get(term, 0.0) for term in set(next(words))) for _ in of_hit]
        with_code = [contains_code(f"{each.text} {each.block.words}", codes) for each in of_hit]
        is_asked = [each.role == "fact" and asked_by(each.text, question, hit.chunk.title) == "name" for each in of_hit]
        order = [*zip(with_code, is_asked, weights, strict=True)]
        best = max(range(len(of_hit)), key=order.__getitem__, default=0)
        role = of_hit[best].role if of_hit else "text"
        sources.append(_source(hit, [each for each in of_hit[best:] if each.role == role]))
    return tuple(sources)


def _shown_sentences(hit: Hit, question: str) -> Sequence[Sentence]:
    found = sentences_of(hit)
    shown = [each for each in found if each.role != "fact"][:_MOST_SENTENCES]
    facts = [each for each in found if each.role == "fact"]
    return [*shown, *(each for each in facts if asked_by(each.text, question, hit.chunk.title))] if shown else facts


def _source(hit: Hit, shown: Sequence[Sentence]) -> Source:
    chunk = hit.chunk
    text = " ".join(part for each in shown for part in (each.text, each.block.words if each.markdown else "") if part)
    return Source(
        n=hit.rank,
        source=sanitise_line(hit.source),
        page=chunk.page,
        line_start=_line(chunk, shown[0].line if shown else 0),
        line_end=chunk.line_end,
        title=sanitise_line(chunk.title),
        content=excerpt(text or chunk.text),
        score=hit.score,
        chunk_id=chunk.id,
        path=hit.path,
        also=tuple(sanitise_line(name_of_copy(each.source, hit.source)) for each in hit.copies),
        also_paths=tuple(each.path for each in hit.copies),
        gone_paths=(hit.path,) * hit.is_missing + tuple(each.path for each in hit.copies if each.is_missing),
    )


def _line(chunk: Chunk, line: int) -> int | None:
    """The file's line of a line of the chunk. Lines that no page shows may lie between: it is the last that is sure.

    A line or two are those that frame the heading at the chunk's beginning.
    """
    if chunk.line_start is None or chunk.line_end is None:
        return None
    unseen = chunk.line_end - chunk.line_start - chunk.text.count("\n")
    frame = unseen if line and chunk.text.startswith("#") and 0 < unseen <= _FRAME_LINES else 0
    return min(chunk.line_start + frame + line, chunk.line_end)
