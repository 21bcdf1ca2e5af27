"""Loads images with OCR: as one section, or one section per page of a TIFF."""

from typing import Final

from streamrag_cli.documents.image_header import dimensions, tiff_pages
from streamrag_cli.documents.ocr import INSTALL, PageReader
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document, Section

_MAX_PIXELS: Final = 200_000_000
_MIN_SIDE: Final = 24
_MIN_PIXELS: Final = 10_000
"""The minimum size of an image in pixels. Smaller ones are icons, whose text cannot be recognised."""
_MAX_PAGES: Final = 1_000


def load_image(path: str, data: bytes, ocr: PageReader | None = None) -> Document:
    if ocr is None:
        raise DocumentError("images can be read only with OCR", code="no_ocr", hint=INSTALL)
    width, height = dimensions(data) or (_MIN_PIXELS, _MIN_PIXELS)
    if width * height > _MAX_PIXELS:
        message = f"the image has {width * height / 1e6:,.0f} megapixels, more than the limit of {_MAX_PIXELS // 10**6}"
        raise DocumentError(message, code="too_large")
    pages = tiff_pages(data)
    if pages > _MAX_PAGES:
        raise DocumentError(f"the image has more than {_MAX_PAGES:,} pages", code="too_large")
    pieces: list[str] = []
    sections: list[Section] = []
    length = 0
    is_icon = min(width, height) < _MIN_SIDE or width * height < _MIN_PIXELS
    for index in range(0 if is_icon else max(1, pages)):
        text = ocr.read(str(index), lambda: data, page=index)
        if not text:
            continue
        pieces.append(text + "\n\n")
        sections.append(Section(start=length, end=length + len(pieces[-1]), page=index + 1 if pages > 1 else None))
        length += len(pieces[-1])
    return Document(path=path, text="".join(pieces), title="", sections=tuple(sections), line_numbers=None)
