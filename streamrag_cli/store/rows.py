"""Converts documents and chunks to and from database rows. The tables of every backend have these columns."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

from streamrag_cli.addresses import is_address
from streamrag_cli.model import LONGEST_CHUNK_CHARS, Chunk, DocumentRecord, FileVersion, UnreadFile

RECORD_COLUMNS: Final = "path, source, size, mtime_ns, read_at_ns, sha256, recipe, title, language, date, tags"
VERSION_COLUMNS: Final = "path, source, size, mtime_ns, read_at_ns, recipe, tags"
CHUNK_COLUMNS: Final = "chunk_id, ordinal, body, headings, page, line_start, line_end, char_start, char_end"
_UNREAD_NAMES: Final = ("path", "action", "reason", "code", "seen_at")
_MOST_UNREAD: Final = 10_000
_RECORD_NAMES: Final = RECORD_COLUMNS.split(", ")
_record_values: Final[Callable[[DocumentRecord], tuple[Any, ...]]] = attrgetter(*_RECORD_NAMES)
_CHUNK_NAMES: Final = ("id", "ordinal", "text", *CHUNK_COLUMNS.split(", ")[3:])
_values_of: Final[Callable[[Chunk], tuple[Any, ...]]] = attrgetter(*_CHUNK_NAMES)


_INVALID_IN_PATH: Final = re.compile("[\0\ud800-\udfff]")
_RECORD_TYPES: Final[tuple[Any, ...]] = (str, str, int, int, int, str, str, str, str, str, (str, type(None)))
_VERSION_TYPES: Final = [(str, str, int, int, int, str, tags) for tags in (str, type(None))]
_POSITION: Final = (int, type(None))
_CHUNK_TYPES: Final[tuple[Any, ...]] = (str, int, str, str, _POSITION, _POSITION, _POSITION, int, int)


def record_of(row: Sequence[Any]) -> DocumentRecord:
    """Convert a row of RECORD_COLUMNS to a record. Raises ValueError if a type is wrong or the path is not valid."""
    if not _have_types(row, _RECORD_TYPES) or not is_stored_path(row[0]):
        raise ValueError("a document has values of the wrong type")
    return DocumentRecord(**dict(zip(_RECORD_NAMES, row, strict=True)) | {"tags": tags_of(row[-1])})


def version_of(row: Sequence[Any]) -> FileVersion:
    """Convert a row of VERSION_COLUMNS to a file's version.

    Raises ValueError if a type is wrong or the path is not absolute.
    """
    if tuple(map(type, row)) not in _VERSION_TYPES or not is_stored_path(row[0]):
        raise ValueError("a document has values of the wrong type")
    return FileVersion._make(row)


def record_row(record: DocumentRecord) -> tuple[Any, ...]:
    *values, tags = _record_values(record)
    return *values, tags_text(tags)


def tags_text(tags: Sequence[str] | None) -> str | None:
    """Return the tags of a document as JSON; None if `tags` is None, which means that they are unknown."""
    return None if tags is None else json.dumps(tags, ensure_ascii=False)


def tags_of(text: str | None) -> tuple[str, ...] | None:
    """Parse the tags that `tags_text` wrote to a column. Raises ValueError if the text is malformed."""
    return None if text is None else _texts_of(text, "the tags of a document")


def unread_to_text(files: Iterable[UnreadFile]) -> str:
    """Return unread files as JSON, sorted by path.

    If there are more than 10,000, skipped files are dropped before failed ones.
    """
    most_important = sorted(files, key=lambda each: (each.action != "failed", each.path))[:_MOST_UNREAD]
    rows = sorted([getattr(each, name) for name in _UNREAD_NAMES] for each in most_important)
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def unread_from_text(text: str | None) -> list[UnreadFile]:
    """Parse the result of `unread_to_text`. Returns [] for None. Raises ValueError if the text is malformed."""
    try:
        rows = json.loads(text or "[]")
    except RecursionError as error:
        raise ValueError("the list of unread files is nested too deeply") from error
    is_valid = isinstance(rows, list) and all(
        isinstance(row, list) and len(row) == len(_UNREAD_NAMES) and _have_types(row, (str,) * len(row)) for row in rows
    )
    if not is_valid or not all(is_stored_path(row[0]) for row in rows):
        raise ValueError("an entry in the list of unread files is malformed")
    return [UnreadFile(**dict(zip(_UNREAD_NAMES, row, strict=True))) for row in rows]


def with_unread(known: Iterable[UnreadFile], roots: Sequence[str], files: Iterable[UnreadFile]) -> list[UnreadFile]:
    """Replace the `known` unread files at or below `roots` by `files`, and return the result."""
    below = tuple(range_below(root)[0] for root in roots)
    others = (each for each in known if each.path not in roots and not each.path.startswith(below))
    return list({each.path: each for each in (*others, *files)}.values())


def chunk_row(chunk: Chunk) -> tuple[Any, ...]:
    chunk_id, ordinal, text, headings, *position = _values_of(chunk)
    return chunk_id, ordinal, text, json.dumps(headings, ensure_ascii=False), *position


def chunk_of(row: Sequence[Any]) -> Chunk:
    """Convert a row of CHUNK_COLUMNS to a chunk. Raises ValueError if a value has the wrong type or is negative."""
    if not _have_types(row, _CHUNK_TYPES) or any(each is not None and each < 0 for each in row[4:]):
        raise ValueError("a chunk has values of the wrong type")
    values = dict(zip(_CHUNK_NAMES, row, strict=True))
    if max(len(values["text"]), len(values["headings"])) > LONGEST_CHUNK_CHARS:
        raise ValueError("the text of a chunk is too long")
    return Chunk(**values | {"headings": _texts_of(values["headings"], "the headings of a chunk")})


def _texts_of(source: str, name: str) -> tuple[str, ...]:
    """Parse a JSON list of strings. `name` describes the list in error messages. Raises ValueError."""
    try:
        texts = json.loads(source)
    except RecursionError as error:
        raise ValueError(f"{name} are nested too deeply") from error
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise ValueError(f"{name} are not a list of strings")
    return tuple(texts)


def _have_types(row: Sequence[object], types: Sequence[Any]) -> bool:
    return all(isinstance(value, expected) for value, expected in zip(row, types, strict=True))


def is_stored_path(path: object) -> bool:
    """Whether a value from a row can be the path of a document or root: it has no NUL or lone surrogates."""
    return isinstance(path, str) and (path.startswith("/") or is_address(path)) and not _INVALID_IN_PATH.search(path)


LAST: Final = "\U0010ffff"
"""A string that sorts after all paths and addresses, if they are compared as bytes."""
EVERYTHING: Final = ""
"""The root that all paths and addresses are below."""


def range_below(folder: str) -> tuple[str, str]:
    """The lower (inclusive) and upper (exclusive) bounds of the paths below a folder, compared as bytes.

    All paths are below the folder "".
    """
    if not folder:
        return "", LAST
    below = folder.rstrip("/") + "/"
    return below, below[:-1] + "0"  # the character after the slash


def in_pages(page_after: Callable[[str], list[DocumentRecord]]) -> Iterator[DocumentRecord]:
    """Yield records sorted by path, which are fetched in pages. `page_after` returns the page that follows a path."""
    page = page_after("")
    while page:
        yield from page
        page = page_after(page[-1].path)
