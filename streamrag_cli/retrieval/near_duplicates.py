"""Near-copies of a page: versions, mirrors and renamed folders hold the same text many times.

Of the ranked chunks only one of each group of near-copies is best, so that there is room for other pages; the others
are named with it. A chunk is not a near-copy if it has a word of the question that the best one lacks, and neither are
records, such as rows of a table, which differ in a few words by nature.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePath
from typing import Final, TypeAlias

from streamrag_cli.documents.formats import text_kind
from streamrag_cli.model import Copy, Hit
from streamrag_cli.retrieval.lexical import STOP_WORDS, content_words, words
from streamrag_cli.store.interface import StoredChunk

FindMissing: TypeAlias = Callable[[Iterable[str]], Collection[str]]
"""Given absolute paths, those at which there is no file."""

COPIED_CHARS: Final = 100
"""A text this long under another title is a copy; a shorter one may be another answer, as `Closed.` is of two shops."""
NEAR: Final = 0.9
"""The share of common pairs of words from which two texts are near-copies, numbers aside."""
MOST_NUMBERS: Final = 3
"""Distinct numbers of a near-copy that the other does not have. A report for another year has more."""
_SAME_SECTION: Final = 0.25
_NEXT_VERSION: Final = 0.5
_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_TABLE_ROW: Final = re.compile(r"^[ \t]*\|", re.MULTILINE)


@dataclass(slots=True)
class DuplicateGroup:
    """The chunk that is best, and those that say the same, in the order of their rank."""

    best: "Candidate"
    duplicates: "list[Candidate]" = field(default_factory=list)

    def hit(self, *, score: float, rank: int) -> Hit:
        stored = self.best.stored
        copies = {
            each.stored.path: Copy(each.stored.source, each.stored.path, each.is_missing) for each in self.duplicates
        }
        copies.pop(stored.path, None)
        return Hit(
            chunk=stored.chunk,
            source=stored.source,
            path=stored.path,
            score=score,
            rank=rank,
            is_missing=self.best.is_missing,
            language=stored.language,
            copies=tuple(copies.values()),
        )


class DuplicateGroups:
    """Groups of near-copies, in the order of the best of each."""

    def __init__(self, question: str, find_missing: FindMissing | None) -> None:
        self._asked = frozenset(content_words(question))
        self._find_missing = find_missing
        self.groups: list[DuplicateGroup] = []

    def add(self, chunks: Iterable[StoredChunk]) -> None:
        """Add chunks in the order of their rank."""
        given = list(chunks)
        gone = self._find_missing(each.path for each in given) if self._find_missing else ()
        for stored in given:
            self._add(Candidate.of(stored, self._asked, is_missing=stored.path in gone))

    def _add(self, candidate: "Candidate") -> None:
        for group in self.groups:
            if replaces(candidate, group.best):
                group.duplicates.append(group.best)
                group.best = candidate
            elif replaces(group.best, candidate):
                group.duplicates.append(candidate)
            else:
                continue
            return
        self.groups.append(DuplicateGroup(candidate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A chunk and what it is compared by. `pairs` are neighbouring words, each number as `0`."""

    stored: StoredChunk
    is_missing: bool
    asked: frozenset[str]
    words: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    numbers: frozenset[str]

    @classmethod
    def of(cls, stored: StoredChunk, asked: frozenset[str], *, is_missing: bool) -> "Candidate":
        text = stored.chunk.text_to_embed
        masked = words(_NUMBER.sub("0", text))
        held = asked.intersection(words(text)) | asked.intersection(words(stored.source))
        return cls(
            stored=stored,
            is_missing=is_missing,
            asked=held,
            words=frozenset(masked),
            pairs=frozenset(pairwise(masked)),
            numbers=frozenset(_NUMBER.findall(text)),
        )


def replaces(one: Candidate, other: Candidate) -> bool:
    """Whether `one` may stand for `other`: it says the same, has every word of the question that `other` has, and if
    they are equal in that, its file exists or the other's does not.
    """
    if other.is_missing and not one.is_missing and _is_next_version(one, other):
        return True
    if one.is_missing and not other.is_missing and _is_next_version(other, one):
        return False
    if not (_is_equal(one, other) or _is_near(one, other)):
        return False
    if one.asked == other.asked:
        return other.is_missing or not one.is_missing
    return one.asked > other.asked or (_is_equal(one, other) and len(one.asked) > len(other.asked))


def _is_equal(one: Candidate, other: Candidate) -> bool:
    chunk, copy = one.stored.chunk, other.stored.chunk
    if chunk.text == copy.text and len(chunk.text) >= COPIED_CHARS:
        return True
    return chunk.text_to_embed == copy.text_to_embed


def _is_near(one: Candidate, other: Candidate) -> bool:
    if one.stored.path == other.stored.path or not (_is_prose(one.stored) and _is_prose(other.stored)):
        return False
    ours, theirs = one.numbers - other.numbers, other.numbers - one.numbers
    if max(len(ours), len(theirs)) > (MOST_NUMBERS if _masked_title(one) == _masked_title(other) else 0):
        return False
    return _jaccard(one.pairs, other.pairs) >= NEAR


def _is_prose(stored: StoredChunk) -> bool:
    text = stored.chunk.text
    rows = len(_TABLE_ROW.findall(text))
    return (
        len(text) >= COPIED_CHARS and text_kind(PurePath(stored.path)) != "records" and rows * 2 <= text.count("\n") + 1
    )


def _masked_title(candidate: Candidate) -> str:
    return _NUMBER.sub("0", candidate.stored.chunk.title).casefold()


def _is_next_version(new: Candidate, gone: Candidate) -> bool:
    """Whether `new` is what became of a file that is gone: of the same name, and about the same."""
    if PurePath(new.stored.path).name != PurePath(gone.stored.path).name:
        return False
    same_section = new.stored.chunk.headings == gone.stored.chunk.headings
    likeness = _jaccard(new.words - STOP_WORDS, gone.words - STOP_WORDS)
    return likeness >= (_SAME_SECTION if same_section else _NEXT_VERSION)


def _jaccard(one: frozenset[object], other: frozenset[object]) -> float:
    return len(one & other) / (len(one | other) or 1)
