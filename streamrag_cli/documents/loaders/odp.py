"""Loads OpenDocument presentations (LibreOffice Impress): each slide with its notes.

Hidden slides are included and marked. Dates, footers, headers, slide numbers, empty placeholders and the text of
master slides are omitted.
"""

from collections.abc import Iterator
from typing import Any, Final

from streamrag_cli.documents.loaders.odf_package import OdfPackage, flat, packed
from streamrag_cli.documents.loaders.odf_styles import Styles
from streamrag_cli.documents.loaders.odf_text import DRAW, Reader
from streamrag_cli.documents.loaders.slides import Box, Slide, document_of_slides
from streamrag_cli.documents.loaders.xml_archive import opened_archive, parsed_file
from streamrag_cli.model import Document

_PRESENTATION: Final = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_SVG: Final = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_REPEATED: Final = frozenset({"date-time", "footer", "header", "page-number", "page"})
_INDENT: Final = "  "
_KIND: Final = "an OpenDocument presentation"


def load_odp(path: str, data: bytes) -> Document:
    """Load a presentation from a ZIP archive. Raises `DocumentError` `encrypted`, `zip_bomb` or `corrupt`."""
    with opened_archive(data, _KIND) as archive:
        return _document(path, packed(archive))


def load_flat_odp(path: str, data: bytes) -> Document:
    """Load a presentation from a single XML file. Raises `DocumentError` `corrupt`."""
    with parsed_file(data, _KIND) as root:
        return _document(path, flat(root))


def _document(path: str, package: OdfPackage) -> Document:
    reader = Reader(package, indent=_INDENT, without_fields=("page-number",))
    styles = Styles(package.roots)
    pages = package.content("presentation").iterfind(f"{DRAW}page")
    slides = [_slide(number, page, reader, styles) for number, page in enumerate(pages, start=1)]
    return document_of_slides(path, package.title, slides)


def _slide(number: int, page: Any, reader: Reader, styles: Styles) -> Slide:
    slide = Slide(number=number, is_hidden=styles.is_hidden_slide(page.get(f"{DRAW}style-name")))
    for shape in page:
        if shape.tag == f"{_PRESENTATION}notes":
            slide.notes.extend(text for each in shape for text in _texts(each, reader))
        else:
            _add_shape(slide, shape, reader)
    return slide


def _add_shape(slide: Slide, shape: Any, reader: Reader) -> None:
    text = "\n".join(_texts(shape, reader))
    if shape.get(f"{_PRESENTATION}class") == "title" and text and not slide.title:
        slide.title = " ".join(text.split())
    elif text:
        position = (shape.get(f"{_SVG}x"), shape.get(f"{_SVG}y"))
        is_text = all(position) and shape.find(f"{_TABLE}table") is None and shape.find(f"{DRAW}object") is None
        slide.boxes.append(Box(text, position if is_text else None))


def _texts(shape: Any, reader: Reader) -> Iterator[str]:
    is_boilerplate = (
        shape.get(f"{_PRESENTATION}class") in _REPEATED or shape.get(f"{_PRESENTATION}placeholder") == "true"
    )
    if not is_boilerplate:
        yield from (text for _, text in reader.blocks((shape,)))
