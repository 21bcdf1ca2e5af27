"""Words as the full-text index sees them.

SQLite itself does the splitting and stemming, with the very tokenizer of the catalog's index, so that a word of
a question, of a chunk and of a sentence is the same word everywhere.
"""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Final

TOKENIZER: Final = "porter unicode61"

STOP_WORDS: Final = frozenset(
    """
    a about above after again against all also am an and any are as at be because been before being below between both
    but by can cannot could did do does doing down during each few for from further had has have having he her here
    hers him his how i if in into is it its itself just me more most my no nor not of off on once only or other our out
    over own s same shall she should so some such t than that the their them then there these they this those through
    to too under until up us very was we were what when where which while who whom whose why will with would you your
    """.split()
)


def words(text: str) -> list[str]:
    """The lower-cased words of `text`, unstemmed, in order, repeats kept."""
    return re.findall(r"\w+", text.lower())


def content_words(text: str) -> list[str]:
    """The same without stop words; all words where nothing else is left."""
    found = words(text)
    return [word for word in found if word not in STOP_WORDS] or found


def match_expression(question: str) -> str:
    """An FTS5 expression that matches any word of the question, or "" where it has none.

    >>> match_expression('How do I "stream" tokens?')
    '"stream" OR "tokens"'
    """
    return " OR ".join(f'"{word}"' for word in content_words(question))


def stems(texts: Sequence[str]) -> list[list[str]]:
    """For each text its stemmed words in order."""
    found: list[list[str]] = [[] for _ in texts]
    splitter = _splitter()
    with splitter.lock:
        splitter.db.execute("BEGIN")
        try:
            splitter.db.executemany("INSERT INTO texts (rowid, body) VALUES (?, ?)", enumerate(texts))
            for row, term in splitter.db.execute("SELECT doc, term FROM positions ORDER BY doc, offset"):
                found[row].append(term)
        finally:
            splitter.db.execute("ROLLBACK")
    return found


@dataclass(frozen=True, slots=True)
class _Splitter:
    """A database in memory that is always empty, for its tokenizer."""

    db: sqlite3.Connection
    lock: Lock


@cache
def _splitter() -> _Splitter:
    """The process's own. It is kept because making one takes longer than splitting a question: 0.3 ms."""
    db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    db.execute(f"CREATE VIRTUAL TABLE texts USING fts5 (body, content = '', tokenize = '{TOKENIZER}')")
    db.execute("CREATE VIRTUAL TABLE positions USING fts5vocab (texts, 'instance')")
    return _Splitter(db, Lock())
