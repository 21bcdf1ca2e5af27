"""Groups near-duplicate chunks, because versions, mirrors and renamed folders contain the same text many times.

Only the best chunk of each group becomes a hit, which makes space for hits from other documents. The documents that
contain the other chunks are listed with it. A chunk is not grouped with a better chunk if it has a word from the
question that the better chunk lacks. Records, such as rows of a table, must be equal, because different records may
differ in only a few words.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Final, TypeAlias

from streamrag_cli.addresses import format_path
from streamrag_cli.documents.formats import text_kind
from streamrag_cli.model import Copy, Hit
from streamrag_cli.retrieval.lexical import STOP_WORDS, content_words, words
from streamrag_cli.store.interface import StoredChunk

FindMissing: TypeAlias = Callable[[Iterable[str]], Collection[str]]
"""A function that takes absolute paths and returns the paths at which no file exists."""

COPIED_CHARS: Final = 100
"""The minimum length of equal chunks with different titles that count as copies. Shorter texts, such as "Closed.", also
occur on unrelated pages."""
NEAR: Final = 0.9
"""Two passages are near-duplicates if they share at least this fraction of their word pairs, ignoring numbers."""
MAX_NEW_NUMBERS: Final = 3
"""The maximum number of numbers that one near-duplicate has and the other lacks. Reports for different years differ in
more numbers."""
_SAME_SECTION_SIMILARITY: Final = 0.25
_NEXT_VERSION_SIMILARITY: Final = 0.5
_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_TABLE_ROW: Final = re.compile(r"^[ \t]*\|", re.MULTILINE)


@dataclass(slots=True)
class DuplicateGroup:
    """A group of near-duplicates: its best chunk, and the others."""

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

    def merged_hit(self) -> Hit:
        """The best hit of the group, with the copies of all hits in the group. Valid only for groups of hits."""
        best, *others = [each.hit for each in (self.best, *self.duplicates) if each.hit]
        copies = {each.path: each for each in best.copies}
        for other in others:
            copies[other.path] = Copy(other.source, other.path, other.is_missing)
            copies.update((each.path, each) for each in other.copies)
        copies.pop(best.path, None)
        return replace(best, copies=tuple(copies.values()))


class DuplicateGroups:
    """Groups of near-duplicates, ordered by the rank of the first chunk in each group."""

    def __init__(self, question: str, find_missing: FindMissing | None) -> None:
        self._question_words = frozenset(content_words(question))
        self._find_missing = find_missing
        self.groups: list[DuplicateGroup] = []

    def add(self, chunks: Iterable[StoredChunk]) -> None:
        """Add chunks, which must be in rank order."""
        candidates = list(chunks)
        missing = self._find_missing(each.path for each in candidates) if self._find_missing else ()
        for stored in candidates:
            self._add(Candidate.of(stored, self._question_words, is_missing=stored.path in missing))

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

    def add_hits(self, hits: Iterable[Hit]) -> None:
        """Add hits from several collections, which must already have been checked for missing files.

        If two hits can represent each other, the first represents both.
        """
        for hit in hits:
            candidate = Candidate.of_hit(hit, self._question_words)
            first = next((each for each in self.groups if replaces(each.best, candidate)), None)
            if first:
                first.duplicates.append(candidate)
            else:
                self._add(candidate)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A chunk and the features by which it is compared. They are computed on demand: most comparisons need few.

    `question_words` are the words in the question that the chunk contains. `hit` is the chunk as a hit of its
    collection, if it is compared with chunks from other collections.
    """

    stored: StoredChunk
    is_missing: bool
    question_words: frozenset[str]
    hit: Hit | None = None

    @classmethod
    def of(cls, stored: StoredChunk, question_words: frozenset[str], *, is_missing: bool) -> "Candidate":
        in_chunk = question_words.intersection(words(stored.chunk.text_to_embed))
        present = in_chunk | question_words.intersection(words(stored.source))
        return cls(stored=stored, is_missing=is_missing, question_words=present)

    @classmethod
    def of_hit(cls, hit: Hit, question_words: frozenset[str]) -> "Candidate":
        stored = StoredChunk(chunk=hit.chunk, source=hit.source, path=hit.path, language=hit.language)
        return replace(cls.of(stored, question_words, is_missing=hit.is_missing), hit=hit)

    @property
    def document(self) -> tuple[str, str | None]:
        """A key that identifies the document, even if several collections contain versions of the same file."""
        return self.stored.path, self.hit.collection if self.hit else None

    @cached_property
    def is_prose(self) -> bool:
        return _is_prose(self.stored)

    @cached_property
    def title(self) -> str:
        """The title of the chunk, with each number replaced by `0`."""
        return _NUMBER.sub("0", self.stored.chunk.context).casefold()

    @cached_property
    def numbers(self) -> frozenset[str]:
        return frozenset(_NUMBER.findall(self.stored.chunk.text_to_embed))

    @cached_property
    def masked_words(self) -> list[str]:
        """The words in the chunk in order, with each number replaced by `0`."""
        return words(_NUMBER.sub("0", self.stored.chunk.text_to_embed))

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """All pairs of neighbouring words, with each number replaced by `0`."""
        return frozenset(pairwise(self.masked_words))


def replaces(one: Candidate, other: Candidate) -> bool:
    """Whether `one` can represent `other`.

    They must be near-duplicates, and `one` must have every word from the question that `other` has. If both have the
    same words from the question, a chunk whose file exists represents a chunk whose file is missing. A later version of
    a missing file always represents it.
    """
    if other.is_missing and not one.is_missing and _is_next_version(one, other):
        return True
    if one.is_missing and not other.is_missing and _is_next_version(other, one):
        return False
    if not (_is_equal(one, other) or _is_near(one, other)):
        return False
    if one.question_words == other.question_words:
        return other.is_missing or not one.is_missing
    return one.question_words > other.question_words or (
        _is_equal(one, other) and len(one.question_words) > len(other.question_words)
    )


def _is_equal(one: Candidate, other: Candidate) -> bool:
    chunk, copy = one.stored.chunk, other.stored.chunk
    if chunk.text == copy.text and len(chunk.text) >= COPIED_CHARS:
        return True
    return chunk.text_to_embed == copy.text_to_embed


def _is_near(one: Candidate, other: Candidate) -> bool:
    if one.document == other.document or not (one.is_prose and other.is_prose):
        return False
    ours, theirs = one.numbers - other.numbers, other.numbers - one.numbers
    if max(len(ours), len(theirs)) > (MAX_NEW_NUMBERS if one.title == other.title else 0):
        return False
    return _jaccard(one.pairs, other.pairs) >= NEAR


def _is_prose(stored: StoredChunk) -> bool:
    text = stored.chunk.text
    rows = len(_TABLE_ROW.findall(text))
    return (
        len(text) >= COPIED_CHARS
        and text_kind(format_path(stored.path)) != "records"
        and rows * 2 <= text.count("\n") + 1
    )


def _is_next_version(new: Candidate, missing: Candidate) -> bool:
    """Whether `new` is probably a later version of a missing file: its name is equal, and its words are similar."""
    if format_path(new.stored.path).name != format_path(missing.stored.path).name:
        return False
    same_section = new.stored.chunk.headings == missing.stored.chunk.headings
    similarity = _jaccard(frozenset(new.masked_words) - STOP_WORDS, frozenset(missing.masked_words) - STOP_WORDS)
    return similarity >= (_SAME_SECTION_SIMILARITY if same_section else _NEXT_VERSION_SIMILARITY)


def _jaccard(one: frozenset[object], other: frozenset[object]) -> float:
    return len(one & other) / (len(one | other) or 1)
