"""Finds facts in a page's front matter, such as `attendees: Ada, Ivo`. Facts are quoted only on request."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from streamrag_cli.retrieval.lexical import content_words

_FACTS: Final = re.compile(r"---\n(?:(?:[^\n:A-Z]{1,80}: [^\n]+)?\n)+---(?:\n|\Z)")
_SHORTEST_STEM: Final = 3
_ENDING: Final = re.compile(r"(?:ed|s|ing|er|ees?|ors?|ers)$")
# "who" is matched once per line, because a search that starts at each of thousands of "who" takes quadratic time.
_FORMS: Final = tuple(
    (re.compile(pattern, re.MULTILINE), frozenset(names.split()))
    for pattern, names in (
        (r"^(?>.*?\bwho\b).*\b(?:wrote|written|author\w*|edited)\b|\bby whom\b", "author authors by writer editor"),
        (
            r"^(?>.*?\bwho\b).*\b(?:at|present|there|came|joined|took part|participat\w+|attend\w*|met)\b",
            "attendees participants present people with",
        ),
        (
            r"^(?>.*?\bwho(?:m|se)?\b).*"
            r"\b(?:responsible|in charge|maintain\w*|own\w*|runs?|leads?|contact|ask|assigned)\b",
            "owner owners maintainer maintainers responsible contact assignee assigned lead reviewer",
        ),
        (r"\bwhen\b|\b(?:what|which) (?:date|day|month|year)\b", "date day when created published due deadline"),
        (r"\bwhere\b", "location place venue room"),
    )
)


def split_facts(text: str) -> tuple[Sequence[tuple[int, str]], str]:
    """The facts at the beginning of a chunk, as (line index, fact) pairs, and the text with these lines left blank."""
    match = _FACTS.match(text) if text.startswith("---\n") else None
    if not match:
        return (), text
    facts = [(number, line) for number, line in enumerate(match[0].split("\n")) if line.strip("-")]
    return facts, "\n" * match[0].count("\n") + text[match.end() :]


def fact_match(fact: str, question: str, title: str = "") -> Literal["", "name", "value"]:
    """Which part of the fact the question refers to: its name, a word in its value, or neither.

    A question word such as "when" refers to a fact only if at least half of the other words are in the page's `title`:
    "when is the budget frozen" is not about the page's date.

    >>> [fact_match("owner: Ida Falk", each) for each in ("Who owns it?", "What did Ida do?", "What is a berth?")]
    ['name', 'value', '']
    """
    name, _, value = fact.partition(": ")
    parsed = _parsed(question)
    if not parsed.names.isdisjoint(re.findall(r"\w+", name)) and (
        not title or 2 * len(parsed.words.intersection(content_words(title))) >= len(parsed.words)
    ):
        return "name"
    for part in re.findall(r"[^\W_]+", name):
        stem = _stem(part)
        if part in parsed.words or (len(stem) >= _SHORTEST_STEM and stem in parsed.stems):
            return "name"
    return "" if parsed.words.isdisjoint(content_words(value)) else "value"


class _Question(NamedTuple):
    """The parts of a question with which facts are compared.

    `names` are the fact names that question words imply, such as "owner" for "who". `words` are the content words, and
    `stems` are their stems.
    """

    names: frozenset[str]
    words: frozenset[str]
    stems: frozenset[str]


@lru_cache(maxsize=8)
def _parsed(question: str) -> _Question:
    """Split the question into its parts. Cached, because every fact in every hit is compared with it."""
    lowered = question.lower()
    words = frozenset(content_words(question))
    names = frozenset[str]().union(*(names for pattern, names in _FORMS if pattern.search(lowered)))
    return _Question(names, words, frozenset(map(_stem, words)))


def _stem(word: str) -> str:
    """The word without its ending: attended and attendees, or owns and owner, have the same stem."""
    return _ENDING.sub("", word)
