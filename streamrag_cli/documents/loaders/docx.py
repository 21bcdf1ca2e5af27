"""Word documents: paragraphs and tables in the order they are read, headings by style.

The archive is judged by its directory before anything is unpacked. Headers, footers, notes and comments are left out;
inserted text and text boxes are read, deleted text is not.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from streamrag_cli.documents.outline import Heading, clean_heading, sections_from
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document

ENTRIES: Final = 10_000
UNPACKED_BYTES: Final = 512 << 20
RATIO: Final = 200
RATIO_FROM_BYTES: Final = 32 << 20
"""Some XML packs well; only what is large unpacked has to answer for its ratio."""

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_SKIPPED: Final = frozenset(
    {f"{_W}pPr", f"{_W}rPr", f"{_W}tblPr", f"{_W}del", f"{_W}moveFrom", f"{_W}sectPr", _FALLBACK}
)
_BREAKS: Final = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_HEADING_STYLE: Final = re.compile(r"heading ([1-9])\Z", re.IGNORECASE)
_NOT_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_STYLES_IN_A_CHAIN: Final = 12


def load_docx(path: str, data: bytes) -> Document:
    import docx  # 110 ms
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError

    _check_archive(data)
    try:
        word = docx.Document(io.BytesIO(data))
        blocks = list(_blocks(word.element.body, _levels_by_style(word)))
        title = word.core_properties.title
    except (OpcError, LxmlError, zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, ValueError) as error:
        raise DocumentError("corrupt, or not a Word document", code="corrupt") from error
    return _document(path, clean_heading(title or ""), blocks)


def _check_archive(data: bytes) -> None:
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):  # an OLE container, which is what Word encrypts into
        raise DocumentError("encrypted, or in Word's old format", code="encrypted")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DocumentError("corrupt, or not a Word document", code="corrupt") from error
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if len(entries) > ENTRIES:
        raise DocumentError(f"holds {len(entries):,} files", code="zip_bomb")
    if unpacked > UNPACKED_BYTES or (unpacked > RATIO_FROM_BYTES and unpacked > RATIO * min(packed, len(data))):
        raise DocumentError(f"would unpack to {unpacked / (1 << 20):,.0f} MiB", code="zip_bomb")


def _document(path: str, title: str, blocks: list[tuple[int, str]]) -> Document:
    pieces: list[str] = []
    headings: list[Heading] = []
    length = 0
    for level, text in blocks:
        if level == 0:
            title = title or clean_heading(text)
        elif level > 0:
            headings.append(Heading(start=length, level=level, text=clean_heading(text)))
        pieces.append(text + "\n\n")
        length += len(text) + 2
    return Document(
        path=path,
        text="".join(pieces),
        title=title,
        sections=sections_from(headings, length),
        line_numbers=None,
    )


def _levels_by_style(word: Any) -> dict[str, int]:
    """The heading level of each style id: 0 for the title; what is based on a heading is one."""
    levels: dict[str, int] = {}
    for style in word.styles:
        ancestor = style
        for _ in range(_STYLES_IN_A_CHAIN):
            found = _HEADING_STYLE.match(ancestor.name or "")
            if found or ancestor.name == "Title":
                levels[style.style_id] = int(found[1]) if found else 0
                break
            ancestor = getattr(ancestor, "base_style", None)
            if ancestor is None:
                break
    return levels


def _blocks(container: Any, levels: dict[str, int]) -> Iterator[tuple[int, str]]:
    """(heading level, text) of each paragraph and table that has text; -1 is no heading."""
    for child in container:
        if child.tag == f"{_W}p":
            if text := _text(child):
                style = child.find(f"{_W}pPr/{_W}pStyle")
                level = -1 if style is None else levels.get(style.get(f"{_W}val"), -1)
                is_item = level < 0 and child.find(f"{_W}pPr/{_W}numPr") is not None
                yield level, f"- {text}" if is_item else text
        elif child.tag == f"{_W}tbl":
            rows = [row for row in (_row(each) for each in child.iter(f"{_W}tr")) if row]
            if rows:
                yield -1, "\n".join(rows)
        elif child.tag not in _SKIPPED:  # content controls, insertions: around paragraphs
            yield from _blocks(child, levels)


def _row(row: Any) -> str:
    cells = (" ".join(_cell_text(cell).split()) for cell in row.findall(f"{_W}tc"))
    line = " | ".join(cells)
    return line if line.strip("| ") else ""


def _cell_text(cell: Any) -> str:
    """A cell's own paragraphs; a table inside it has rows of its own."""
    return " ".join(_text(child) for child in cell if child.tag != f"{_W}tbl")


def _text(element: Any) -> str:
    return _NOT_TEXT.sub("", "".join(_pieces(element))).strip()


def _pieces(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _BREAKS:
            yield _BREAKS[child.tag]
        elif child.tag not in _SKIPPED:
            yield from _pieces(child)
            if child.tag == f"{_W}p":  # of a text box
                yield "\n"
