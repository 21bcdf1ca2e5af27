"""Finds the words in a text that match a question, for front ends that highlight them."""

import re

from streamrag_cli.retrieval.lexical import content_words
from streamrag_cli.store.languages import ENGLISH
from streamrag_cli.store.stemming import UNSPACED, stems

Span = tuple[int, int]


def matched_spans(text: str, query: str, language: str = ENGLISH) -> tuple[Span, ...]:
    """The start and end of each word in `text` that shares a stem with a content word of `query`, in order.

    Positions count characters. In scripts without spaces, each pair of characters counts as a word.

    >>> matched_spans("A token is flushed early.", "Why flush tokens?")
    ((2, 7), (11, 18))
    >>> matched_spans("末班渡轮于八点开航。", "渡轮什么时候开航？")
    ((2, 4), (7, 9))
    """
    if not query:
        return ()
    words = content_words(query, language)
    searched = {stem for of_word in stems(words, [language] * len(words)) for stem in of_word}
    spans = _spans(text)
    parts = [text[start:end] for start, end in spans]
    matched = [
        span
        for span, part, of_part in zip(spans, parts, stems(parts, [language] * len(parts)), strict=True)
        if (part in searched if UNSPACED.match(part) else searched.intersection(of_part))
    ]
    return tuple(_merged(matched))


def _spans(text: str) -> list[Span]:
    """The spans of the words in `text`, or of pairs of characters in a long run of a script without spaces."""
    spans = []
    for match in re.finditer(rf"{UNSPACED.pattern}|(?:(?!{UNSPACED.pattern})\w)+", text):
        start, end = match.span()
        is_long_run = UNSPACED.match(match.group()) and end - start > 2
        spans += [(at, at + 2) for at in range(start, end - 1)] if is_long_run else [(start, end)]
    return spans


def _merged(spans: list[Span]) -> list[Span]:
    """Merge overlapping spans."""
    merged: list[Span] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged
