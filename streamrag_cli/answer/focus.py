"""Selects the relevant parts of the passages, to shorten the prompt for a slow model.

A model on a CPU reads 50 to 200 prompt tokens per second before its first word. The relevant sentences of nine
passages contain the answer as often as five whole passages, which are nearly twice as long. List items and table rows
are chosen one by one, together with the sentence that introduces them. A block of code is sent whole or not at all.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final

from streamrag_cli.addresses import format_path
from streamrag_cli.answer.passage_states import passage_states
from streamrag_cli.answer.quoting import lexical_scores
from streamrag_cli.documents.formats import text_kind
from streamrag_cli.model import Hit
from streamrag_cli.retrieval.embedder import Embedder
from streamrag_cli.retrieval.search import Retrieved

PASSAGES: Final = 9
"""The number of passages from which sentences are chosen."""
CHARS: Final = 2300
"""The maximum number of characters sent to the model, about 60% of the length of five whole passages."""
GAP: Final = "[…]"
_RANK_WEIGHT: Final = 0.1
"""How much the score of a part decreases with each rank of its passage. A part's own score is at most about 2."""
_WITH_NEIGHBOURS: Final = 2
"""The number of best sentences whose neighbours are sent as well. More of them would displace other relevant ones."""
_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})")
_ITEM: Final = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]")
_HEADING: Final = re.compile(r"#{1,6} ")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？؟])[\"')」』]*\s*")


@dataclass(frozen=True, slots=True)
class Part:
    """A span of a passage that is sent or left out as a whole.

    `frame` lists the indices of the parts that are sent with it: the headings above it, and the sentence that
    introduces it. `is_frame` is True for a heading, which is never chosen on its own. `joins` is True for prose: the
    neighbours of the best sentences are sent as well if they fit.
    """

    start: int
    end: int
    frame: tuple[int, ...] = ()
    is_frame: bool = False
    joins: bool = True


def focus(retrieved: Retrieved, embedder: Embedder, *, chars: int, whole: int) -> tuple[Retrieved, list[str]]:
    """The hits to send, with ranks from 1, and the text selected from each: about `chars` characters in total.

    If the best `whole` passages have at most `chars` characters in total, they are returned unchanged.
    """
    texts = [hit.chunk.text for hit in retrieved.hits[:whole]]
    if sum(map(len, texts)) <= chars:
        return replace(retrieved, hits=retrieved.hits[:whole]), texts
    chosen = [
        (hit, text) for hit, text in zip(retrieved.hits, focused(retrieved, embedder, chars=chars), strict=True) if text
    ]
    hits = tuple(replace(hit, rank=rank) for rank, (hit, _) in enumerate(chosen, start=1))
    return replace(retrieved, hits=hits), [text for _, text in chosen]


def focused(retrieved: Retrieved, embedder: Embedder, *, chars: int) -> list[str]:
    """The text selected from each hit, "" if there is none; about `chars` characters in total."""
    parts = [list(_parts(hit)) for hit in retrieved.hits]
    order = _by_score(retrieved, parts, embedder)
    chosen: list[set[int]] = [set() for _ in retrieved.hits]
    remaining = chars
    for position, (hit_index, part_index) in enumerate(order):
        hit_parts = parts[hit_index]
        needed = {part_index, *hit_parts[part_index].frame} - chosen[hit_index]
        cost = _length(hit_parts, needed)
        if not needed or (cost > remaining and any(chosen)):
            continue
        chosen[hit_index] |= needed
        remaining -= cost
        if position < _WITH_NEIGHBOURS and hit_parts[part_index].joins:
            for neighbour in (part_index + 1, part_index - 1):
                more = {neighbour} - chosen[hit_index]
                is_near = 0 <= neighbour < len(hit_parts) and hit_parts[neighbour].joins
                if more and is_near and (cost := _length(hit_parts, more)) <= remaining:
                    chosen[hit_index] |= more
                    remaining -= cost
    return [
        _text(hit.chunk.text, hit_parts, sorted(hit_indices))
        for hit, hit_parts, hit_indices in zip(retrieved.hits, parts, chosen, strict=True)
    ]


def _length(parts: Sequence[Part], indices: set[int]) -> int:
    return sum(parts[index].end - parts[index].start for index in indices)


def _text(text: str, parts: Sequence[Part], chosen: Sequence[int]) -> str:
    """The chosen parts in order, with the text between adjacent parts and a mark for each gap."""
    shown: list[str] = []
    before = -1
    for index in chosen:
        if index != before + 1:
            shown.append(f"{GAP}\n" if not shown else f"\n{GAP}\n")
        start = parts[index].start if index != before + 1 or before < 0 else parts[before].end
        shown.append(text[start : parts[index].end])
        before = index
    if chosen and before != len(parts) - 1:
        shown.append(f"\n{GAP}")
    return "".join(shown)


def _by_score(retrieved: Retrieved, parts: Sequence[Sequence[Part]], embedder: Embedder) -> list[tuple[int, int]]:
    """The indices of each part and of its hit, the best match for the question first. Headings are left out."""
    places = [
        (hit_index, part_index)
        for hit_index, hit_parts in enumerate(parts)
        for part_index, part in enumerate(hit_parts)
        if not part.is_frame
    ]
    texts = [retrieved.hits[hit].chunk.text[parts[hit][part].start : parts[hit][part].end] for hit, part in places]
    if not texts:
        return []
    languages = [retrieved.hits[hit].language for hit, _ in places]
    lexical = lexical_scores(texts, languages, retrieved.term_weights)
    cosines = _cosines(retrieved, parts, embedder)
    scores = {
        place: 0.5 * coverage + 0.5 * bm25 + cosines.get(place, 0.0) - _RANK_WEIGHT * place[0]
        for place, (coverage, bm25) in zip(places, lexical, strict=True)
    }
    return sorted(places, key=lambda place: -scores[place])


def _cosines(retrieved: Retrieved, parts: Sequence[Sequence[Part]], embedder: Embedder) -> dict[tuple[int, int], float]:
    """Each part's cosine with the question, from its token states.

    With one collection, parts without token states are left out. With several collections, their cosines are made
    comparable, and parts without token states get the mean cosine. Otherwise, passages from an embedder without token
    states would hardly be chosen.
    """
    cosines: dict[tuple[int, int], float] = {}
    for hit_index, (hit, hit_parts) in enumerate(zip(retrieved.hits, parts, strict=True)):
        of_collection = retrieved.parts.get(hit.collection or "")
        states = passage_states(
            hit.chunk,
            of_collection.retrieved if of_collection else retrieved,
            of_collection.embedder if of_collection else embedder,
        )
        if states and not (of_collection and of_collection.retrieved.is_lexical_only):
            ranges = [states.tokens(states.offset + part.start, states.offset + part.end) for part in hit_parts]
            places = [(hit_index, part_index) for part_index, tokens in enumerate(ranges) if tokens]
            values = states.cosines([tokens for tokens in ranges if tokens])
            if of_collection:
                values = [of_collection.retrieved.curve.builtin_cosine(each) for each in values]
            cosines.update(zip(places, values, strict=True))
    if retrieved.parts and cosines:
        mean = fmean(cosines.values())
        every = ((hit, part) for hit, hit_parts in enumerate(parts) for part in range(len(hit_parts)))
        return dict.fromkeys(every, mean) | cosines
    return cosines


def _parts(hit: Hit) -> Iterator[Part]:
    """The parts of a passage in order. They cover all of its text except blank lines."""
    text = hit.chunk.text
    is_prose = text_kind(format_path(hit.path)) == "prose"
    headings: dict[int, int] = {}  # heading level -> index of its part, by ascending level
    lead_in: tuple[int, ...] = ()
    count = 0
    for start, end in _blocks(text, is_prose=is_prose):
        block = text[start:end]
        above = tuple(headings.values())
        if is_prose and (heading := _HEADING.match(block)):
            level = len(heading[0]) - 1
            headings = {other: part for other, part in headings.items() if other < level} | {level: count}
            yield Part(start, end, above, is_frame=True)
            lead_in = ()
        elif (is_prose and _ITEM.match(block)) or not is_prose or _FENCE.match(block):
            yield Part(start, end, (*above, *lead_in), joins=False)
        else:
            sentences = list(_sentences(text, start, end))
            for first, last in sentences:
                yield Part(first, last, above)
            count += len(sentences) - 1
            lead_in = (count,) if block.rstrip().endswith((":", "\uff1a")) else ()
        count += 1


def _blocks(text: str, *, is_prose: bool) -> Iterator[tuple[int, int]]:
    """Spans of fenced code, list items, headings and paragraphs."""
    start: int | None = None
    fence = ""
    at = 0
    for line in text.splitlines(keepends=True):
        line_start, at = at, at + len(line)
        if fence:
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                yield start or 0, at
                start, fence = None, ""
            continue
        opening = _FENCE.match(line) if is_prose else None
        is_heading = is_prose and _HEADING.match(line)
        begins = opening or is_heading or (is_prose and _ITEM.match(line)) or not line.strip()
        if begins and start is not None:
            yield start, line_start
            start = None
        if opening:
            start, fence = line_start, opening[1]
        elif is_heading:
            yield line_start, at
        elif line.strip() and start is None:
            start = line_start
    if start is not None:
        yield start, len(text)


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _SENTENCE_END.finditer(text, start, end):
        if match.end() > start:
            yield start, match.end()
            start = match.end()
    if start < end:
        yield start, end
