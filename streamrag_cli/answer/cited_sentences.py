"""Extracts the sentences with citations from an answer."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from streamrag_cli.answer.citations import CODE, MARKER
from streamrag_cli.answer.sentences import sentence_ends

_BLOCK_START: Final = re.compile(r"[ \t]*(?:[-*+\u2022][ \t]|\d{1,3}[.)][ \t]|#{1,6}[ \t]|>|\|)")
_LINE_MARK: Final = re.compile(r"^[ \t>]{0,20}(?:[-*+\u2022][ \t]+|\d{1,3}[.)][ \t]+|#{1,6}[ \t]+|\|)?")
_LABEL: Final = re.compile(
    r"^(?:\*\*|__)[^*_\n]{1,80}(?:\*\*|__)(?=[ \t]*[:\u2013\u2014.-])|^(?:\*\*|__)[^*_\n]{1,80}:(?:\*\*|__)"
)
_LINK: Final = re.compile(r"!?\[([^\[\]\n]{1,200})\]\((?:[^()\s]{1,500})\)")
_EMPHASIS: Final = re.compile(r"(?<![\w*])[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?![\w*])")
_LEADING_MARKERS: Final = re.compile(r"(?:\s*\[\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*\](?![(:]))+[.,;]?")
MAX_SENTENCES: Final = 200
_MAX_CHARS: Final = 40_000
_MAX_SENTENCE_CHARS: Final = 2_000


class CitedPart(NamedTuple):
    """A part of a sentence without markup, and the numbers of the citations that follow it."""

    text: str
    numbers: tuple[int, ...]


class CitedSentence(NamedTuple):
    """A sentence with at least one citation. A bold label at its beginning is not part of it."""

    parts: tuple[CitedPart, ...]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)

    @property
    def numbers(self) -> frozenset[int]:
        return frozenset(number for part in self.parts for number in part.numbers)


def cited_sentences(answer: str) -> Iterator[CitedSentence]:
    """The first `MAX_SENTENCES` sentences with citations. Citations after a full stop belong to the sentence before it.

    >>> [(each.text, each.numbers) for each in cited_sentences("It runs. It is **blue**.[2] Is it [1]?")]
    [('It is blue.', frozenset({2})), ('Is it ?', frozenset({1}))]
    """
    count = 0
    answer = CODE.sub(_blank_block, answer[:_MAX_CHARS])
    for block in _blocks(answer):
        for sentence in _sentences(block):
            if not MARKER.search(sentence):
                continue
            parts = _parts(sentence[:_MAX_SENTENCE_CHARS])
            if parts:
                yield CitedSentence(parts)
                count += 1
                if count == MAX_SENTENCES:
                    return


def _blank_block(code: re.Match[str]) -> str:
    """Remove a code block, or replace the brackets in a code span: a marker in code is not a citation."""
    return "\n\n" if code[1] else code[0].replace("[", "(").replace("]", ")")


def _blocks(answer: str) -> Iterator[str]:
    """The paragraphs, list items, headings and table rows of the answer, each joined into one line."""
    lines: list[str] = []
    for line in answer.split("\n"):
        if lines and (not line.strip() or _BLOCK_START.match(line) or lines[0].lstrip().startswith(("#", "|"))):
            yield " ".join(lines)
            lines = []
        if line.strip():
            lines.append(line)
    if lines:
        yield " ".join(lines)


def _sentences(block: str) -> Iterator[str]:
    """The sentences in a block with their citations."""
    text = _LABEL.sub(" ", _LINE_MARK.sub("", block, count=1), count=1)
    if block.lstrip().startswith("|"):
        yield text.replace("|", " ; ")
        return
    pieces: list[str] = []
    start = 0
    for end in (*sentence_ends(text), len(text)):
        piece = text[start:end]
        start = end
        markers = _LEADING_MARKERS.match(piece)
        if pieces and markers and not MARKER.search(pieces[-1]):
            pieces[-1] += piece[: markers.end()]
            piece = piece[markers.end() :]
        if piece.strip():
            pieces.append(piece)
    yield from pieces


def _parts(sentence: str) -> tuple[CitedPart, ...]:
    parts: list[CitedPart] = []
    start = 0
    groups = list(MARKER.finditer(sentence))
    for at, marker in enumerate(groups):
        numbers = tuple(int(number) for number in re.findall(r"\d+", marker[1] or marker[2]))
        text = sentence[start : marker.start()]
        start = marker.end()
        if parts and not re.search(r"\w", text):
            parts[-1] = CitedPart(parts[-1].text, parts[-1].numbers + numbers)
        else:
            parts.append(CitedPart(text, numbers))
        if at == len(groups) - 1:
            parts[-1] = CitedPart(parts[-1].text + sentence[start:], parts[-1].numbers)
    plain = [CitedPart(_EMPHASIS.sub("", _LINK.sub(r"\1", part.text)), part.numbers) for part in parts]
    if len(plain) > 1 and not re.search(r"\w", plain[0].text):  # the sentence begins with its citation
        plain[1] = CitedPart(plain[1].text, plain[0].numbers + plain[1].numbers)
        plain.pop(0)
    stripped = [CitedPart(part.text.lstrip() if at == 0 else part.text, part.numbers) for at, part in enumerate(plain)]
    return tuple(stripped) if any(re.search(r"\w", part.text) for part in stripped) else ()
