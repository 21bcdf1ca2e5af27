"""Finds and reads turns in the log."""

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from streamrag_cli.history.entry import SOURCE_KEYS, UNSUPPORTED
from streamrag_cli.history.rows import separated
from streamrag_cli.model import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedTurn:
    """A question and its answer as recorded in the log.

    `state` is `complete`, `interrupted` or the code of an error. Each of the `sources` has the keys
    `entry.SOURCE_KEYS`. If several collections were searched, each source also has the key `collection`, and the
    attribute `collection` contains the names of all collections, joined by commas. `unsupported` are the numbers of
    sources whose passage may not support the answer.
    """

    id: int
    thread: str
    n: int
    started_at: str
    question: str
    extra_chars: int
    extra_sha256: str
    answer: str
    state: str
    collection: str
    store: str
    model: str
    finish_reason: str
    sources: Sequence[Mapping[str, Any]]
    cited: Sequence[str]
    timings: Mapping[str, float]
    unsupported: Sequence[int] = ()


_NAMES: Final = [each.name for each in fields(LoggedTurn) if each.name != "unsupported"]
_TEXTS: Final = [each.name for each in fields(LoggedTurn) if each.type is str]
_COLUMNS: Final = ", ".join(_NAMES)
_ID: Final = _NAMES.index("id")
_YEARS: Final = range(1970, 9999)
"""The years in which times can be converted to any time zone."""
_LARGEST: Final = 1e15
_OPTIONAL: Final = frozenset({"path", "collection", UNSUPPORTED})
_SOURCE_TYPES: Final[Mapping[str, Any]] = {
    each.name: int | float if each.type is float else each.type  # JSON does not distinguish these
    for each in fields(Source)
    if each.name in {*SOURCE_KEYS, *_OPTIONAL}
} | {UNSUPPORTED: bool}


def match_expression(words: str) -> str:
    """An FTS5 expression that matches texts with all of the words. Without words, it matches nothing.

    >>> match_expression('retry "NOT x')
    '"retry" "NOT" "x"'
    """
    terms = re.findall(r"[^\s\"\0]+", words)
    return " ".join(f'"{part}"' for term in terms for part in separated(term).split()) or '""'


def find(
    db: sqlite3.Connection,
    *,
    limit: int | None = None,
    words: str = "",
    **conditions: object,
) -> tuple[list[LoggedTurn], list[int]]:
    """The newest turns that contain all `words` and satisfy all `conditions`, newest first.

    The names of the conditions are the keys of `_CONDITIONS`. Conditions with the value None are ignored. The second
    list contains the ids of damaged turns, which are left out and do not count towards the limit.
    """
    turns: list[LoggedTurn] = []
    damaged: list[int] = []
    with closing(_select(db, _COLUMNS, words, conditions)) as rows:
        while limit is None or len(turns) < limit:
            row = rows.fetchone()
            if row is None:
                break
            try:
                turns.append(_turn(row))
            except (ValueError, TypeError, RecursionError):
                damaged.append(row[_ID])
    return turns, damaged


def find_ids(db: sqlite3.Connection, **conditions: object) -> list[int]:
    """The ids of all turns that satisfy the conditions of `find`, including damaged turns."""
    return [row for (row,) in _select(db, "id", "", conditions)]


def _select(db: sqlite3.Connection, columns: str, words: str, conditions: Mapping[str, object]) -> sqlite3.Cursor:
    wheres = {_CONDITIONS[name]: value for name, value in conditions.items() if value is not None}
    if words.strip():
        wheres["id IN (SELECT rowid FROM turns_fts WHERE turns_fts MATCH ?)"] = match_expression(words)
    where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
    return db.execute(f"SELECT {columns} FROM turns{where} ORDER BY id DESC", tuple(wheres.values()))


_CONDITIONS: Final = {
    "turn": "id = ?",
    "thread": "thread = ?",
    "collection": "instr(',' || collection || ',', ',' || ? || ',')",
    "since": "started_at >= ?",
}


def _turn(row: Sequence[Any]) -> LoggedTurn:
    """Return a turn from a row of the table. Raises ValueError, TypeError or RecursionError if it is damaged."""
    values = dict(zip(_NAMES, row, strict=True))
    values |= {name: json.loads(values[name]) for name in ("sources", "cited", "timings")}
    sources, cited, timings = values["sources"], values["cited"], values["timings"]
    is_valid = (
        all(isinstance(value, list) for value in (sources, cited))
        and isinstance(timings, dict)
        and all(isinstance(values[name], str) for name in _TEXTS)
        and all(isinstance(each, str) for each in cited)
        and all(map(_is_number, (values["n"], values["extra_chars"], *timings.values())))
        and all(map(_is_source, sources))
        and datetime.fromisoformat(values["started_at"]).year in _YEARS
    )
    if not is_valid:
        raise ValueError(f"turn {values['id']} has values of the wrong type")
    unsupported = tuple(each["n"] for each in sources if each.pop(UNSUPPORTED, False))
    return LoggedTurn(**values, unsupported=unsupported)


def _is_source(source: object) -> bool:
    return (
        isinstance(source, dict)
        and _SOURCE_TYPES.keys() - _OPTIONAL <= source.keys() <= _SOURCE_TYPES.keys()
        and all(isinstance(value, _SOURCE_TYPES[name]) for name, value in source.items())
        and all(_is_number(value) for value in source.values() if isinstance(value, int | float))
    )


def _is_number(value: object) -> bool:
    """Whether `value` is a number that can be formatted, which excludes NaN and infinity."""
    return isinstance(value, int | float) and abs(value) <= _LARGEST
