"""Creates images of text, as PNG, TIFF or scanned PDF; skips tests if tesseract is not installed."""

import os
import shutil
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pypdfium2
import pytest

from tests.support.pdf_bytes import pdf_bytes, placed_pdf

DPI = 150


def require_tesseract() -> None:
    """Skip the test if tesseract is not installed, and show how to install it; with `CI` set, fail instead."""
    if shutil.which("tesseract") is None:
        message = "tesseract is not installed: apt install tesseract-ocr"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@dataclass(frozen=True, slots=True)
class Picture:
    """Grey pixels, row by row, from the top."""

    width: int
    height: int
    pixels: bytes

    def turned(self) -> "Picture":
        """The picture, rotated by a quarter turn."""
        columns = [self.pixels[index :: self.width] for index in range(self.width)]
        return Picture(self.height, self.width, b"".join(reversed(columns)))

    def cropped(self, height: int) -> "Picture":
        return Picture(self.width, height, self.pixels[: self.width * height])


def picture_of(lines: Sequence[str]) -> Picture:
    """A page with lines of text, as large as in a letter, and without a margin at the bottom."""
    return _drawn(pdf_bytes([lines])).cropped(DPI * (20 + 14 * len(lines) + 80) // 72)


def placed_picture(texts: Sequence[tuple[float, float, str]]) -> Picture:
    return _drawn(placed_pdf([texts], size=12))


def blank_picture() -> Picture:
    return Picture(800, 400, b"\xff" * 320_000)


def _drawn(pdf: bytes) -> Picture:
    document: Any = pypdfium2.PdfDocument(pdf)
    bitmap = document[0].render(scale=DPI / 72, grayscale=True)
    rows = bitmap.to_numpy()
    picture = Picture(rows.shape[1], rows.shape[0], rows.tobytes())
    bitmap.close()
    document.close()
    return picture


def png(picture: Picture, *, size: tuple[int, int] | None = None) -> bytes:
    """A PNG. If `size` is set, the header states this size instead of the real one."""
    width, height = size or (picture.width, picture.height)
    rows = b"".join(
        b"\0" + picture.pixels[at : at + picture.width] for at in range(0, len(picture.pixels), picture.width)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def bmp(picture: Picture) -> bytes:
    """A BMP with 24 bits per pixel, whose rows come from the bottom."""
    padding = bytes(-3 * picture.width % 4)
    rows = [picture.pixels[at : at + picture.width] for at in range(0, len(picture.pixels), picture.width)]
    data = b"".join(bytes(byte for byte in row for _ in range(3)) + padding for row in reversed(rows))
    header = struct.pack("<IiiHHIIiiII", 40, picture.width, picture.height, 1, 24, 0, len(data), 5906, 5906, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + header + data


def tiff(pictures: Sequence[Picture]) -> bytes:
    """An uncompressed TIFF with one page per picture."""
    data, at = b"II*\0", 8
    body = b""
    directories: list[int] = []
    for picture in pictures:
        tags = (
            (256, picture.width), (257, picture.height), (258, 8), (259, 1), (262, 1), (273, at), (277, 1),
            (278, picture.height), (279, len(picture.pixels)),
        )  # fmt: skip
        body += picture.pixels + b"\0" * (len(picture.pixels) % 2)
        start = 8 + len(body)
        directories.append(start)
        body += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        body += b"\0\0\0\0"
        at = 8 + len(body)
    content = bytearray(data + struct.pack("<I", directories[0]) + body)
    for directory, following in pairwise(directories):
        struct.pack_into("<I", content, directory + 2 + 12 * 9, following)
    return bytes(content)


def scanned_pdf(pages: Sequence[Picture | str]) -> bytes:
    """A PDF with an image per page; a page that is a string has that text instead."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in pages:
        number = len(objects) + 1
        if isinstance(page, str):
            content, resources, box = (
                f"BT /F1 12 Tf 72 700 Td ({page}) Tj ET".encode(),
                "/Font << /F1 3 0 R >>",
                (612, 792),
            )
            image = b"null"
        else:
            packed = zlib.compress(page.pixels)
            image = (
                b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 "
                b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
            ) % (page.width, page.height, len(packed), packed)
            box = (page.width * 72 // DPI, page.height * 72 // DPI)
            content, resources = f"q {box[0]} 0 0 {box[1]} 0 0 cm /I Do Q".encode(), f"/XObject << /I {number} 0 R >>"
        objects.append(image)
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {box[0]} {box[1]}] /Resources << {resources} >> "
            f"/Contents {number + 1} 0 R >>".encode()
        )
        kids.append(f"{number + 2} 0 R")
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>".encode()
    made = b"%PDF-1.5\n"
    offsets = []
    for number, each in enumerate(objects, start=1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return made + b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        size, table, size, len(made),
    )  # fmt: skip


def camera_jpeg() -> bytes:
    """The beginning of a JPEG with the exposure time of a camera (Exif), big endian."""
    exif = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x8769, 4, 1, 26) + bytes(4)
    exif += b"\0\x01" + struct.pack(">HHII", 0x829A, 5, 1, 44) + bytes(4) + struct.pack(">II", 1, 250)
    segment = b"Exif\0\0" + exif
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + b"\xff\xda\0\x02\xff\xd9"
