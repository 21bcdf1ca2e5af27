"""Finds and reads turns in the log."""

import json
import re
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streamrag_cli.history.entry import UNSUPPORTED
from streamrag_cli.history.rows import separated

_COLUMNS: Final = (
    "id, thread, n, started_at, question, extra_chars, extra_sha256, answer, state, collection, store, model,"
    " finish_reason, sources, cited, timings"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedTurn:
    """A question and its answer as recorded in the log.

    `state` is `complete`, `interrupted` or the code of an error. Each of the `sources` has the keys
    `entry.SOURCE_KEYS`. If several collections were searched, it also has the key `collection`, and the field
    `collection` contains all names, joined by commas. `unsupported` are the numbers of sources whose passage may not
    support the answer.
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
) -> list[LoggedTurn]:
    """The newest turns that contain all `words` and satisfy all `conditions`, newest first.

    The names of the conditions are the keys of `_CONDITIONS`. Conditions with the value None are ignored.
    """
    wheres = {_CONDITIONS[name]: value for name, value in conditions.items() if value is not None}
    if words.strip():
        wheres["id IN (SELECT rowid FROM turns_fts WHERE turns_fts MATCH ?)"] = match_expression(words)
    where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
    query = f"SELECT {_COLUMNS} FROM turns{where} ORDER BY id DESC LIMIT ?"
    rows = db.execute(query, (*wheres.values(), -1 if limit is None else min(limit, sys.maxsize))).fetchall()
    return [_turn(row) for row in rows]


_CONDITIONS: Final = {
    "turn": "id = ?",
    "thread": "thread = ?",
    "collection": "instr(',' || collection || ',', ',' || ? || ',')",
    "since": "started_at >= ?",
}


def _turn(row: Sequence[Any]) -> LoggedTurn:
    names = [name.strip() for name in _COLUMNS.split(",")]
    values = dict(zip(names, row, strict=True))
    values |= {name: json.loads(values[name]) for name in ("sources", "cited", "timings")}
    unsupported = tuple(each["n"] for each in values["sources"] if each.pop(UNSUPPORTED, False))
    return LoggedTurn(**values, unsupported=unsupported)
