"""Words as the full-text index of every store sees them.

SQLite itself does the splitting and stemming, with the very tokenizer of the catalog's index, so that a word of
a question, of a chunk and of a sentence is the same word everywhere, whichever store keeps the chunk.

Chinese, Japanese, Korean and Thai are written without a blank at the end of a word, or, in Korean, with particles
attached. `separate` puts single characters and pairs of neighbours in the place of such a run, before SQLite splits.
"""

import re
import sqlite3
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from threading import Lock
from typing import Final, TypeVar

from streamrag_cli.store.languages import ENGLISH, is_stemmed, stem

Word = TypeVar("Word", str, tuple[str, ...])
TOKENIZER: Final = "porter unicode61"
MOST_WORDS: Final = 64
"""Words of a question that are looked for. FTS5's time grows with their square; the rarest decide the order anyway."""
_MOST_COUNTED: Final = 4  # a word that a question repeats more often weighs no more
_WITHOUT_BLANKS: Final = (
    "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u103f\u1780-\u17d3"  # Thai, Lao, Burmese, Khmer
    "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"  # Korean
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
)
_MOST_REMEMBERED: Final = 30_000  # 5 MB
_MOST_REMEMBERED_CHARS: Final = 60
_remembered: Final[dict[str, tuple[str, ...]]] = {}
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_RUN: Final = re.compile(f"[{_WITHOUT_BLANKS}]+")


def match_expression(words: Sequence[str]) -> str:
    """An FTS5 expression that matches any of the words, or "" where there is none.

    >>> match_expression(["stream", "tokens"])
    '"stream" OR "tokens"'
    """
    return " OR ".join(f'"{word}"' for word in words)


def rarest_words(asked: Mapping[Word, int], frequencies: Mapping[Word, int]) -> dict[Word, int]:
    """Which words of a question to look for, in their order, and what each weighs.

    `asked` says how often each word stands in the question, `frequencies` in how many chunks. Words that are in no
    chunk are left out, and of the rest all but the `MOST_WORDS` that are in the fewest.

    >>> rarest_words({"tide": 1, "harbour": 3, "unheard": 1}, {"tide": 5, "harbour": 2, "unheard": 0})
    {'tide': 1, 'harbour': 3}
    """
    known = [word for word in asked if frequencies.get(word, 0) > 0]
    rarest = set(sorted(known, key=lambda word: (frequencies[word], word))[:MOST_WORDS])
    return {word: min(asked[word], _MOST_COUNTED) for word in known if word in rarest}


def separate(text: str, language: str = ENGLISH) -> str:
    """`text` with each run of characters that are written without blanks as its characters and their pairs.

    In a language that has a stemmer each word is without its ending; SQLite stems all others as English.

    >>> separate("ferry 渡轮于"), separate("Die Fähren", "de")
    ('ferry  渡 轮 于 渡轮 轮于 ', 'die fahr')
    """
    return without_endings(text if text.isascii() else _RUN.sub(_characters_and_pairs, text), language)


def without_endings(text: str, language: str) -> str:
    """The words of a text as its language's stemmer leaves them; as they are if it has none."""
    return _LETTERS.sub(lambda word: stem(word[0].lower(), language), text) if is_stemmed(language) else text


def _characters_and_pairs(run: re.Match[str]) -> str:
    # Vowel signs above and below a letter end a word for SQLite; without them a pair is one word.
    found = [each for each in unicodedata.normalize("NFKC", run[0]) if unicodedata.category(each)[0] != "M"]
    return f" {' '.join([*found, *map(''.join, pairwise(found))])} "


def stems(texts: Sequence[str], languages: Sequence[str] = (), *, are_separate: bool = False) -> list[list[str]]:
    """For each text its stemmed words in order. `languages` has one for each text, or is empty: all are English.

    `are_separate` says that `separate` was applied before. A blank ends a word for SQLite, so what stands between two
    blanks is split once and remembered.
    """
    each_language = languages or [ENGLISH] * len(texts)
    parts = [
        (text if are_separate else separate(text, language)).split()
        for text, language in zip(texts, each_language, strict=True)
    ]
    found = {part: _remembered.get(part) for of_text in parts for part in of_text}
    unknown = [part for part, stems_of in found.items() if stems_of is None]
    if unknown:
        new = dict(zip(unknown, _split(unknown), strict=True))
        found |= new
        if len(_remembered) > _MOST_REMEMBERED:
            _remembered.clear()
        _remembered.update((part, each) for part, each in new.items() if len(part) <= _MOST_REMEMBERED_CHARS)
    return [[stem for part in of_text for stem in found[part] or ()] for of_text in parts]


def _split(texts: Sequence[str]) -> list[tuple[str, ...]]:
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
    return [tuple(map(sys.intern, of_text)) for of_text in found]


@dataclass(frozen=True, slots=True)
class _Splitter:
    """A database in memory that is always empty, for its tokenizer."""

    db: sqlite3.Connection
    lock: Lock


@cache
def _splitter() -> _Splitter:
    """The process's own. It is kept because making one takes longer than splitting a question: 0.3 ms."""
    db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    db.text_factory = lambda word: word.decode("utf-8", "replace")  # FTS5 cuts a word of 32 kB, also within a character
    db.execute(f"CREATE VIRTUAL TABLE texts USING fts5 (body, content = '', tokenize = '{TOKENIZER}')")
    db.execute("CREATE VIRTUAL TABLE positions USING fts5vocab (texts, 'instance')")
    return _Splitter(db, Lock())
