"""Rejoins sentences that a page break divides: the rest moves to the page on which the sentence begins."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from streamrag_cli.documents.loaders.pdf_layout import NOTE_SIZE, Line
from streamrag_cli.documents.loaders.pdf_rows import body_height
from streamrag_cli.documents.loaders.pdf_tables import fits
from streamrag_cli.documents.loaders.pdf_text import LINE_BREAK_HYPHEN

_MAX_LINES: Final = 8
"""The maximum number of lines in the rest of a sentence. More lines are probably not the rest of a sentence."""

_MIN_FULL_LINE: Final = 20
_CLOSING: Final = "[\"'”’»)\\]]*"
_ENDS: Final = re.compile(rf"[.!?:…。！？]{_CLOSING}\Z")
_END_INSIDE: Final = re.compile(rf"[.!?…]{_CLOSING}(?=\s+[^\sa-zß-öø-ÿ]|\Z)|[。！？]{_CLOSING}")


def join_sentences(pages: Sequence[list[Line]]) -> None:
    """Move the rest of each divided sentence to the previous page, before that page's footnotes."""
    with_text = [page for page in pages if page]
    for page, following in pairwise(with_text):
        size = body_height([line.run for line in page])
        body_end = len(page)
        while body_end and page[body_end - 1].run.height < NOTE_SIZE * size:
            body_end -= 1
        if body_end and following and _continues(page[body_end - 1], following[0]):
            page[body_end:body_end] = _take_rest(following)


def _continues(last: Line, first: Line) -> bool:
    if not 0.87 < first.run.height / max(last.run.height, 0.1) < 1.15 or _ENDS.search(last.text):
        return False
    if last.text.endswith(LINE_BREAK_HYPHEN) or first.text[:1].islower():
        return True
    return (
        len(last.text) >= _MIN_FULL_LINE
        and (first.text[:1].isalnum() or first.text[:1] in "\"'“‘«(")
        and not fits(first.run, last.run, last.right)
    )


def _take_rest(lines: list[Line]) -> list[Line]:
    """Remove the rest of a sentence from the beginning of `lines` and return it; empty if it exceeds 8 lines."""
    for count, line in enumerate(lines[:_MAX_LINES]):
        if match := _END_INSIDE.search(line.text):
            taken = [*lines[:count], replace(line, text=line.text[: match.end()])]
            rest = line.text[match.end() :].lstrip()
            lines[: count + 1] = [replace(line, text=rest)] if rest else []
            return taken
    return []
