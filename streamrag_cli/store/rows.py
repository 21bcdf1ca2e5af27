"""Converts documents and chunks to and from rows; every backend has tables with these columns."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

from streamrag_cli.model import LONGEST_CHUNK_CHARS, Chunk, DocumentRecord

RECORD_COLUMNS: Final = "path, source, size, mtime_ns, read_at_ns, sha256, recipe, title, language"
CHUNK_COLUMNS: Final = "chunk_id, ordinal, body, headings, page, line_start, line_end, char_start, char_end"
_RECORD_NAMES: Final = RECORD_COLUMNS.split(", ")
record_row: Final[Callable[[DocumentRecord], tuple[Any, ...]]] = attrgetter(*_RECORD_NAMES)
_CHUNK_NAMES: Final = ("id", "ordinal", "text", *CHUNK_COLUMNS.split(", ")[3:])
_values_of: Final[Callable[[Chunk], tuple[Any, ...]]] = attrgetter(*_CHUNK_NAMES)


_INVALID_IN_PATH: Final = re.compile("[\0\ud800-\udfff]")
_RECORD_TYPES: Final[tuple[Any, ...]] = (str, str, int, int, int, str, str, str, str)
_POSITION: Final = (int, type(None))
_CHUNK_TYPES: Final[tuple[Any, ...]] = (str, int, str, str, _POSITION, _POSITION, _POSITION, int, int)


def record_of(row: Sequence[Any]) -> DocumentRecord:
    """The record in a row of RECORD_COLUMNS. Raises ValueError if a type is wrong or the path is not absolute."""
    if not _have_types(row, _RECORD_TYPES) or not is_stored_path(row[0]):
        raise ValueError("a document has values of the wrong type")
    return DocumentRecord(**dict(zip(_RECORD_NAMES, row, strict=True)))


def chunk_row(chunk: Chunk) -> tuple[Any, ...]:
    chunk_id, ordinal, text, headings, *position = _values_of(chunk)
    return chunk_id, ordinal, text, json.dumps(headings, ensure_ascii=False), *position


def chunk_of(row: Sequence[Any]) -> Chunk:
    """The chunk in a row of CHUNK_COLUMNS. Raises ValueError if a value has the wrong type or is negative."""
    if not _have_types(row, _CHUNK_TYPES) or any(each is not None and each < 0 for each in row[4:]):
        raise ValueError("a chunk has values of the wrong type")
    values = dict(zip(_CHUNK_NAMES, row, strict=True))
    if max(len(values["text"]), len(values["headings"])) > LONGEST_CHUNK_CHARS:
        raise ValueError("the text of a chunk is too long")
    try:
        headings = json.loads(values["headings"])
    except RecursionError as error:
        raise ValueError("the headings of a chunk are nested") from error
    if not isinstance(headings, list) or not all(isinstance(each, str) for each in headings):
        raise ValueError("the headings of a chunk are not a list of texts")
    return Chunk(**values | {"headings": tuple(headings)})


def _have_types(row: Sequence[object], types: Sequence[Any]) -> bool:
    return all(isinstance(value, expected) for value, expected in zip(row, types, strict=True))


def is_stored_path(path: object) -> bool:
    """Whether this can be the path of a document or root: an absolute path without NUL and lone surrogates."""
    return isinstance(path, str) and path.startswith("/") and not _INVALID_IN_PATH.search(path)


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
