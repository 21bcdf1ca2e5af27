"""Loads OpenDocument spreadsheets: the rows of each visible sheet, with the stored text of each cell.

Formulas are never computed. Hidden sheets, rows and columns, comments and drawings are omitted. Rows that a filter or
a collapsed group hides are included.
"""

import io
import re
from typing import IO, Any, Final

from lxml import etree  # imports in about 30 ms; every loader for this format needs it

from streamrag_cli.documents.loaders.number_formats import plain_number
from streamrag_cli.documents.loaders.sheet_rows import (
    CELL_CHARS,
    INVALID_IN_XML,
    MAX_COLUMN,
    MAX_ROW,
    Area,
    Limits,
    Row,
    Sheet,
    drop_columns,
)
from streamrag_cli.documents.loaders.sheet_text import document_of
from streamrag_cli.documents.loaders.xml_archive import opened_archive, parsed_xml
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document

_OASIS: Final = "{urn:oasis:names:tc:opendocument:xmlns:"
_TABLE: Final = f"{_OASIS}table:1.0}}"
_OFFICE: Final = f"{_OASIS}office:1.0}}"
_TEXT: Final = f"{_OASIS}text:1.0}}"
_STYLE: Final = f"{_OASIS}style:1.0}}"
_WEIGHT: Final = f"{_OASIS}xsl-fo-compatible:1.0}}font-weight"
_TITLE: Final = "{http://purl.org/dc/elements/1.1/}title"
_CELLS: Final = frozenset({f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"})
_BREAKS: Final = {f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}
_SPACES: Final = f"{_TEXT}s"
_SKIPPED: Final = frozenset({f"{_OFFICE}annotation", f"{_TEXT}note", f"{_TEXT}ruby-text"})
_EXTERNAL: Final = "'file:"
"""The prefix of table names that refer to other files. Such tables contain cached values and are not sheets."""
_DURATION: Final = re.compile(r"PT(\d+)H(\d+)M(\d+)(?:[.,]\d+)?S")
_REPEATED: Final = 1000
"""The maximum number of included repetitions of a row or cell with text."""
_MAX_SPACES: Final = 100


def load_ods(path: str, data: bytes) -> Document:
    limits = Limits(len(data))
    with opened_archive(data, "an OpenDocument spreadsheet") as archive:
        names = archive.NameToInfo
        if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise DocumentError("the file is encrypted", code="encrypted")
        title = parsed_xml(archive.read("meta.xml")).find(f".//{_TITLE}") if "meta.xml" in names else None
        with archive.open("content.xml") as stream:
            sheets = _Reader(limits).read(stream)
    return document_of(path, "" if title is None else title.text or "", sheets, limits)


def load_flat_ods(path: str, data: bytes) -> Document:
    """Load a spreadsheet from a single XML file."""
    limits = Limits(len(data))
    try:
        sheets = _Reader(limits).read(io.BytesIO(data))
    except (etree.LxmlError, KeyError) as error:
        raise DocumentError("the file is corrupt or is not an OpenDocument spreadsheet", code="corrupt") from error
    return document_of(path, "", sheets, limits)


class _Reader:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bold: set[str] = set()
        self._hidden_styles: set[str] = set()
        self._sheets: list[Sheet] = []

    def read(self, stream: IO[bytes]) -> list[Sheet]:
        """Return the visible sheets. Raises lxml's errors, and KeyError if the file contains no spreadsheet."""
        names = (f"{_STYLE}style", f"{_TABLE}table", f"{_TABLE}table-row", f"{_TABLE}table-column")
        is_spreadsheet = False
        open_tables: list[_SheetReader | None] = []
        for event, element in etree.iterparse(
            stream,
            events=("start", "end"),
            tag=(*names, f"{_OFFICE}spreadsheet"),
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
        ):
            tag = element.tag
            if tag == f"{_OFFICE}spreadsheet":
                is_spreadsheet = True
            elif tag == f"{_TABLE}table" and event == "start":
                open_tables.append(self._sheet_reader(element) if not open_tables else None)
            elif event == "end":
                self._read(element, tag, open_tables)
        if not is_spreadsheet:
            raise KeyError("spreadsheet")
        return self._sheets

    def _read(self, element: Any, tag: str, open_tables: "list[_SheetReader | None]") -> None:
        if tag == f"{_STYLE}style":
            self._read_style(element)
            return
        if tag == f"{_TABLE}table":
            reader = open_tables.pop()
            if reader is not None:
                self._sheets.append(reader.finish())
        elif len(open_tables) == 1 and (reader := open_tables[0]) is not None:
            if tag == f"{_TABLE}table-column":
                reader.add_columns(element)
            else:
                reader.add_row(element)
        if len(open_tables) < 2:  # the tables in a cell are part of their row
            element.clear()
            parent = element.getparent()
            while parent is not None and (before := element.getprevious()) is not None:
                parent.remove(before)

    def _read_style(self, style: Any) -> None:
        name = style.get(f"{_STYLE}name") or ""
        for properties in style:
            if properties.get(_WEIGHT) == "bold":
                self._bold.add(name)
            if properties.get(f"{_TABLE}display") == "false":
                self._hidden_styles.add(name)

    def _sheet_reader(self, table: Any) -> "_SheetReader | None":
        name = table.get(f"{_TABLE}name") or ""
        if name.startswith(_EXTERNAL):
            return None
        if table.get(f"{_TABLE}style-name") in self._hidden_styles:
            self._limits.hidden_sheets += 1
            return None
        return _SheetReader(" ".join(INVALID_IN_XML.sub("", name).split()), self._limits, self._bold)


class _SheetReader:
    def __init__(self, name: str, limits: Limits, bold: set[str]) -> None:
        self._sheet = Sheet(name)
        self._limits = limits
        self._bold = bold
        self._next_row = 1
        self._hidden_rows = 0
        self._next_column = 0
        self._hidden_columns: set[int] = set()

    def add_columns(self, column: Any) -> None:
        count = min(_count(column, "number-columns-repeated"), MAX_COLUMN - self._next_column)
        if _is_hidden(column, "table-column-group"):
            self._hidden_columns |= {*range(self._next_column, self._next_column + count)}
        self._next_column += count

    def add_row(self, row: Any) -> None:
        number, count = self._next_row, _count(row, "number-rows-repeated")
        self._next_row += count
        if self._limits.cut_at or number > MAX_ROW:
            return
        columns, texts, is_bold = self._cells(row, number)
        if not texts:
            return
        if _is_hidden(row, "table-row-group"):
            self._hidden_rows += count
            return
        copies = min(count, _REPEATED, MAX_ROW + 1 - number) - 1
        chars = sum(map(len, texts)) + len(texts)
        for each in range(number, number + 1 + self._limits.allow_copies(copies, chars)):
            if not self._limits.allow_row(self._sheet.name, each, texts):
                return
            self._sheet.rows.append(Row(each, each - self._hidden_rows, columns, texts, is_bold))

    def _cells(self, row: Any, number: int) -> tuple[list[int], list[str], bool]:
        columns: list[int] = []
        texts: list[str] = []
        is_bold = True
        column = 0
        for cell in row:
            if cell.tag not in _CELLS:
                continue
            count = _count(cell, "number-columns-repeated")
            text = self._text(cell) if cell.tag == f"{_TABLE}table-cell" else ""
            if text and not text.isspace():
                copies = max(0, min(count, _REPEATED, MAX_COLUMN - column) - 1)
                for each in range(
                    column, min(column + 1 + self._limits.allow_copies(copies, len(text) + 1), MAX_COLUMN)
                ):
                    columns.append(each)
                    texts.append(text)
                is_bold = is_bold and cell.get(f"{_TABLE}style-name") in self._bold
                wide, high = _count(cell, "number-columns-spanned"), _count(cell, "number-rows-spanned")
                if wide > 1 or high > 1:
                    self._sheet.merged.append(Area(number, column, number + high - 1, column + wide - 1))
            column += count
        return columns, texts, is_bold

    def _text(self, cell: Any) -> str:
        """Return the stored text of a cell, or its value if there is no text.

        A zero with an empty text is omitted, because many number formats hide zeros.
        """
        paragraphs = [text_of(child) for child in cell if child.tag == f"{_TEXT}p"]
        kind = cell.get(f"{_OFFICE}value-type")
        if kind is None and not paragraphs and cell.get(f"{_TABLE}formula") is not None:
            self._limits.formulas += 1
        is_hidden_zero = bool(paragraphs) and cell.get(f"{_OFFICE}value") == "0"
        text = "\n".join(paragraphs) or ("" if kind is None or is_hidden_zero else _value(cell, kind))
        return INVALID_IN_XML.sub("", text[:CELL_CHARS])

    def finish(self) -> Sheet:
        self._limits.hidden_rows += self._hidden_rows
        self._limits.hidden_columns += drop_columns(self._sheet, self._hidden_columns)
        return self._sheet


def text_of(element: Any) -> str:
    """Return the text of a paragraph, without comments and notes."""
    pieces = [element.text or ""]
    for child in element:
        tag = child.tag
        if tag == _SPACES:
            pieces.append(" " * min(_count_of(child.get(f"{_TEXT}c")), _MAX_SPACES))
        elif tag in _BREAKS:
            pieces.append(_BREAKS[tag])
        elif isinstance(tag, str) and tag not in _SKIPPED:
            pieces.append(text_of(child))
        pieces.append(child.tail or "")
    return "".join(pieces)


def _value(cell: Any, kind: str) -> str:
    """Return the value of a cell without stored text. Some programs write only values."""
    if kind == "boolean":
        return "TRUE" if cell.get(f"{_OFFICE}boolean-value") == "true" else "FALSE"
    if kind == "date":
        return (cell.get(f"{_OFFICE}date-value") or "").removesuffix("T00:00:00").replace("T", " ")
    if kind == "time":
        match = _DURATION.fullmatch(value := cell.get(f"{_OFFICE}time-value") or "")
        return f"{int(match[1])}:{int(match[2]):02}:{int(match[3]):02}" if match else value
    if kind == "string":
        return cell.get(f"{_OFFICE}string-value") or ""
    value = cell.get(f"{_OFFICE}value") or ""
    try:
        number = float(value)
    except ValueError:
        return value
    if kind == "percentage":
        return f"{plain_number(number * 100)}%"
    currency = cell.get(f"{_OFFICE}currency") if kind == "currency" else None
    return f"{plain_number(number)} {currency or ''}".rstrip()


def _is_hidden(element: Any, group: str) -> bool:
    """Whether a row or column is hidden for any reason other than a filter or a collapsed group."""
    parent = element.getparent()
    return element.get(f"{_TABLE}visibility") == "collapse" and not (
        parent is not None and parent.tag == f"{_TABLE}{group}"
    )


def _count(element: Any, name: str) -> int:
    value = element.get(f"{_TABLE}{name}")
    return 1 if value is None else _count_of(value)


def _count_of(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 and int(value) else 1
