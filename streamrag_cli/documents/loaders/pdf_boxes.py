"""Reads the positions of characters from pdfium, with as little ctypes overhead as possible."""

import ctypes
import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import Any


class Boxes:
    """The bounding boxes of a page's characters, rotated by `quarters` times 90 degrees.

    A position is an index into `text`.
    """

    def __init__(self, textpage: Any, text: str) -> None:
        from pypdfium2 import raw

        self._textpage = textpage.raw
        self._address_of_page = ctypes.cast(textpage.raw, ctypes.c_void_p).value
        self._box = (ctypes.c_float * 4)()
        self._address = ctypes.addressof(self._box)
        self._edges = (ctypes.c_double * 4)()
        first = ctypes.addressof(self._edges)
        self._edge_addresses = tuple(first + 8 * index for index in range(4))
        self._get, self._count, self._get_rectangle = _functions()
        self._units: Sequence[int] | None = None
        if textpage.count_chars() != len(text):  # pdfium counts UTF-16 units, and characters that are not in the text
            is_basic = max(text, default="") <= "\uffff"
            self._units = range(len(text)) if is_basic else _utf16_offsets(text)
        self._index_of = raw.FPDFText_GetCharIndexFromTextIndex
        self._angle_of = raw.FPDFText_GetCharAngle
        self.quarters = 0

    def _index(self, position: int) -> int:
        return position if self._units is None else int(self._index_of(self._textpage, self._units[position]))

    def at(self, position: int) -> tuple[float, float, float, float]:
        """Return the left, right, bottom and top edges of the character at `position`."""
        if self._units is not None:
            position = self._index(position)
        if not self._get(self._address_of_page, position, self._address):
            return 0.0, 0.0, 0.0, 0.0
        left, top, right, bottom = self._box
        if not self.quarters:
            return left, right, bottom, top
        if self.quarters == 1:
            return -top, -bottom, left, right
        return (-right, -left, -top, -bottom) if self.quarters == 2 else (bottom, top, -right, -left)

    def quarter_turns(self, position: int) -> int:
        angle = self._angle_of(self._textpage, self._index(position))
        return round(angle / (math.pi / 2)) % 4 if angle > 0 else 0

    def drawn_parts(self, start: int, end: int) -> list[tuple[float, float]] | None:
        """Return the left and right edges of each separately drawn part of a line.

        There are usually far fewer parts than words. Returns None if a program drew each letter separately, so that the
        words must be examined instead.
        """
        if self.quarters or self._units is not None:
            return None
        count = self._count(self._address_of_page, start, end - start)
        if count > (end - start) // 2:
            return None
        parts = []
        left, top, right, bottom = self._edge_addresses
        for index in range(count):
            self._get_rectangle(self._address_of_page, index, left, top, right, bottom)
            parts.append((self._edges[0], self._edges[2]))
        return parts

    def index_at(self, x: float, start: int, end: int) -> int:
        """Return the index of the first character at or after `start` whose left edge is not before `x`, or `end`."""
        return bisect_left(range(end), x, lo=start, key=lambda position: self.at(position)[0])


def _utf16_offsets(text: str) -> list[int]:
    offsets = [0]
    for character in text:
        offsets.append(offsets[-1] + (2 if ord(character) > 0xFFFF else 1))
    return offsets


@cache
def _functions() -> tuple[Any, Any, Any]:
    """Return three pdfium functions that take addresses as integers, because ctypes then calls them 3 times as fast."""
    from pypdfium2 import raw

    address, number = ctypes.c_void_p, ctypes.c_int
    kinds = (
        (raw.FPDFText_GetLooseCharBox, (number, address, number, address)),
        (raw.FPDFText_CountRects, (number, address, number, number)),
        (raw.FPDFText_GetRect, (number, address, number, address, address, address, address)),
    )
    get, count, rectangle = (
        ctypes.CFUNCTYPE(*kind)(ctypes.cast(function, ctypes.c_void_p).value or 0) for function, kind in kinds
    )
    return get, count, rectangle
