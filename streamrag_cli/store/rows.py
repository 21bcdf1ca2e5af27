"""Converts documents and chunks to and from rows; every backend has tables with these columns."""

import json
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

from streamrag_cli.model import Chunk, DocumentRecord

RECORD_COLUMNS: Final = "path, source, size, mtime_ns, read_at_ns, sha256, recipe, title, language"
CHUNK_COLUMNS: Final = "chunk_id, ordinal, body, headings, page, line_start, line_end, char_start, char_end"
_RECORD_NAMES: Final = RECORD_COLUMNS.split(", ")
record_row: Final[Callable[[DocumentRecord], tuple[Any, ...]]] = attrgetter(*_RECORD_NAMES)
_CHUNK_NAMES: Final = ("id", "ordinal", "text", *CHUNK_COLUMNS.split(", ")[3:])
_values_of: Final[Callable[[Chunk], tuple[Any, ...]]] = attrgetter(*_CHUNK_NAMES)


def record_of(row: Sequence[Any]) -> DocumentRecord:
    return DocumentRecord(**dict(zip(_RECORD_NAMES, row, strict=True)))


def chunk_row(chunk: Chunk) -> tuple[Any, ...]:
    chunk_id, ordinal, text, headings, *position = _values_of(chunk)
    return chunk_id, ordinal, text, json.dumps(headings, ensure_ascii=False), *position


def chunk_of(row: Sequence[Any]) -> Chunk:
    values = dict(zip(_CHUNK_NAMES, row, strict=True))
    return Chunk(**values | {"headings": tuple(json.loads(values["headings"]))})


def range_below(folder: str) -> tuple[str, str]:
    """The lower (inclusive) and upper (exclusive) bounds of the paths below a folder, in the order of their bytes."""
    below = folder.rstrip("/") + "/"
    return below, below[:-1] + "0"  # the character after the slash


def in_pages(page_after: Callable[[str], list[DocumentRecord]]) -> Iterator[DocumentRecord]:
    """Records sorted by path, fetched page by page; `page_after` returns the page that follows a path."""
    page = page_after("")
    while page:
        yield from page
        page = page_after(page[-1].path)
