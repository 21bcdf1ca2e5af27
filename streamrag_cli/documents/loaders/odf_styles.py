"""Determines which styles of an OpenDocument file mark titles, tables of contents and hidden text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_PRESENTATION: Final = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_CONTENTS: Final = re.compile(r"contents(?:_20_| )(?:heading|\d+)\Z", re.IGNORECASE)
_TABLE_HEADING: Final = re.compile(r"table(?:_20_| )heading\Z", re.IGNORECASE)
_STYLES_IN_A_CHAIN: Final = 12


@dataclass(frozen=True, slots=True)
class Style:
    """The meaning of a style. `level` is 0 for the title and -1 for other text; headings have separate elements."""

    level: int = -1
    is_hidden: bool = False
    is_contents: bool = False
    is_table_heading: bool = False


class Styles:
    """The styles of an OpenDocument file. `roots` are the root elements of its parts."""

    def __init__(self, roots: Sequence[Any]) -> None:
        self._elements = {
            (each.get(f"{_STYLE}family"), each.get(f"{_STYLE}name")): each
            for root in reversed(roots)
            for each in root.iter(f"{_STYLE}style")
        }
        self._known: dict[tuple[str, str | None], Style] = {}

    def paragraph(self, name: str | None) -> Style:
        return self._style("paragraph", name)

    def span(self, name: str | None) -> Style:
        return self._style("text", name)

    def is_hidden_slide(self, name: str | None) -> bool:
        style = self._elements.get(("drawing-page", name))
        return style is not None and any(each.get(f"{_PRESENTATION}visibility") == "hidden" for each in style)

    def _style(self, family: str, name: str | None) -> Style:
        if (family, name) not in self._known:
            self._known[family, name] = self._read(family, name)
        return self._known[family, name]

    def _read(self, family: str, name: str | None) -> Style:
        names: list[str] = []
        displays: list[str] = []
        while name is not None and len(names) < _STYLES_IN_A_CHAIN:
            names.append(name)
            style = self._elements.get((family, name))
            if style is None:
                break
            displays += (value for each in style if (value := each.get(f"{_TEXT}display")))
            name = style.get(f"{_STYLE}parent-style-name")
        return Style(
            level=0 if "Title" in names else -1,
            is_hidden=displays[:1] == ["none"],
            is_contents=any(_CONTENTS.match(each) for each in names),
            is_table_heading=any(_TABLE_HEADING.match(each) for each in names),
        )
