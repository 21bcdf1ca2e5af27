"""Loads Word documents: paragraphs and tables in reading order, with headings recognised by style.

Headers, footers, comments, tables of contents and deleted text are omitted. Inserted text is included. Footnotes,
endnotes and text boxes follow the paragraph in which they are anchored.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from streamrag_cli.documents.loaders.blocks import document_of_blocks
from streamrag_cli.documents.loaders.docx_math import linear
from streamrag_cli.documents.loaders.docx_package import Package, open_package
from streamrag_cli.documents.loaders.docx_tables import Table
from streamrag_cli.documents.loaders.equations import in_sentence, with_spaced_equations
from streamrag_cli.documents.loaders.symbol_font import symbol
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document
from streamrag_cli.text import NOT_TEXT

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_SKIPPED: Final = frozenset(
    f"{_W}{name}" for name in ("pPr", "rPr", "tblPr", "sdtPr", "del", "moveFrom", "sectPr", "rt", "instrText")
)
_BREAKS: Final = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_NOTES: Final = {f"{_W}footnoteReference": "footnotes", f"{_W}endnoteReference": "endnotes"}
_HEADING_STYLE: Final = re.compile(r"heading ([1-9])\Z", re.IGNORECASE)
_CONTENTS_STYLE: Final = re.compile(r"toc (?:[1-9]|heading)\Z", re.IGNORECASE)
_SYMBOL_CODE: Final = re.compile(r"[0-9A-Fa-f]{1,4}")
_STYLES_IN_A_CHAIN: Final = 12


def load_docx(path: str, data: bytes) -> Document:
    package = open_package(data)
    blocks = list(_Reader(package).blocks(package.body))
    return document_of_blocks(path, clean_heading(package.title), blocks)


@dataclass(frozen=True, slots=True)
class _Style:
    """A paragraph style. `level` is the heading level: 0 for the title, -1 for other text."""

    level: int = -1
    is_item: bool = False
    is_contents: bool = False


@dataclass(slots=True)
class _Anchored:
    """The text boxes and notes that are anchored in a paragraph."""

    containers: list[Any] = field(default_factory=list)


class _Reader:
    def __init__(self, package: Package) -> None:
        self._styles = _styles(package.styles)
        self._notes = {
            (kind, note.get(f"{_W}id")): note
            for kind, part in (("footnotes", package.footnotes), ("endnotes", package.endnotes))
            if part is not None
            for note in part
            if isinstance(note.tag, str) and note.get(f"{_W}type") in {None, "normal"}
        }

    def blocks(self, container: Any) -> Iterator[tuple[int, str]]:
        """Yield the heading level (-1 for other text) and the text of each paragraph and table that has text."""
        for child in container:
            if child.tag == f"{_W}p":
                yield from self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                yield from Table(child, self).blocks()
            elif child.tag == f"{_MC}AlternateContent":
                yield from self.blocks(_first_with_text(child))
            elif child.tag in {f"{_M}oMath", f"{_M}oMathPara"}:
                if text := linear(child):
                    yield -1, text
            elif isinstance(child.tag, str) and child.tag not in _SKIPPED:  # content controls, insertions
                yield from self.blocks(child)

    def _paragraph(self, paragraph: Any) -> Iterator[tuple[int, str]]:
        properties = paragraph.find(f"{_W}pPr")
        style = self._style(properties)
        if style.is_contents:
            return
        anchored = _Anchored()
        if text := self.text(paragraph, anchored):
            yield style.level, f"- {text}" if style.is_item else text
        for container in anchored.containers:
            yield from self.blocks(container)

    def _style(self, properties: Any) -> _Style:
        if properties is None:
            return self._styles.get("", _Style())
        style_element = properties.find(f"{_W}pStyle")
        style = self._styles.get("" if style_element is None else style_element.get(f"{_W}val"), _Style())
        level = _outline_level(properties)
        numbering = properties.find(f"{_W}numPr")
        is_item = style.is_item if numbering is None else _is_numbered(numbering)
        return _Style(style.level if level is None else level, is_item and style.level < 0, style.is_contents)

    def text(self, element: Any, anchored: _Anchored | None = None) -> str:
        """Return the text of a paragraph. Text boxes and notes are added to `anchored`, or omitted if it is None."""
        joined = with_spaced_equations("".join(self._pieces(element, anchored or _Anchored())))
        return NOT_TEXT.sub("", joined).strip()

    def _pieces(self, element: Any, anchored: _Anchored) -> Iterator[str]:
        for child in element:
            tag = child.tag
            if tag == f"{_W}t":
                yield child.text or ""
            elif tag in _BREAKS:
                yield _BREAKS[tag]
            elif tag == f"{_W}sym":
                yield _symbol(child)
            elif tag in {f"{_M}oMath", f"{_M}oMathPara"}:
                yield in_sentence(linear(child))
            elif tag == f"{_W}txbxContent":
                anchored.containers.append(child)
            elif tag in _NOTES:
                note = self._notes.pop((_NOTES[tag], child.get(f"{_W}id")), None)
                if note is not None:
                    anchored.containers.append(note)
            elif tag == f"{_MC}AlternateContent":
                yield from self._pieces(_first_with_text(child), anchored)
            elif isinstance(tag, str) and tag not in _SKIPPED:
                yield from self._pieces(child, anchored)


def _symbol(element: Any) -> str:
    code = element.get(f"{_W}char") or ""
    is_readable = (element.get(f"{_W}font") or "").casefold() == "symbol" and _SYMBOL_CODE.fullmatch(code)
    return symbol(int(code, 16)) if is_readable else ""


def _first_with_text(alternate: Any) -> Any:
    """Return the first child of `mc:AlternateContent` that contains text, or () if there is none."""
    for choice in alternate:
        if next(choice.iter(f"{_W}t", f"{_M}t"), None) is not None:
            return choice
    return ()


def _styles(part: Any) -> dict[str, _Style]:
    """Return the paragraph styles by id. A style that is based on a heading style is also a heading style."""
    by_id = {style.get(f"{_W}styleId"): style for style in part.iter(f"{_W}style")} if part is not None else {}
    styles: dict[str, _Style] = {}
    for identity, style in by_id.items():
        level, is_item, is_contents = None, None, False
        ancestor = style
        for _ in range(_STYLES_IN_A_CHAIN):
            name = _value(ancestor, "name")
            match = _HEADING_STYLE.match(name)
            properties = ancestor.find(f"{_W}pPr")
            if level is None:
                level = int(match[1]) if match else 0 if name.casefold() == "title" else _outline_level(properties)
            is_contents = is_contents or _CONTENTS_STYLE.match(name) is not None
            numbering = None if properties is None else properties.find(f"{_W}numPr")
            if is_item is None and numbering is not None:
                is_item = _is_numbered(numbering)
            ancestor = by_id.get(_value(ancestor, "basedOn"))
            if ancestor is None:
                break
        is_heading = level is not None and level >= 0
        styles[identity] = _Style(-1 if level is None else level, bool(is_item) and not is_heading, is_contents)
    return styles


def _outline_level(properties: Any) -> int | None:
    """Return the outline level: 1 to 9, -1 for body text, or None if it is not set."""
    value = "" if properties is None else _value(properties, "outlineLvl")
    return None if not value.isdigit() else int(value) + 1 if int(value) < 9 else -1


def _is_numbered(numbering: Any) -> bool:
    return _value(numbering, "numId") != "0"


def _value(element: Any, name: str) -> str:
    child = element.find(f"{_W}{name}")
    return "" if child is None else child.get(f"{_W}val") or ""
