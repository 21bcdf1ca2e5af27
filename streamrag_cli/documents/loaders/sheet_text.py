"""Writes the sheets in a spreadsheet as text: one line per row, with the column names.

The heading above the lines names the sheet and the rows. Empty rows divide a sheet into blocks, which `sheet_tables`
divides into tables. A single short cell above a table is the table's title.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from streamrag_cli.documents.loaders.rows import is_value, row_text
from streamrag_cli.documents.loaders.sheet_rows import Limits, Row, Sheet, fill_merged
from streamrag_cli.documents.loaders.sheet_tables import Table, tables_of
from streamrag_cli.documents.loaders.table import LARGE_CHARS, LONG_RUN_CHARS, SHORT_ROW_CHARS
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.documents.row_places import rows_place
from streamrag_cli.model import Document, Section

_RUN_CHARS: Final = 1000
_HEADING_CHARS: Final = 80
_ALIGNED_COLUMNS: Final = 256
"""The maximum width of blocks whose rows keep empty cells. Without them, the time does not grow with the width."""


class _Line(NamedTuple):
    number: int
    text: str
    heading: str


def document_of(path: str, title: str, sheets: Sequence[Sheet], limits: Limits) -> Document:
    pieces: list[str] = []
    sections: list[Section] = []
    length = 0
    for sheet in sheets:
        for run, is_whole in _runs(_lines(sheet)):
            text = "".join(f"{line.text}\n" for line in run)
            if not limits.allow_text(sheet.name, run[0].number, len(text)):
                break
            place = rows_place(clean_heading(sheet.name), [line.number for line in run])
            headings = (run[0].heading, place) if run[0].heading else (place,)
            sections.append(Section(start=length, end=length + len(text), headings=headings, is_whole=is_whole))
            pieces.append(text)
            length += len(text)
    return Document(
        path=path,
        text="".join(pieces),
        title=clean_heading(title),
        sections=tuple(sections),
        line_numbers=None,
        notes=tuple(limits.notes()),
    )


def _runs(lines: list[_Line]) -> Iterator[tuple[list[_Line], bool]]:
    """Yield runs of lines, each about as long as a chunk, as (lines, is one chunk) pairs.

    A row that is longer than a chunk is a separate run. In a large sheet with short rows, runs are longer.
    """
    chars = sum(len(line.text) + 1 for line in lines)
    is_short = SHORT_ROW_CHARS * len(lines) >= chars > LARGE_CHARS
    max_chars = LONG_RUN_CHARS if is_short else _RUN_CHARS
    run: list[_Line] = []
    length = 0
    for line in lines:
        if run and (length + len(line.text) + 1 > max_chars or line.heading != run[0].heading):
            yield run, length <= max_chars
            run, length = [], 0
        run.append(line)
        length += len(line.text) + 1
    if run:
        yield run, length <= max_chars


def _lines(sheet: Sheet) -> list[_Line]:
    fill_merged(sheet)
    lines: list[_Line] = []
    above: list[Table] = []
    heading = ""
    for block in _blocks(sheet.rows):
        if len(block) == 1 and block[-1] is not sheet.rows[-1] and (title := _title(block, 1)):
            heading, above = title, []
            lines.append(_Line(block[0].number, row_text((), block[0].texts), heading))
            continue
        tables = tables_of(block, sheet, above)
        header_start = min((table.header_start for table in tables if table.has_header), default=0)
        if title := _title(block, header_start):
            heading = title
        elif above and any(table.has_header for table in tables):
            heading = ""
        lines += (_Line(number, text, heading) for number, text in _texts(block, tables))
        above = [table for table in tables if table.names] or above
    return lines


def _blocks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield the blocks in a sheet: rows without an empty row between them."""
    start = 0
    for at in range(1, len(rows) + 1):
        if at == len(rows) or rows[at].position != rows[at - 1].position + 1:
            yield rows[start:at]
            start = at


def _title(rows: Sequence[Row], count: int) -> str:
    """Return the text of the first of `count` rows if it is a single short cell that is not a sentence, else ""."""
    if not count or len(rows) < count or len(rows[0].texts) != 1:
        return ""
    text = rows[0].texts[0].strip()
    is_title = (
        len(text) <= _HEADING_CHARS
        and any(map(str.isalpha, text))
        and not text.endswith((".", "!", "?", "。"))
        and not is_value(text)
    )
    return clean_heading(text) if is_title else ""


def _texts(block: Sequence[Row], tables: Sequence[Table]) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each row. Header cells are omitted, because each row below repeats them."""
    table_of = {column: table for table in tables for column in range(table.first, table.last + 1)}
    aligned = [*table_of] if len(table_of) <= _ALIGNED_COLUMNS else None
    for index, row in enumerate(block):
        cells = dict(zip(row.columns, row.texts, strict=True))
        columns = [
            column
            for column in aligned or row.columns
            if not table_of[column].header_start <= index < table_of[column].header_end
        ]
        names = [
            table_of[column].names.get(column, "") if index >= table_of[column].header_end else "" for column in columns
        ]
        if text := row_text(names, [cells.get(column, "") for column in columns]):
            yield row.number, text
