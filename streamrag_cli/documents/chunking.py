"""Splits a document into chunks for retrieval.

A chunk has at most about `target_chars` characters, because the built-in embedding model ignores everything after the
first 256 tokens. It stays within a section, so that its heading path applies to all of it. The preferred places to end
a chunk are, in this order, the end of a block, a sentence or list item, a line, a word, and punctuation. Fenced code
stays whole if it fits. A section that `is_whole` is one chunk regardless of its length.

Small adjacent sections are merged into one chunk under the headings that they share, because each has too little
content to be found on its own.
"""

import hashlib
import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from streamrag_cli.documents import RECIPE
from streamrag_cli.model import LONGEST_CHUNK_CHARS, SUMMARY_MARK, Chunk, Document, Section

TARGET_CHARS: Final = 1000
SMALL_SECTION_CHARS: Final = 300
"""A section up to this length may be merged with its neighbours if the result is not longer than the target."""

BARE_SECTION_CHARS: Final = 120
"""A section up to this length has hardly any text after its heading, so it is merged into its first subsection."""

MIN_SHARE: Final = 0.25
"""The minimum length of a chunk, as a share of the target, except before fenced code that fits in the next chunk."""

LAST_PIECE_SHARE: Final = 0.15
"""If the rest of a section is shorter than this share of the target, it is added to the previous chunk."""

_BLOCK_END: Final = re.compile(r"\n[ \t\f\v]*\n")
_SENTENCE_END: Final = re.compile(
    r"""[.!?…]["'”’»)\]*_]*\s+(?![a-z])|[。！？]["”’」』)]*|\n(?=[ \t]*[-+*•|>#"'({\[<@\d])"""
)
_LINE_END: Final = re.compile(r"\n")
_WORD_END: Final = re.compile(r"\s+")
_PUNCTUATION: Final = re.compile(r"[,;:)\]}>]+")
_CUTS: Final = (_BLOCK_END, _SENTENCE_END, _LINE_END, _WORD_END, _PUNCTUATION)
_FENCE: Final = re.compile(r"^[ \t]*(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)


def chunk(document: Document, *, target_chars: int = TARGET_CHARS) -> Iterator[Chunk]:
    """Yield the document's chunks in order. Every character except whitespace is in one of them."""
    lines = _Lines(document)
    seen: Counter[bytes] = Counter()
    ordinal = 0
    for group in _groups(document, target_chars):
        for start, end in _spans(document.text, group, target_chars):
            text = document.text[start:end]
            line_start, line_end = lines.range_of(start, end)
            headings = _heading_path(document, group.headings, is_first=not ordinal)
            yield Chunk(
                id=_chunk_id(document.path, headings, group.page, text, seen),
                ordinal=ordinal,
                text=text,
                headings=headings,
                page=group.page,
                line_start=line_start,
                line_end=line_end,
                char_start=start,
                char_end=end,
            )
            ordinal += 1


@dataclass(frozen=True, slots=True)
class _Group:
    """Merged sections. `chars` is their total length and `largest` the length of the longest, without outer whitespace.

    `is_chain` is True if each section is nested in the previous one. `headings` are then those of the last section.
    """

    start: int
    end: int
    headings: tuple[str, ...]
    page: int | None
    chars: int
    largest: int
    is_chain: bool = True
    is_whole: bool = False

    def with_section(self, section: Section, chars: int, headings: tuple[str, ...]) -> "_Group":
        page = self.page if self.chars else section.page
        descends = headings == section.headings and headings[: len(self.headings)] == self.headings
        return _Group(
            start=self.start,
            end=section.end,
            headings=headings,
            page=page,
            chars=self.chars + chars,
            largest=max(self.largest, chars),
            is_chain=not self.chars or (self.is_chain and (not chars or descends)),
        )


def _groups(document: Document, target_chars: int) -> Iterator[_Group]:
    """Yield the document's sections. Sections that belong together are merged; blank ones join their neighbours."""
    group: _Group | None = None
    for section in document.sections:
        chars = len(document.text[section.start : section.end].strip())
        headings = section.headings if group is None else _shared_headings(group, section, chars, target_chars)
        if group is not None and headings is not None:
            group = group.with_section(section, chars, headings)
        else:
            if group is not None:
                yield group
            group = _Group(
                section.start, section.end, section.headings, section.page, chars, chars, is_whole=section.is_whole
            )
    if group is not None and group.chars:
        yield group


def _shared_headings(group: _Group, section: Section, chars: int, target_chars: int) -> tuple[str, ...] | None:
    """Return the heading path for `group` merged with `section`; None if they should stay separate."""
    if group.is_whole or section.is_whole:
        return None if chars else group.headings
    if not group.chars:
        return section.headings
    if not chars:
        return group.headings
    if group.page != section.page:
        return None
    is_nested = section.headings[: len(group.headings)] == group.headings
    is_deeper = is_nested and len(section.headings) > len(group.headings)
    if is_deeper and group.is_chain and group.chars <= BARE_SECTION_CHARS:
        return section.headings
    if group.chars + chars > target_chars:
        return None
    if group.headings == section.headings:
        return group.headings
    if max(group.largest, chars) > SMALL_SECTION_CHARS:
        return None
    parent = group.headings if is_nested else group.headings[:-1]
    return parent if section.headings[: len(parent)] == parent else None


def _heading_path(document: Document, headings: tuple[str, ...], *, is_first: bool) -> tuple[str, ...]:
    """Return a chunk's headings: the document's title, its summary (first chunk only), and the section's headings."""
    above = (document.title,) if document.title else ()
    own = headings[1:] if above and headings[:1] == above else headings
    summary = (f"{SUMMARY_MARK}{document.summary}",) if is_first and document.summary else ()
    return (*above, *summary, *own)


def _spans(text: str, group: _Group, target_chars: int) -> Iterator[tuple[int, int]]:
    at = group.start
    for end in _chunk_ends(text, group, target_chars):
        if span := _stripped(text, at, end):
            yield span
        at = end


def _chunk_ends(text: str, group: _Group, target_chars: int) -> Iterator[int]:
    """Yield the end offset of each chunk of `group`. The last one is the end of the group."""
    if group.is_whole and group.end - group.start <= LONGEST_CHUNK_CHARS:
        yield group.end
        return
    fences = _fences(text, group.start, group.end)
    at = group.start
    end = at + len(text[at : group.end].rstrip())
    while end - at > _max_chars(target_chars):
        at = _best_cut(text, at, target_chars, fences)
        yield at
    yield group.end


def _max_chars(target_chars: int) -> int:
    return int(target_chars * (1 + LAST_PIECE_SHARE))


def _best_cut(text: str, at: int, target_chars: int, fences: Sequence[tuple[int, int]]) -> int:
    """Return where the chunk that begins at `at` ends: at the last boundary of the best kind within the target."""
    earliest, latest = at + max(1, int(target_chars * MIN_SHARE)), at + target_chars
    fence = _fence_around(fences, latest)
    if fence:
        fence_start, fence_end = fence
        fits = fence_end - fence_start <= target_chars
        if fits and fence_end - at <= _max_chars(target_chars):
            return fence_end
        if fence_start >= earliest or (fits and fence_start > at):
            return fence_start
    for kind in _CUTS:
        end = 0
        for boundary in kind.finditer(text, earliest, latest + 1):
            inside = _fence_around(fences, boundary.start())
            if inside is None or inside[1] - inside[0] > target_chars:
                end = boundary.end()
        if end:
            return end
    return latest


def _fences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return the start and end of each fenced code block. An unclosed block ends with the section."""
    fences: list[tuple[int, int]] = []
    opener: re.Match[str] | None = None
    for match in _FENCE.finditer(text, start, end):
        if opener is None:
            opener = None if "`" in match[1] and "`" in match[2] else match
        elif match[1].startswith(opener[1]) and not match[2].strip():
            fences.append((opener.start(), match.end()))
            opener = None
    if opener is not None:
        fences.append((opener.start(), end))
    return fences


def _fence_around(fences: Sequence[tuple[int, int]], offset: int) -> tuple[int, int] | None:
    index = bisect_right(fences, (offset, -1)) - 1
    return fences[index] if index >= 0 and fences[index][0] < offset < fences[index][1] else None


def _stripped(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return the span without surrounding blank lines, or None if it is blank. The first line keeps its indentation."""
    span = text[start:end]
    body = span.lstrip()
    if not body:
        return None
    first = len(span) - len(body)
    indentation = span.rfind("\n", 0, first) + 1
    return start + (indentation if indentation or _begins_a_line(text, start) else first), start + len(span.rstrip())


def _begins_a_line(text: str, offset: int) -> bool:
    return offset == 0 or text[offset - 1] == "\n"


def _chunk_id(path: str, headings: tuple[str, ...], page: int | None, text: str, seen: Counter[bytes]) -> str:
    """Return the chunk's id, 32 hex digits of a hash. Equal chunks in a document are numbered, so their ids differ."""
    digest = hashlib.sha256(json.dumps([RECIPE, path, headings, page, text]).encode("ascii"))
    content = digest.digest()
    digest.update(b"%d" % seen[content])
    seen[content] += 1
    return digest.hexdigest()[:32]


@dataclass(slots=True)
class _Lines:
    """Converts offsets in the text into line numbers in the file. Calls must be in ascending order of `start`."""

    document: Document
    _offset: int = 0
    _index: int = 0

    def range_of(self, start: int, end: int) -> tuple[int | None, int | None]:
        numbers = self.document.line_numbers
        if numbers is None:
            return None, None
        self._index += self.document.text.count("\n", self._offset, start)
        self._offset = start
        last = self._index + self.document.text.count("\n", start, end)
        return numbers[self._index], numbers[last]
