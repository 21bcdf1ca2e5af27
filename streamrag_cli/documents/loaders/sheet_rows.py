"""The rows of a spreadsheet with the text of their cells, and the limits for all sheets in a file."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from streamrag_cli.counting import counted_noun
from streamrag_cli.documents.loaders.xml_archive import RATIO, RATIO_FROM_BYTES
from streamrag_cli.errors import DocumentError

CELLS: Final = 1_000_000
"""The maximum number of cells with text that are read from a file. They take about 150 MB of memory."""
TEXT_CHARS: Final = 64_000_000
"""The maximum length of a file's text, in characters."""
INVALID_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Matches the characters that XML does not allow."""
CELL_CHARS: Final = 32_767
"""The maximum length of a cell, as in Excel. Longer texts are cut."""
COPIES_CHARS: Final = 200_000
"""The maximum length of all copies of repeated cells. In a large file, it is `COPIES_RATIO` times the file's size."""
COPIES_RATIO: Final = 10
MAX_COLUMN: Final = 16_384
MAX_ROW: Final = 1_048_576
_FILLED_CELLS: Final = 1_000_000
_READ_ALL: Final = "to read all of it, save the sheet as CSV"


class Row(NamedTuple):
    """A row with text. `number` is its number in the sheet; `position` is its number if hidden rows are not counted.

    `columns` are the columns of the cells with text, counted from 0 in ascending order; `texts` are their texts.
    """

    number: int
    position: int
    columns: Sequence[int]
    texts: Sequence[str]
    is_bold: bool = False


class Area(NamedTuple):
    """A rectangle of cells. The last row and column are part of it."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int


@dataclass(slots=True)
class Sheet:
    """A visible sheet. `merged` are its merged cells.

    `headers` maps each row that the file marks as the header of a table to the columns of that table.
    """

    name: str
    rows: list[Row] = field(default_factory=list)
    merged: list[Area] = field(default_factory=list)
    headers: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Limits:
    """Counts the text that is read from a file of `file_bytes`, and collects notes about omitted text."""

    file_bytes: int
    cells: int = 0
    chars: int = 0
    written_chars: int = 0
    copied_chars: int = 0
    left_out_copies: int = 0
    cut_at: str = ""
    hidden_sheets: int = 0
    hidden_rows: int = 0
    hidden_columns: int = 0
    formulas: int = 0

    def allow_row(self, sheet: str, row: int, texts: Sequence[str]) -> bool:
        """Whether one more row with these texts may be read. Raises DocumentError `zip_bomb` like `allow_text`."""
        if self.cut_at:
            return False
        self.cells += len(texts)
        self.chars += sum(map(len, texts))
        return self._allow(sheet, row, self.cells, self.chars)

    def allow_text(self, sheet: str, row: int, chars: int) -> bool:
        """Whether `chars` more characters may be written. The note about omitted text names `sheet` and `row`.

        Raises DocumentError `zip_bomb` if the text becomes much larger than the file.
        """
        self.written_chars += chars
        return self._allow(sheet, row, 0, self.written_chars)

    def allow_copies(self, count: int, chars: int) -> int:
        """Return how many of `count` copies of a text with `chars` characters may be made within the limit."""
        limit = max(COPIES_CHARS, COPIES_RATIO * self.file_bytes)
        allowed = min(count, max(0, limit - self.copied_chars) // max(1, chars))
        self.copied_chars += allowed * chars
        self.left_out_copies += count - allowed
        return allowed

    def _allow(self, sheet: str, row: int, cells: int, chars: int) -> bool:
        if chars > RATIO_FROM_BYTES and chars > RATIO * self.file_bytes:
            raise DocumentError(
                f"the file would expand to {chars / 1e6:,.0f} MB of text (possibly a zip bomb)", code="zip_bomb"
            )
        if cells <= CELLS and chars <= TEXT_CHARS:
            return True
        self.cut_at = f"read only up to row {row - 1:,} of the sheet {sheet!r}; {_READ_ALL}"
        return False

    def notes(self) -> Iterator[str]:
        if self.cut_at:
            yield self.cut_at
        if self.left_out_copies:
            yield f"left out {counted_noun(self.left_out_copies, 'copy', 'copies')} of repeated rows and cells"
        hidden = [
            counted_noun(count, noun)
            for count, noun in (
                (self.hidden_sheets, "sheet"), (self.hidden_rows, "row"), (self.hidden_columns, "column")
            )
            if count
        ]  # fmt: skip
        if hidden:
            yield f"hidden content was not read: {', '.join(hidden)}"
        if self.formulas:
            verb = "has" if self.formulas == 1 else "have"
            yield (
                f"{counted_noun(self.formulas, 'formula')} {verb} no saved result; "
                "open the file in a spreadsheet program and save it"
            )


def fill_merged(sheet: Sheet) -> None:
    """Repeat the text of a cell that spans rows in each of these rows that contains other text."""
    by_number = {row.number: index for index, row in enumerate(sheet.rows)}
    numbers = [row.number for row in sheet.rows]
    remaining = _FILLED_CELLS
    for area in sheet.merged:
        first = by_number.get(area.first_row)
        if first is None or area.last_row == area.first_row:
            continue
        source = sheet.rows[first]
        if area.first_column not in source.columns:
            continue
        text = source.texts[source.columns.index(area.first_column)]
        for index in range(first + 1, len(numbers)):
            if numbers[index] > area.last_row or remaining <= 0:
                break
            remaining -= 1
            sheet.rows[index] = _with_cell(sheet.rows[index], area.first_column, text)


def _with_cell(row: Row, column: int, text: str) -> Row:
    if column in row.columns:
        return row
    at = sum(1 for each in row.columns if each < column)
    columns, texts = [*row.columns], [*row.texts]
    columns.insert(at, column)
    texts.insert(at, text)
    return row._replace(columns=columns, texts=texts)


def drop_columns(sheet: Sheet, hidden: set[int]) -> int:
    """Remove hidden columns and renumber the others. Returns how many of the hidden columns contained text."""
    dropped = {column for row in sheet.rows for column in row.columns} & hidden
    if not dropped:
        return 0
    ascending = sorted(hidden)

    def moved(column: int) -> int:
        return column - bisect_left(ascending, column)

    for index, row in enumerate(sheet.rows):
        cells = [cell for cell in zip(row.columns, row.texts, strict=True) if cell[0] not in dropped]
        columns, texts = [moved(column) for column, _ in cells], [text for _, text in cells]
        sheet.rows[index] = row._replace(columns=columns, texts=texts)
    sheet.rows = [row for row in sheet.rows if row.texts]
    sheet.merged = [
        area._replace(first_column=moved(area.first_column), last_column=moved(area.last_column + 1) - 1)
        for area in sheet.merged
        if area.first_column not in hidden
    ]
    sheet.headers = {row: (moved(first), moved(last + 1) - 1) for row, (first, last) in sheet.headers.items()}
    return len(dropped)
