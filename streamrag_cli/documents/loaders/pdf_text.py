"""Reads PDF pages as text runs with positions.

pdfium returns a page's text in drawing order with its own line breaks. It joins text at the same height into one line,
even across the gap between columns. Reading the position of every word takes as long as reading the text. Therefore
words are examined only in lines with a gap between separately drawn parts.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

from streamrag_cli.documents.loaders.pdf_boxes import Boxes

LINE_BREAK_HYPHEN: Final = "\ufffe"
"""The character with which pdfium replaces a hyphen at the end of a line and the line break after it."""

GAP: Final = 0.55
"""The minimum white space between columns or cells, as a multiple of the text height."""

NOT_SHOWN: Final = re.compile("[\x00\xad\ud800-\udfff]")
"""Matches NUL, surrogates and soft hyphens."""

_LINE: Final = re.compile(f"[^\r\n{LINE_BREAK_HYPHEN}]*(?:{LINE_BREAK_HYPHEN}|[\r\n]+|\\Z)")
_WORD: Final = re.compile(r"\S+")
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_TO_CLEAN: Final = re.compile("[\x00\xad\ud800-\udfff\ufb00-\ufb06]")
_LIGATURES: Final = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st",
}  # fmt: skip
_MARKER: Final = re.compile(r"[^\w\s]|\(?\w{1,3}[.)]|o")
_NUMBERING: Final = re.compile(r"\d+(?:\.\d+)+\.?")
"""The number of a heading or list item, such as 2.1. A tab follows it."""

_EQUAL: Final = 1.3
_TOUCHING: Final = 0.1
_SPACE: Final = 0.22
_MUCH_WIDER: Final = 1.6
_FEW_CHARS: Final = 300
_OBJECTS: Final = 200
_FILLED: Final = 0.6
_UNREADABLE: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]")
_UNREADABLE_SHARE: Final = 0.3


class Run(NamedTuple):
    """Text on one line without a wide gap. `order` is its place in the drawing order. y coordinates grow upwards."""

    text: str
    x0: float
    x1: float
    bottom: float
    top: float
    order: int

    @property
    def height(self) -> float:
        return self.top - self.bottom


@dataclass(frozen=True, slots=True)
class Page:
    """A page's text, rotated so that most of it is upright.

    - `sideways`: the text that is not upright, one string per line.
    - `bottom`, `top`: the page's edges.
    - `is_right_to_left`: if it is true, runs are whole lines, because the order of words does not follow from their
      positions.
    - `is_picture`: whether the page has an image or drawing, but hardly any text.
    - `needs_ocr`: true for such a page if it has no text or an image fills it, and for every page whose text is not
      readable.
    """

    runs: Sequence[Run]
    sideways: Sequence[str]
    is_right_to_left: bool
    bottom: float
    top: float
    is_picture: bool
    needs_ocr: bool = False


def read_page(pdf: Any, index: int) -> Page:
    page = pdf[index]
    textpage = page.get_textpage()
    try:
        text: str = textpage.get_text_range()
        boxes = Boxes(textpage, text)
        spans, sideways = _turned(text, _line_spans(text), boxes)
        is_right_to_left = _is_right_to_left(text)
        runs = list(_runs(text, spans, boxes, whole_lines=is_right_to_left))
        is_picture = len(text) < _FEW_CHARS and _has_picture(page, without_text=not text.strip())
        bottom, top = _edges(page, boxes.quarters)
        needs_ocr = (is_picture and (not text.strip() or _is_filled_by_image(page))) or is_unreadable(text)
    finally:
        textpage.close()
        page.close()
    return Page(runs, sideways, is_right_to_left, bottom, top, is_picture, needs_ocr)


def _has_picture(page: Any, *, without_text: bool) -> bool:
    """Whether the page has an image. On pages without text, drawings count too, because they may be letters."""
    from pypdfium2 import raw

    count = raw.FPDFPage_CountObjects(page.raw)
    kinds = (raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page.raw, index)) for index in range(min(count, _OBJECTS)))
    return any(without_text or kind == raw.FPDF_PAGEOBJ_IMAGE for kind in kinds)


def _is_filled_by_image(page: Any) -> bool:
    from pypdfium2 import raw

    width, height = page.get_size()
    for each in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=2):
        left, bottom, right, top = each.get_bounds()
        if (right - left) * (top - bottom) >= _FILLED * width * height:
            return True
    return False


def is_unreadable(text: str) -> bool:
    """Whether many characters have no known meaning, as with a font that does not map them to Unicode."""
    chars = "".join(text.split())
    return len(_UNREADABLE.findall(chars)) > _UNREADABLE_SHARE * len(chars)


def _edges(page: Any, quarters: int) -> tuple[float, float]:
    left, bottom, right, top = page.get_bbox()
    return ((bottom, top), (left, right), (-top, -bottom), (-right, -left))[quarters]


def _line_spans(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each non-blank line, without surrounding white space."""
    spans = []
    for match in _LINE.finditer(text):
        line = match[0]
        if stripped := line.strip():
            start = match.start() + len(line) - len(line.lstrip())
            spans.append((start, start + len(stripped)))
    return spans


def _turned(text: str, spans: list[tuple[int, int]], boxes: Boxes) -> tuple[list[tuple[int, int]], list[str]]:
    """Rotate `boxes` so that most text is upright. Returns the upright lines, and the text of the other lines."""
    turns = [_quarter_turns(start, end, boxes) for start, end in spans]
    if not any(turns):
        return spans, []
    chars: Counter[int] = Counter()
    for turn, (start, end) in zip(turns, spans, strict=True):
        chars[turn] += end - start
    boxes.quarters = chars.most_common(1)[0][0]
    upright = [span for turn, span in zip(turns, spans, strict=True) if turn == boxes.quarters]
    rest = [(start, end) for turn, (start, end) in zip(turns, spans, strict=True) if turn != boxes.quarters]
    return upright, [_clean(text[start:end]) for start, end in rest]


def _quarter_turns(start: int, end: int, boxes: Boxes) -> int:
    """Return the number of 90-degree rotations of a line. Calls pdfium only if the line is taller than it is wide."""
    first, last = boxes.at(start), boxes.at(end - 1)
    is_level = last[1] - first[0] >= max(first[3], last[3]) - min(first[2], last[2])
    return 0 if is_level else boxes.quarter_turns(start)


def _is_right_to_left(text: str) -> bool:
    return len(_RIGHT_TO_LEFT.findall(text)) * 3 > len(text)


def _clean(text: str) -> str:
    return NOT_SHOWN.sub("", text).translate(_LIGATURES)


def _runs(text: str, spans: list[tuple[int, int]], boxes: Boxes, *, whole_lines: bool) -> Iterator[Run]:
    is_clean = _TO_CLEAN.search(text) is None
    order = 0
    for start, end in spans:
        first, last = boxes.at(start), boxes.at(end - 1)
        pieces = [(start, end)] if whole_lines else _pieces(text, start, end, boxes, first[3] - first[2])
        for piece_start, piece_end in pieces:
            if len(pieces) > 1:
                first, last = boxes.at(piece_start), boxes.at(piece_end - 1)
            words = text[piece_start:piece_end]
            largest = first if first[3] - first[2] > 1 else last
            yield Run(
                words if is_clean else _clean(words),
                min(first[0], last[0]),
                max(first[1], last[1]),
                largest[2],
                largest[3],
                order,
            )
            order += 1


def _pieces(text: str, start: int, end: int, boxes: Boxes, height: float) -> list[tuple[int, int]]:
    """Return the parts of a line between gaps that are much wider than the spaces between its words."""
    parts = None if "  " in text[start:end] else boxes.drawn_parts(start, end)
    if parts is not None and (len(parts) < 2 or _widest_gap(parts) <= GAP * height):
        return [(start, end)]
    # The width of each gap, and where the next part begins: an index into the text (int) or an x coordinate (float).
    next_parts: list[tuple[float, int | float]]
    if parts is None or any(after[0] < before[0] for before, after in pairwise(parts)):
        next_parts = _word_gaps(text, start, end, boxes)
    else:
        next_parts = [
            (after[0] - before[1], after[0])
            for before, after in pairwise(parts)
            if after[0] - before[1] > _TOUCHING * height
        ]
    spaces = text.count(" ", start, end) - len(next_parts)  # spaces inside parts have the usual width
    min_gap = _min_gap([*(gap for gap, _ in next_parts), *[_SPACE * height] * spaces], height)
    pieces: list[tuple[int, int]] = []
    previous = start
    for gap, position in next_parts:
        if gap <= min_gap:
            continue
        begin = position if isinstance(position, int) else _word_start(text, boxes.index_at(position - 1, start, end))
        before = previous + len(text[previous:begin].rstrip())
        if begin > previous and not _is_marker(text, previous, before, is_first=previous == start):
            pieces.append((previous, before))
            previous = begin
    return [*pieces, (previous, end)]


def _widest_gap(parts: list[tuple[float, float]]) -> float:
    return max(abs(after[0] - before[1]) for before, after in pairwise(parts))


def _word_gaps(text: str, start: int, end: int, boxes: Boxes) -> list[tuple[float, int | float]]:
    """Return the width of the gap before each word except the first, and the index of that word in the text."""
    gaps: list[tuple[float, int | float]] = []
    right = 0.0
    for match in _WORD.finditer(text, start, end):
        begin, stop = match.span()
        x0, x1, _, _ = boxes.at(begin)
        if begin > start:
            gaps.append((abs(x0 - right), begin))
        right = x1 if stop - begin == 1 else boxes.at(stop - 1)[1]
    return gaps


def _word_start(text: str, at: int) -> int:
    while at and not text[at - 1].isspace():
        at -= 1
    return at


def _is_marker(text: str, start: int, end: int, *, is_first: bool) -> bool:
    return bool(_MARKER.fullmatch(text, start, end) or (is_first and _NUMBERING.fullmatch(text, start, end)))


def _min_gap(gaps: list[float], height: float) -> float:
    """Return the width above which a gap divides a line. Justified lines, with about equal gaps, are not divided."""
    if len(gaps) < 2 or max(gaps) <= GAP * height:
        return GAP * height
    if max(gaps) <= _EQUAL * min(gaps):
        return float("inf")
    usual = min(sorted(gaps)[len(gaps) // 2], height)
    return max(GAP * height, _MUCH_WIDER * usual)
