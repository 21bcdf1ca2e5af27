"""Reads paragraphs, lists and tables from an OpenDocument file in reading order.

Comments, deleted text, hidden text, tables of contents and other indexes are omitted. Notes and text boxes follow the
paragraph in which they are anchored.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from streamrag_cli.documents.loaders.equations import in_sentence, with_spaced_equations
from streamrag_cli.documents.loaders.mathml import MATH, linear_mathml
from streamrag_cli.documents.loaders.odf_package import OFFICE, OdfPackage
from streamrag_cli.documents.loaders.odf_styles import Styles
from streamrag_cli.documents.loaders.odf_tables import Table
from streamrag_cli.text import NOT_TEXT

TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
DRAW: Final = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_SVG: Final = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_INDEXES: Final = ("table-of-content", "alphabetical-index", "illustration-index", "table-index", "object-index")
_SKIPPED: Final = frozenset(
    (
        *(f"{TEXT}{name}" for name in (*_INDEXES, "user-index", "tracked-changes", "ruby-text", "note-citation")),
        *(f"{OFFICE}{name}" for name in ("annotation", "forms", "event-listeners", "binary-data", "scripts")),
        *(f"{_SVG}{name}" for name in ("title", "desc")),
        f"{TEXT}bibliography-source",
    )
)
_ITEMS: Final = (f"{TEXT}list-item", f"{TEXT}list-header")
_SPACES: Final = re.compile(r"[ \t\r\n]+")
_MAX_SPACES: Final = 100
_MAX_LEVEL: Final = 9


class Reader:
    """Reads the blocks in an OpenDocument file.

    `indent` is put before the items of nested lists, once per level. Elements in `without_fields` are omitted.
    """

    def __init__(self, package: OdfPackage, *, indent: str = "", without_fields: Iterable[str] = ()) -> None:
        self._package = package
        self._styles = Styles(package.roots)
        self._indent = indent
        self._skipped = _SKIPPED.union(f"{TEXT}{name}" for name in without_fields)

    def blocks(self, container: Iterable[Any], depth: int = 0) -> Iterator[tuple[int, str]]:
        """Yield the heading level (-1 for other text) and the text of each paragraph and table that has text."""
        for child in container:
            tag = child.tag
            if not isinstance(tag, str) or tag in self._skipped or _is_hidden(child):
                continue
            if tag in {f"{TEXT}p", f"{TEXT}h"}:
                yield from self._paragraph(child)
            elif tag == f"{TEXT}list":
                yield from self._list(child, depth)
            elif tag == f"{_TABLE}table":
                yield from Table(child, self, self._styles).blocks()
            elif tag == f"{DRAW}object":
                yield from self._object(child)
            else:  # sections, frames and shapes
                yield from self.blocks(child, depth)

    def _paragraph(self, paragraph: Any) -> Iterator[tuple[int, str]]:
        style = self._styles.paragraph(paragraph.get(f"{TEXT}style-name"))
        hidden = paragraph.find(f".//{TEXT}hidden-paragraph")
        if style.is_contents or style.is_hidden or (hidden is not None and _is_hidden(hidden)):
            return
        anchored: list[Iterable[Any]] = []
        text = self.text(paragraph, anchored)
        if text:
            level = style.level
            if paragraph.tag == f"{TEXT}h":
                level = _number(paragraph, f"{TEXT}outline-level", 1, _MAX_LEVEL)
            yield level, text
        for container in anchored:
            yield from self.blocks(container)

    def _list(self, element: Any, depth: int) -> Iterator[tuple[int, str]]:
        for item in element:
            if item.tag not in _ITEMS:
                continue
            is_marked = item.tag == f"{TEXT}list-item"
            for child in item:
                is_nested = child.tag == f"{TEXT}list"
                for level, text in self.blocks((child,), depth + 1):
                    begins_item = is_marked and level < 0 and not is_nested
                    yield level, f"{self._indent * depth}- {text}" if begins_item else text
                    is_marked = is_marked and is_nested

    def text(self, paragraph: Any, anchored: list[Iterable[Any]] | None = None) -> str:
        """Return the text of a paragraph. Text boxes and notes are added to `anchored`, or omitted if it is None."""
        pieces = self._pieces(paragraph, [] if anchored is None else anchored)
        joined = NOT_TEXT.sub("", with_spaced_equations("".join(pieces)))
        return "\n".join(line.rstrip(" ") for line in joined.strip().split("\n"))

    def _pieces(self, element: Any, anchored: list[Iterable[Any]]) -> Iterator[str]:
        yield _SPACES.sub(" ", element.text or "")
        for child in element:
            tag = child.tag
            if not isinstance(tag, str) or tag in self._skipped or self._is_hidden_span(child):
                pass
            elif tag == f"{TEXT}s":
                yield " " * _number(child, f"{TEXT}c", 1, _MAX_SPACES)
            elif tag == f"{TEXT}tab":
                yield "\t"
            elif tag == f"{TEXT}line-break":
                yield "\n"
            elif tag == f"{TEXT}note":
                anchored.append(child)
            elif tag.startswith(DRAW) and tag != f"{DRAW}a":
                yield from self._drawn(child, anchored)
            else:
                yield from self._pieces(child, anchored)
            yield _SPACES.sub(" ", child.tail or "")

    def _drawn(self, shape: Any, anchored: list[Iterable[Any]]) -> Iterator[str]:
        """Yield the text of a formula, which is part of its sentence, and add other shapes to `anchored`."""
        reference = shape.find(f"{DRAW}object") if shape.tag == f"{DRAW}frame" else None
        root = None if reference is None else self._package.embedded(reference)
        if root is None:
            anchored.append((shape,))
        elif root.tag == f"{MATH}math":
            yield in_sentence(linear_mathml(root))
        else:
            anchored.append((root,))

    def _object(self, element: Any) -> Iterator[tuple[int, str]]:
        root = self._package.embedded(element)
        if root is not None and root.tag == f"{MATH}math":
            yield -1, linear_mathml(root)
        elif root is not None:
            yield from self.blocks((root,))

    def _is_hidden_span(self, element: Any) -> bool:
        name = element.get(f"{TEXT}style-name") if element.tag == f"{TEXT}span" else None
        return _is_hidden(element) or bool(name and self._styles.span(name).is_hidden)


def _is_hidden(element: Any) -> bool:
    return bool(element.get(f"{TEXT}display") == "none" or element.get(f"{TEXT}is-hidden") == "true")


def _number(element: Any, name: str, default: int, most: int) -> int:
    value = element.get(name) or ""
    return min(int(value), most) if value.isascii() and value.isdigit() and len(value) < 10 else default
