"""Facts in a page's front matter, such as `attendees: Ada, Ivo`; quoted only if the question is about them."""

import re
from collections.abc import Sequence
from typing import Final, Literal

from streamrag_cli.retrieval.lexical import content_words

_FACTS: Final = re.compile(r"---\n(?:(?:[^\n:A-Z]{1,80}: [^\n]+)?\n)+---(?:\n|\Z)")
_SHORTEST_STEM: Final = 3
_FORMS: Final = tuple(
    (re.compile(pattern), frozenset(names.split()))
    for pattern, names in (
        (r"\bwho\b.*\b(?:wrote|written|author\w*|edited)\b|\bby whom\b", "author authors by writer editor"),
        (
            r"\bwho\b.*\b(?:at|present|there|came|joined|took part|participat\w+|attend\w*|met)\b",
            "attendees participants present people with",
        ),
        (
            r"\bwho(?:m|se)?\b.*\b(?:responsible|in charge|maintain\w*|own\w*|runs?|leads?|contact|ask|assigned)\b",
            "owner owners maintainer maintainers responsible contact assignee assigned lead reviewer",
        ),
        (r"\bwhen\b|\b(?:what|which) (?:date|day|month|year)\b", "date day when created published due deadline"),
        (r"\bwhere\b", "location place venue room"),
    )
)


def split_facts(text: str) -> tuple[Sequence[tuple[int, str]], str]:
    """The facts at the beginning of a chunk with their lines from 0, and the text with those lines blanked."""
    match = _FACTS.match(text) if text.startswith("---\n") else None
    if not match:
        return (), text
    facts = [(number, line) for number, line in enumerate(match[0].split("\n")) if line.strip("-")]
    return facts, "\n" * match[0].count("\n") + text[match.end() :]


def fact_match(fact: str, question: str, title: str = "") -> Literal["", "name", "value"]:
    """Which part of the fact the question refers to: its name, a word of its value, or neither.

    Question words such as "when" ask for a fact only if half of the other words are in the page's `title`: "when is
    the budget frozen" is not about the page's date.

    >>> [fact_match("owner: Ida Falk", each) for each in ("Who owns it?", "What did Ida do?", "What is a berth?")]
    ['name', 'value', '']
    """
    name, _, value = fact.partition(": ")
    lowered = question.lower()
    words = content_words(question)
    if any(pattern.search(lowered) and not names.isdisjoint(re.findall(r"\w+", name)) for pattern, names in _FORMS):
        title_words = set(content_words(title)).intersection(words)
        if not title or 2 * len(title_words) >= len(set(words)):
            return "name"
    if any(_is_same_stem(word, part) for word in words for part in re.findall(r"[^\W_]+", name)):
        return "name"
    return "" if set(words).isdisjoint(content_words(value)) else "value"


def _is_same_stem(word: str, part: str) -> bool:
    """Whether the words differ only in their endings, such as attended and attendees, or owns and owner."""
    stem = re.sub(r"(?:ed|s|ing|er|ees?|ors?|ers)$", "", word), re.sub(r"(?:ed|s|ing|er|ees?|ors?|ers)$", "", part)
    return word == part or (min(map(len, stem)) >= _SHORTEST_STEM and stem[0] == stem[1])
