"""Loads Excel workbooks: the rows of each visible sheet, with the cells as Excel shows them.

Numbers, dates and currencies are written in their number format. Formulas are never computed; their saved results are
read. Hidden sheets, rows and columns, comments, headers, footers and drawings are omitted. Rows that a filter or a
collapsed group hides are included.
"""

import re
import zipfile
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from streamrag_cli.documents.loaders.number_formats import GENERAL, plain_number, shown_number, shown_text
from streamrag_cli.documents.loaders.sheet_rows import (
    CELL_CHARS,
    MAX_COLUMN,
    MAX_ROW,
    Area,
    Limits,
    Row,
    Sheet,
    drop_columns,
)
from streamrag_cli.documents.loaders.sheet_text import document_of
from streamrag_cli.documents.loaders.xlsx_package import (
    Style,
    WithoutEmptyCells,
    Workbook,
    clean_text,
    read_workbook,
    relationships,
    text_of,
)
from streamrag_cli.documents.loaders.xml_archive import opened_archive, parsed_xml, streamed_xml
from streamrag_cli.model import Document

_CELL: Final = re.compile(r"\$?([A-Z]{1,3})\$?([1-9]\d{0,6})")
_INTEGER: Final = re.compile(r"-?[1-9]\d{0,14}|0")
_MERGED: Final = 100_000


def load_xlsx(path: str, data: bytes) -> Document:
    limits = Limits(len(data))
    with opened_archive(data, "an Excel workbook") as archive:
        workbook = read_workbook(archive)
        limits.hidden_sheets = workbook.hidden_sheets
        sheets = [_SheetReader(archive, workbook, limits, name, part).read() for name, part in workbook.sheets]
        return document_of(path, workbook.title, sheets, limits)


class _SheetReader:
    def __init__(self, archive: zipfile.ZipFile, workbook: Workbook, limits: Limits, name: str, part: str) -> None:
        self._archive = archive
        self._workbook = workbook
        self._limits = limits
        self._part = part
        self._sheet = Sheet(" ".join(clean_text(name).split()))
        self._rows: list[tuple[int, bool, list[int], list[str], bool]] = []
        """The rows, each with its number, whether it is hidden, its columns and texts, and whether it is bold."""
        self._hidden_columns: set[int] = set()
        self._filters: list[Area] = []
        self._styles: dict[str | None, Style] = {}
        self._next_row = 1
        self._value_tag = self._formula_tag = self._inline_tag = ""

    def read(self) -> Sheet:
        with self._archive.open(self._part) as stream:
            names = ("col", "row", "mergeCell", "autoFilter")
            for element in streamed_xml(WithoutEmptyCells(stream), *names):
                self._read(element, element.tag.rpartition("}")[2])
        for _, kind, target in relationships(self._archive, self._part):
            if kind == "table":
                self._read_table(parsed_xml(self._archive.read(target)))
        self._finish()
        return self._sheet

    def _read(self, element: Any, name: str) -> None:
        if name == "row":
            self._read_row(element)
        elif name == "col" and _is_hidden(element):
            first, last = _integer(element.get("min")), _integer(element.get("max"))
            self._hidden_columns |= {*range(first - 1, min(last, MAX_COLUMN))}
        elif name == "mergeCell" and (area := _area(element.get("ref"))) and len(self._sheet.merged) < _MERGED:
            self._sheet.merged.append(area)
        elif name == "autoFilter":
            self._read_filter(element)

    def _read_filter(self, element: Any) -> None:
        """Record the header row of a filter, and the rows that the filter may hide."""
        if area := _area(element.get("ref")):
            self._sheet.headers[area.first_row] = (area.first_column, area.last_column)
            if len(element):
                self._filters.append(area)

    def _read_table(self, table: Any) -> None:
        area = _area(table.get("ref"))
        if area and table.get("headerRowCount") != "0":
            self._sheet.headers[area.first_row] = (area.first_column, area.last_column)
        for child in table:
            if isinstance(child.tag, str) and child.tag.endswith("}autoFilter"):
                self._read_filter(child)

    def _read_row(self, row: Any) -> None:
        number = _integer(row.get("r")) or self._next_row
        self._next_row = number + 1
        if number > MAX_ROW or self._limits.cut_at:
            return
        if not self._value_tag:
            namespace = row.tag.removesuffix("row")
            self._value_tag, self._formula_tag, self._inline_tag = (f"{namespace}{name}" for name in ("v", "f", "is"))
        columns: list[int] = []
        texts: list[str] = []
        styles = self._styles
        is_bold = True
        column = -1
        for cell in row:
            reference = cell.get("r")
            column = _column(reference.rstrip("0123456789")) if reference else column + 1
            if not len(cell) or not 0 <= column < MAX_COLUMN:
                continue
            index = cell.get("s")
            style = styles.get(index) or styles.setdefault(index, self._workbook.style(index))
            text = self._cell_text(cell, style.code)
            if text and not text.isspace():
                columns.append(column)
                texts.append(text)
                is_bold = is_bold and style.is_bold
        if not texts:
            return
        if self._limits.allow_row(self._sheet.name, number, texts):
            self._rows.append((number, _is_hidden(row), columns, texts, is_bold))

    def _cell_text(self, cell: Any, code: str) -> str:
        kind = cell.get("t") or "n"
        value = None
        has_formula = False
        for child in cell:
            tag = child.tag
            if tag == self._value_tag:
                value = child.text
            elif tag == self._formula_tag:
                has_formula = True
            elif tag == self._inline_tag:
                return shown_text(text_of(child), code)
        if value is None:
            self._limits.formulas += has_formula and kind != "str"
            return ""
        return self._value_text(value, kind, code)

    def _value_text(self, value: str, kind: str, code: str) -> str:
        if kind == "n":
            if code == GENERAL and _INTEGER.fullmatch(value):
                return value
            return _number_text(value, code, self._workbook.is_1904)
        if kind == "s":
            index = _integer(value)
            texts = self._workbook.texts
            return shown_text(texts[index], code) if 0 <= index < len(texts) else ""
        if kind == "b":
            return "TRUE" if value.strip() in {"1", "true"} else "FALSE"
        if kind == "d":
            return _iso_date(value)
        return shown_text(clean_text(value), code) if kind == "str" else clean_text(value)

    def _finish(self) -> None:
        """Remove hidden rows and columns from the sheet."""
        hidden_rows = 0
        for number, is_hidden, columns, texts, is_bold in sorted(self._rows, key=itemgetter(0)):
            if is_hidden and not any(area.first_row <= number <= area.last_row for area in self._filters):
                hidden_rows += 1
                continue
            self._sheet.rows.append(Row(number, number - hidden_rows, columns, texts, is_bold))
        self._limits.hidden_rows += hidden_rows
        self._limits.hidden_columns += drop_columns(self._sheet, self._hidden_columns)


def _is_hidden(element: Any) -> bool:
    """Whether a row or column is hidden for any reason other than a collapsed group."""
    return element.get("hidden") in {"1", "true"} and element.get("outlineLevel") in {None, "0"}


def _integer(value: str | None) -> int:
    """Return an integer in an attribute or a cell; 0 if it is missing or invalid."""
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else 0


@lru_cache(maxsize=4096)
def _column(letters: str) -> int:
    """Return the index of a column by its letters, 0 for A; -1 if they are invalid."""
    number = 0
    for letter in letters[:4]:
        if not "A" <= letter <= "Z":
            return -1
        number = number * 26 + ord(letter) - 64
    return number - 1


def _area(reference: str | None) -> Area | None:
    cells = [_CELL.fullmatch(each) for each in (reference or "").split(":")]
    if not 1 <= len(cells) <= 2 or not (first := cells[0]) or not (last := cells[-1]):
        return None
    return Area(int(first[2]), _column(first[1]), int(last[2]), _column(last[1]))


@lru_cache(maxsize=65_536)
def _number_text(value: str, code: str, is_1904: bool) -> str:
    try:
        number = float(value)
    except ValueError:
        return clean_text(value)
    return shown_number(number, code, is_1904=is_1904) if code != GENERAL else plain_number(number)


def _iso_date(value: str) -> str:
    return value.removesuffix("T00:00:00").removesuffix("T00:00:00Z").replace("T", " ")[:CELL_CHARS]
