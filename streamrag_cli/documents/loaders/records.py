"""Tables and JSON lines: the text is the file's, cut between records.

A row says little without the names of its columns, so these are the heading of every section. Sections are small runs
of records: the chunker puts neighbours of one heading together, and a record stays whole even if it spans lines.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from streamrag_cli.documents.loaders.plain import of_sections
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document, Section

_RUN_CHARS: Final = 250
_SNIFFED_CHARS: Final = 2048
_LONGEST_RECORD_CHARS: Final = 20_000


def load_table(path: str, text: str) -> Document:
    delimiter = "," if PurePath(path).suffix.casefold() == ".csv" else "\t"
    if delimiter == ",":
        delimiter = _sniffed_delimiter(text[:_SNIFFED_CHARS])
    columns = _columns(text, delimiter)
    headings = (clean_heading(", ".join(columns)),) if columns else ()
    return of_sections(path, text, _sections(text, _record_ends(text, delimiter), headings))


def load_json_lines(path: str, text: str) -> Document:
    return of_sections(path, text, _sections(text, _line_ends(text), ()))


def _columns(text: str, delimiter: str) -> list[str]:
    """The names in the first row, if they look like names: none empty, none a number."""
    first = next(_rows(text, delimiter), [])
    names = [name.strip() for name in first]
    return names if len(names) > 1 and all(name and not _is_number(name) for name in names) else []


def _sniffed_delimiter(sample: str) -> str:
    try:
        return csv.Sniffer().sniff(sample.rpartition("\n")[0] or sample, delimiters=",;\t|").delimiter
    except csv.Error:
        return ","


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """The rows until the first one that is broken."""
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error:
        return


def _record_ends(text: str, delimiter: str) -> Iterator[int]:
    """Where each record ends. A quote left open makes one record of the rest: then lines are taken for records."""
    lines_in_record: list[int] = []
    source = io.StringIO(text, newline="")
    consumed = 0

    def counted() -> Iterator[str]:
        nonlocal consumed
        for line in source:
            consumed += len(line)
            yield line

    try:
        lines_in_record.extend(consumed for _ in csv.reader(counted(), delimiter=delimiter))
    except csv.Error:
        return _line_ends(text)
    longest = max((b - a for a, b in zip([0, *lines_in_record], lines_in_record, strict=False)), default=0)
    return _line_ends(text) if longest > _LONGEST_RECORD_CHARS else iter(lines_in_record)


def _line_ends(text: str) -> Iterator[int]:
    end = 0
    while end < len(text):
        end = text.find("\n", end) + 1 or len(text)
        yield end


def _sections(text: str, record_ends: Iterator[int], headings: tuple[str, ...]) -> tuple[Section, ...]:
    sections: list[Section] = []
    start = previous = 0
    for end in record_ends:
        if end - start > _RUN_CHARS and previous > start:
            sections.append(Section(start=start, end=previous, headings=headings))
            start = previous
        previous = end
    if len(text) > start:
        sections.append(Section(start=start, end=len(text), headings=headings))
    return tuple(sections)


def _is_number(word: str) -> bool:
    try:
        float(word.replace(",", "."))
    except ValueError:
        return False
    return True
