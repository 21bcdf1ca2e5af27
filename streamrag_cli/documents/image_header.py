"""Reads image headers: the size, the number of pages in a TIFF, and whether a camera took the picture."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

HEADER_BYTES: Final = 1 << 16
_MAX_ENTRIES: Final = 500
_MAX_PAGES: Final = 2_000
_EXIF_IFD: Final = 0x8769
_EXPOSURE: Final = frozenset({0x829A, 0x829D, 0x8827, 0x920A})
"""The tags for exposure time, aperture, film speed and focal length. Scans and screenshots do not have them."""
_SIZED_MARKERS: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


class _Tag(NamedTuple):
    tag: int
    value: int


def is_camera_photo(header: bytes) -> bool:
    """Whether `header`, the first bytes of an image, contains a camera's exposure data (Exif)."""
    exif = _exif(header)
    if exif is None:
        return False
    first = struct.unpack_from(_order(exif) + "I", exif, 4)[0] if len(exif) >= 8 and _order(exif) else 0
    tags = {tag.tag: tag.value for tag in _directory(exif, first)}
    inner = {tag.tag for tag in _directory(exif, tags.get(_EXIF_IFD, 0))}
    return not _EXPOSURE.isdisjoint(inner | tags.keys())


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Return the width and height, in pixels, of a PNG, GIF, BMP or JPEG; None for other or damaged images."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(b"GIF8"):
            return struct.unpack_from("<HH", data, 6)
        if data.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", data, 18)
            return abs(width), abs(height)
        for marker, at in _jpeg_segments(data):
            if marker in _SIZED_MARKERS:
                height, width = struct.unpack_from(">HH", data, at + 1)
                return width, height
    except struct.error:
        pass
    return None


def tiff_pages(data: bytes) -> int:
    """Return the number of pages in a TIFF, at most 2,000; 0 for another format."""
    order = _order(data)
    if not order:
        return 0
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        while at and at not in seen and len(seen) < _MAX_PAGES:
            seen.add(at)
            (count,) = struct.unpack_from(order + "H", data, at)
            (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    except struct.error:
        pass
    return len(seen)


def _order(data: bytes) -> str:
    return {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")


def _exif(header: bytes) -> bytes | None:
    if _order(header):
        return header
    if header.startswith(b"RIFF") and header[8:12] == b"WEBP":
        at = header.find(b"EXIF")
        return header[at + 8 :].removeprefix(b"Exif\0\0") if at > 0 else None
    for marker, at in _jpeg_segments(header):
        if marker == 0xE1 and header[at : at + 6] == b"Exif\0\0":
            return header[at + 6 :]
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker of each segment before the image data, and the offset at which its content begins."""
    at = 2 if data.startswith(b"\xff\xd8\xff") else len(data)
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker == 0xDA:
            return
        yield marker, at + 4
        at += 2 + size


def _directory(exif: bytes, at: int) -> Iterator[_Tag]:
    order = _order(exif)
    if not order or not 8 <= at <= len(exif) - 2:
        return
    (count,) = struct.unpack_from(order + "H", exif, at)
    for index in range(min(count, _MAX_ENTRIES)):
        start = at + 2 + 12 * index
        if start + 12 > len(exif):
            return
        tag, _, _, value = struct.unpack_from(order + "HHII", exif, start)
        yield _Tag(tag, value)
