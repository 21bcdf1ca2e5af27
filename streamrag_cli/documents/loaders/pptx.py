"""Loads PowerPoint presentations: the text of each slide and its notes, cited by the slide's number and title.

The title is first. Other shapes are in the order in which the file lists them, which is also the reading order for
screen readers. Hidden slides are included and marked. Dates, footers, headers, slide numbers, comments, hidden shapes,
and the text of layouts and masters are omitted.
"""

import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, Final

from streamrag_cli.documents.loaders.open_xml import (
    optional_part,
    parsed_part,
    relationships,
    targets_by_kind,
    title_in_properties,
)
from streamrag_cli.documents.loaders.pptx_graphics import chart_text, diagram_text, table_text
from streamrag_cli.documents.loaders.pptx_text import A, first_choice, one_line, text_of_body
from streamrag_cli.documents.loaders.slides import Box, Slide, document_of_slides
from streamrag_cli.documents.loaders.xml_archive import opened_archive
from streamrag_cli.model import Document

_P: Final = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_C: Final = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_CX: Final = "{http://schemas.microsoft.com/office/drawing/2014/chartex}"
_D: Final = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_TITLES: Final = frozenset({"title", "ctrTitle"})
_REPEATED: Final = frozenset({"dt", "ftr", "hdr", "sldNum", "sldImg"})
_LISTS: Final = frozenset({None, "body", "obj"})
_WITH_TEXT: Final = (f"{A}t", f"{_M}t", f"{_C}chart", f"{_CX}chart", f"{_D}relIds")


def load_pptx(path: str, data: bytes) -> Document:
    """Load a presentation. Raises `DocumentError` `encrypted`, `zip_bomb` or `corrupt`."""
    with opened_archive(data, "a PowerPoint presentation") as archive:
        deck = _Deck(archive)
        slides = list(deck.slides())
        return document_of_slides(path, title_in_properties(archive), slides, tuple(deck.notes))


class _Deck:
    """Reads the slides in presentation order.

    Each part is read only once, so that the text cannot become much larger than the file. `notes` are messages for the
    user about unreadable slides.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._read: set[str] = set()
        self.notes: list[str] = []

    def slides(self) -> Iterator[Slide]:
        """Yield the slides. Raises KeyError if the file is not a presentation or none of its slides can be read."""
        from lxml.etree import LxmlError

        main = targets_by_kind(self._archive, "")["officeDocument"]
        root = parsed_part(self._archive, main)
        if root.tag != f"{_P}presentation":
            raise KeyError(root.tag)
        targets = {each.identity: each.target for each in relationships(self._archive, main)}
        unreadable: list[int] = []
        number = 0
        for number, entry in enumerate(root.iterfind(f"{_P}sldIdLst/{_P}sldId"), start=1):
            target = targets.get(entry.get(f"{_R}id") or "", "")
            if target in self._read:
                continue
            self._read.add(target)
            try:
                yield self._slide(number, target)
            except (KeyError, LxmlError, zipfile.BadZipFile, zlib.error):
                unreadable.append(number)
        if unreadable and len(unreadable) == number:
            raise KeyError("slides")
        if unreadable:
            shown = ", ".join(map(str, unreadable[:10])) + (", …" if unreadable[10:] else "")
            self.notes.append(f"cannot read slide {shown}" if not unreadable[1:] else f"cannot read slides {shown}")

    def _slide(self, number: int, target: str) -> Slide:
        root = parsed_part(self._archive, target)
        slide = Slide(number=number, is_hidden=root.get("show") in {"0", "false"})
        linked = relationships(self._archive, target)
        parts = {each.identity: each.target for each in linked}
        self._add_shapes(slide, root.find(f"{_P}cSld/{_P}spTree"), parts)
        for notes in (self._part(each.target) for each in linked if each.kind == "notesSlide"):
            if notes is not None:
                slide.notes.extend(_notes(notes))
        return slide

    def _add_shapes(self, slide: Slide, container: Any, parts: dict[str, str]) -> None:
        for shape in () if container is None else container:
            if shape.tag == f"{_MC}AlternateContent":
                self._add_shapes(slide, first_choice(shape, *_WITH_TEXT), parts)
            elif shape.tag == f"{_P}grpSp" and not _is_hidden(shape):
                self._add_shapes(slide, shape, parts)
            elif shape.tag == f"{_P}sp" and not _is_hidden(shape):
                _add_text(slide, shape)
            elif shape.tag == f"{_P}graphicFrame" and not _is_hidden(shape):
                for text in self._graphics(shape, parts):
                    slide.boxes.append(Box(text))

    def _graphics(self, frame: Any, parts: dict[str, str]) -> Iterator[str]:
        for table in frame.iterfind(f".//{A}tbl"):
            if text := table_text(table):
                yield text
        for tags, name, write in (
            ((f"{_C}chart",), "id", chart_text),
            ((f"{_CX}chart",), "id", _all_paragraphs),
            ((f"{_D}relIds",), "dm", diagram_text),
        ):
            for reference in frame.iter(*tags):
                part = self._part(parts.get(reference.get(f"{_R}{name}") or ""))
                if part is not None and (text := write(part)):
                    yield text

    def _part(self, target: str | None) -> Any:
        """Return the root element of a part of a slide; None if it is missing, unreadable or has already been read."""
        from lxml.etree import LxmlError

        if target is None or target in self._read:
            return None
        self._read.add(target)
        try:
            return optional_part(self._archive, target)
        except (LxmlError, zipfile.BadZipFile, zlib.error):
            return None


def _add_text(slide: Slide, shape: Any) -> None:
    body = shape.find(f"{_P}txBody")
    placeholder = _placeholder(shape)
    kind = None if placeholder is None else placeholder.get("type")
    if body is None or kind in _REPEATED:
        return
    if kind in _TITLES and not slide.title:
        slide.title = one_line(body)
    elif text := text_of_body(body, is_list=placeholder is not None and kind in _LISTS):
        offset = shape.find(f"{_P}spPr/{A}xfrm/{A}off")
        position = None if offset is None else (offset.get("x"), offset.get("y"))
        slide.boxes.append(Box(text, position))


def _notes(root: Any) -> Iterator[str]:
    for shape in root.iter(f"{_P}sp"):
        body, placeholder = shape.find(f"{_P}txBody"), _placeholder(shape)
        if body is None or (placeholder is not None and placeholder.get("type") in _REPEATED):
            continue
        if text := text_of_body(body, is_list=False):
            yield text


def _placeholder(shape: Any) -> Any:
    return shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")


def _is_hidden(shape: Any) -> bool:
    return any(child.get("hidden") in {"1", "true"} for child in shape.iterfind(f"*/{_P}cNvPr"))


def _all_paragraphs(root: Any) -> str:
    texts = (text for body in root.iter(f"{{{_CX[1:-1]}}}rich") if (text := one_line(body)))
    return "\n".join(texts)
