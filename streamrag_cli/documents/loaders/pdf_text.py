"""Reads a PDF's pages as runs of text with positions.

pdfium gives a page's text in the order in which it was drawn, with line ends of its own. Reading the position of every
word takes as long as reading the text, so only the ends of lines and the words of every third line are read first.
A page on which these show neither gaps nor lines next to each other has one column, and its lines are final.
"""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

LINE_BREAK_HYPHEN: Final = "\ufffe"
"""What pdfium writes for a hyphen at a line's end, in place of both the hyphen and the line's end."""

GAP: Final = 0.55
"""White space between two words that may separate columns or cells, in heights of the text."""

_LINE: Final = re.compile(f"[^\r\n{LINE_BREAK_HYPHEN}]*(?:{LINE_BREAK_HYPHEN}|[\r\n]+|\\Z)")
_WORD: Final = re.compile(r"\S+")
_NOT_TEXT: Final = re.compile("[\x00\xad\ud800-\udfff]")
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LIGATURES: Final = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st",
}  # fmt: skip
_MARKER: Final = re.compile(r"[^\w\s]|\(?\w{1,3}[.)]|\d+(?:\.\d+)+\.?|o")
"""What stands in front of a list item or a numbered heading, a tab away from its text."""

_EQUAL: Final = 1.3
_MUCH_WIDER: Final = 1.6
_EVERY: Final = 3
_FEW_CHARS: Final = 300
_OBJECTS: Final = 200


class Run(NamedTuple):
    """Text on one line without a wide gap. `order` counts the lines as they were drawn; y grows upwards."""

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
    """`runs` are turned so that most of the page's text is upright; `sideways` is the rest, one text a line.

    `is_plain` is true if the runs are whole lines from top to bottom, or right to left, where the order of words does
    not follow from their places. `bottom` and `top` are the page's edges. `is_picture` is true if the page has hardly any text
    of its own, and something else.
    """

    runs: Sequence[Run]
    sideways: Sequence[str]
    is_plain: bool
    bottom: float
    top: float
    is_picture: bool


class _Boxes:
    """The boxes of characters, by their index in the page's text, turned by `quarters` of a circle."""

    def __init__(self, textpage: Any, text: str) -> None:
        from pypdfium2 import raw

        self._textpage = ctypes.cast(textpage.raw, ctypes.c_void_p).value
        self._box = (ctypes.c_float * 4)()
        self._address = ctypes.addressof(self._box)
        self._get = _prototype(raw.FPDFText_GetLooseCharBox)
        self._angle = raw.FPDFText_GetCharAngle
        self._raw_textpage = textpage.raw
        self._index: Callable[[int], int] | None = None
        if textpage.count_chars() != len(text):
            units = [0]
            for character in text:
                units.append(units[-1] + (2 if ord(character) > 0xFFFF else 1))
            self._index = lambda place: raw.FPDFText_GetCharIndexFromTextIndex(textpage.raw, units[place])
        self.quarters = 0

    def at(self, place: int) -> tuple[float, float, float, float]:
        """(x0, x1, bottom, top) of the character at `place`."""
        index = place if self._index is None else self._index(place)
        if not self._get(self._textpage, index, self._address):
            return 0.0, 0.0, 0.0, 0.0
        left, top, right, bottom = self._box
        if self.quarters == 3:
            left, right, bottom, top = bottom, top, -right, -left
        elif self.quarters == 2:
            left, right, bottom, top = -right, -left, -top, -bottom
        elif self.quarters == 1:
            left, right, bottom, top = -top, -bottom, left, right
        return left, right, bottom, top

    def quarter_turns(self, place: int) -> int:
        index = place if self._index is None else self._index(place)
        angle = self._angle(self._raw_textpage, index)
        return round(angle / (math.pi / 2)) % 4 if angle > 0 else 0


def _prototype(function: Any) -> Any:
    """`function` with addresses as plain integers, which ctypes calls in a third of the time."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    return kind(ctypes.cast(function, ctypes.c_void_p).value)


def read_page(pdf: Any, index: int) -> Page:
    page = pdf[index]
    textpage = page.get_textpage()
    try:
        text: str = textpage.get_text_range()
        spans = _line_spans(text)
        boxes = _Boxes(textpage, text)
        spans, sideways = _turned(text, spans, boxes)
        lines = [_run(text, start, end, boxes, order) for order, (start, end) in enumerate(spans)]
        is_plain = _is_right_to_left(text) or _is_plain(text, spans, lines, boxes)
        runs = lines if is_plain else _split_all(text, spans, boxes)
        is_picture = len(text) < _FEW_CHARS and _has_picture(page, without_text=not text.strip())
        bottom, top = _edges(page, boxes.quarters)
    finally:
        textpage.close()
        page.close()
    return Page(runs, sideways, is_plain, bottom, top, is_picture)


def _has_picture(page: Any, *, without_text: bool) -> bool:
    """Whether there is an image. On a page without text drawings count too: letters may be drawn as outlines."""
    from pypdfium2 import raw

    count = raw.FPDFPage_CountObjects(page.raw)
    kinds = (raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page.raw, index)) for index in range(min(count, _OBJECTS)))
    return any(without_text or kind == raw.FPDF_PAGEOBJ_IMAGE for kind in kinds)


def _edges(page: Any, quarters: int) -> tuple[float, float]:
    left, bottom, right, top = page.get_bbox()
    return ((bottom, top), (left, right), (-top, -bottom), (-right, -left))[quarters]


def _line_spans(text: str) -> list[tuple[int, int]]:
    """Where each line that is not blank begins and ends, without the white space around it."""
    spans = []
    for found in _LINE.finditer(text):
        line = found[0]
        if stripped := line.strip():
            start = found.start() + len(line) - len(line.lstrip())
            spans.append((start, start + len(stripped)))
    return spans


def _turned(text: str, spans: list[tuple[int, int]], boxes: _Boxes) -> tuple[list[tuple[int, int]], list[str]]:
    """Turn `boxes` upright for most of the text; the lines of it, and the text of the others."""
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


def _quarter_turns(start: int, end: int, boxes: _Boxes) -> int:
    """How often a line is turned by 90 degrees; asked for only if it is not as wide as a level line would be."""
    first, last = boxes.at(start), boxes.at(end - 1)
    is_level = last[1] - first[0] >= max(first[3], last[3]) - min(first[2], last[2])
    return 0 if is_level else boxes.quarter_turns(start)


def _is_right_to_left(text: str) -> bool:
    return len(_RIGHT_TO_LEFT.findall(text)) * 3 > len(text)


def _clean(text: str) -> str:
    return _NOT_TEXT.sub("", text).translate(_LIGATURES)


def _run(text: str, start: int, end: int, boxes: _Boxes, order: int) -> Run:
    first, last = boxes.at(start), boxes.at(end - 1)
    return Run(
        text=_clean(text[start:end]),
        x0=min(first[0], last[0]),
        x1=max(first[1], last[1]),
        bottom=min(first[2], last[2]) if first[3] - first[2] < 1 else first[2],
        top=max(first[3], last[3]) if first[3] - first[2] < 1 else first[3],
        order=order,
    )


def _is_plain(text: str, spans: list[tuple[int, int]], lines: list[Run], boxes: _Boxes) -> bool:
    for above, below in zip(lines, lines[1:], strict=False):
        if (above.bottom + above.top) / 2 < below.top or below.bottom > above.bottom:
            return False
    return all(len(_pieces(text, start, end, boxes)) == 1 for start, end in spans[::_EVERY])


def _split_all(text: str, spans: list[tuple[int, int]], boxes: _Boxes) -> list[Run]:
    return [
        _run(text, piece_start, piece_end, boxes, order)
        for order, (start, end) in enumerate(spans)
        for piece_start, piece_end in _pieces(text, start, end, boxes)
    ]


def _pieces(text: str, start: int, end: int, boxes: _Boxes) -> list[tuple[int, int]]:
    """The parts of a line between gaps that are much wider than its spaces between words.

    All spaces of a justified line may be wide.
    """
    words = [found.span() for found in _WORD.finditer(text, start, end)]
    gaps: list[float] = []
    right = height = 0.0
    for begin, stop in words:
        x0, x1, bottom, top = boxes.at(begin)
        gaps.append(abs(x0 - right))
        height = max(height, top - bottom)
        right = x1 if stop - begin == 1 else boxes.at(stop - 1)[1]
    least = _least_gap(gaps[1:], height)
    pieces: list[tuple[int, int]] = []
    previous = start
    for (begin, _), gap, (_, before) in zip(words[1:], gaps[1:], words, strict=False):
        if gap > least and not _MARKER.fullmatch(text, previous, before):
            pieces.append((previous, before))
            previous = begin
    return [*pieces, (previous, end)]


def _least_gap(gaps: list[float], height: float) -> float:
    """The width from which on a gap divides the line. The spaces of a justified line are wide, but equal."""
    if len(gaps) < 2 or max(gaps) <= GAP * height:
        return GAP * height
    if max(gaps) <= _EQUAL * min(gaps):
        return float("inf")
    usual = min(sorted(gaps)[len(gaps) // 2], height)
    return max(GAP * height, _MUCH_WIDER * usual)
