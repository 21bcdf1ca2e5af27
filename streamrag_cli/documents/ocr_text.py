"""Turns the words that tesseract recognised into text, without words found in pictures and noise."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final, NamedTuple

_COLUMNS: Final = 12
_WORD_LEVEL: Final = "5"
_PLAUSIBLE_LINE: Final = 40.0
"""The minimum mean confidence of a line, 0 to 100. Lines found in photos have a lower confidence."""
_PLAUSIBLE_WORD: Final = 60.0
_PLAUSIBLE_WORDS: Final = 2
_LETTERS: Final = re.compile(r"[^\W\d_]{2}|\d{2}|[\u3040-\u30ff\u3400-\u9fff]")
_CJK: Final = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")


class _Word(NamedTuple):
    block: str
    paragraph: str
    line: str
    confidence: float
    text: str


def text_of(table: str) -> str:
    """Return the text in tesseract's TSV table of a page, with a blank line between paragraphs; "" if it is noise."""
    words = list(_words(table))
    sure = sum(1 for word in words if word.confidence >= _PLAUSIBLE_WORD and _LETTERS.search(word.text))
    if sure < _PLAUSIBLE_WORDS:
        return ""
    paragraphs = (
        [_joined(list(line)) for _, line in groupby(paragraph, lambda word: word.line)]
        for _, paragraph in groupby(words, lambda word: (word.block, word.paragraph))
    )
    return "\n\n".join("\n".join(filter(None, lines)) for lines in paragraphs if any(lines))


def _words(table: str) -> Iterator[_Word]:
    for row in table.split("\n"):
        cells = row.rstrip("\r").split("\t", _COLUMNS - 1)
        if len(cells) == _COLUMNS and cells[0] == _WORD_LEVEL and cells[11].strip():
            yield _Word(cells[2], cells[3], cells[4], float(cells[10]), cells[11].strip())


def _joined(line: list[_Word]) -> str:
    """Join the words of a line, without spaces in Chinese and Japanese; "" if the line is probably not text."""
    if sum(word.confidence for word in line) < _PLAUSIBLE_LINE * len(line):
        return ""
    text = line[0].text
    for word in line[1:]:
        is_cjk = _CJK.match(word.text) and _CJK.match(text[-1])
        text += word.text if is_cjk else f" {word.text}"
    return text
