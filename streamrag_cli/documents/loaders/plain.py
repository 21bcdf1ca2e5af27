"""Formats whose text is the file and whose headings, if any, are single lines: plain text, AsciiDoc, Org."""

import re
from typing import Final

from streamrag_cli.documents.outline import Heading, clean_heading, line_starts, only_top_heading, sections_from
from streamrag_cli.model import Document, Section

_ASCIIDOC_HEADING: Final = re.compile(r"(={1,6})[ \t]+(\S.*)")
_ASCIIDOC_DELIMITER: Final = re.compile(r"(?:-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|```.*)[ \t]*")
_ORG_HEADING: Final = re.compile(r"(\*+)[ \t]+(?:(?:TODO|DONE)[ \t]+)?(\S.*?)[ \t]*(?::[\w@:]+:)?[ \t]*")
_ORG_BEGIN: Final = re.compile(r"[ \t]*#\+begin_(\w+).*", re.IGNORECASE)
_ORG_TITLE: Final = re.compile(r"^#\+title:[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE)

_HEADING_LINE_CHARS: Final = 1000


def load_plain(path: str, text: str) -> Document:
    return outlined(path, text, [])


def load_asciidoc(path: str, text: str) -> Document:
    headings: list[Heading] = []
    open_delimiter = ""
    for start, line in _lines(text):
        if open_delimiter:
            open_delimiter = "" if line.rstrip() == open_delimiter else open_delimiter
        elif _ASCIIDOC_DELIMITER.fullmatch(line):
            open_delimiter = "```" if line.startswith("```") else line.rstrip()
        elif found := _ASCIIDOC_HEADING.fullmatch(line):
            headings.append(Heading(start=start, level=len(found[1]), text=clean_heading(found[2])))
    return outlined(path, text, headings)


def load_org(path: str, text: str) -> Document:
    headings: list[Heading] = []
    end_of_block = ""
    for start, line in _lines(text):
        if end_of_block:
            end_of_block = "" if line.strip().casefold() == end_of_block else end_of_block
        elif begun := _ORG_BEGIN.fullmatch(line):
            end_of_block = f"#+end_{begun[1].casefold()}"
        elif found := _ORG_HEADING.fullmatch(line):
            headings.append(Heading(start=start, level=len(found[1]), text=clean_heading(found[2])))
    title = _ORG_TITLE.search(text)
    return outlined(path, text, headings, title=clean_heading(title[1]) if title else "")


def outlined(path: str, text: str, headings: list[Heading], *, title: str = "") -> Document:
    """A document whose text is the file itself, cut at `headings`."""
    return Document(
        path=path,
        text=text,
        title=title or only_top_heading(headings),
        sections=sections_from(headings, len(text)),
        line_numbers=range(1, text.count("\n") + 2),
    )


def of_sections(path: str, text: str, sections: tuple[Section, ...]) -> Document:
    """A document without a title whose text is the file itself."""
    return Document(path=path, text=text, title="", sections=sections, line_numbers=range(1, text.count("\n") + 2))


def _lines(text: str) -> list[tuple[int, str]]:
    """(offset, line) of the lines short enough to hold a heading."""
    lines = zip(line_starts(text), text.split("\n"), strict=False)
    return [(start, line) for start, line in lines if len(line) <= _HEADING_LINE_CHARS]
