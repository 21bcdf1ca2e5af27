"""Tokenizes and stems words, in the same way for questions, chunks and sentences, and for every backend.

SQLite splits and stems the text, with the tokenizer of the catalog's full-text index. Text in languages other than
English is stemmed beforehand (`languages.without_endings`).

Chinese, Japanese and Thai are written without spaces between words, and Korean attaches particles to words. `separate`
therefore splits such text into single characters and pairs of neighbouring characters, before SQLite splits it.
"""

import re
import sqlite3
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from threading import Lock
from typing import Final, TypeVar

from streamrag_cli.store.languages import ENGLISH, without_endings

Word = TypeVar("Word", str, tuple[str, ...])
TOKENIZER: Final = "porter unicode61"
MOST_WORDS: Final = 64
"""The maximum number of words that are searched for, because FTS5's time is quadratic in their number. The rarest
words are chosen, because they affect the ranking most."""
_MAX_REPEATS: Final = 4  # more repetitions of a word in the question do not raise its weight
_UNSPACED_SCRIPTS: Final = (
    "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u103f\u1780-\u17d3"  # Thai, Lao, Burmese, Khmer
    "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"  # Korean
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
)
_MAX_CACHED: Final = 30_000  # about 5 MB
_MAX_CACHED_CHARS: Final = 60
_cache: Final[dict[str, tuple[str, ...]]] = {}
UNSPACED: Final = re.compile(f"[{_UNSPACED_SCRIPTS}]+")
"""Matches a run of characters in scripts that are written without spaces between words."""
_FULL_WIDTH: Final = {
    code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))
}
"""Maps full-width digits and letters to ASCII."""


def match_expression(words: Sequence[str]) -> str:
    """An FTS5 expression that matches any of the words; "" if `words` is empty.

    >>> match_expression(["stream", "tokens"])
    '"stream" OR "tokens"'
    """
    return " OR ".join(f'"{word}"' for word in words)


def rarest_words(counts: Mapping[Word, int], frequencies: Mapping[Word, int]) -> dict[Word, int]:
    """Select the words in a question to search for, and return them in the same order with their weights.

    `counts` maps each word to the number of times it occurs in the question, and `frequencies` to the number of chunks
    that contain it. Words that no chunk contains are left out. If more than `MOST_WORDS` remain, only the rarest are
    returned.

    >>> rarest_words({"tide": 1, "harbour": 3, "unheard": 1}, {"tide": 5, "harbour": 2, "unheard": 0})
    {'tide': 1, 'harbour': 3}
    """
    known = [word for word in counts if frequencies.get(word, 0) > 0]
    rarest = set(sorted(known, key=lambda word: (frequencies[word], word))[:MOST_WORDS])
    return {word: min(counts[word], _MAX_REPEATS) for word in known if word in rarest}


def separate(text: str, language: str = ENGLISH) -> str:
    """Split runs of unspaced scripts in `text` into single characters and pairs of neighbouring characters.

    Full-width letters and digits, which occur in Japanese and Chinese text, become ASCII. Words are stemmed if
    `language` has a stemmer; SQLite stems all others as English.

    >>> separate("ferry 渡轮于"), separate("Die Fähren", "de")
    ('ferry  渡 轮 于 渡轮 轮于 ', 'die fahr')
    """
    if not text.isascii():
        text = UNSPACED.sub(_characters_and_pairs, text.translate(_FULL_WIDTH))
    return without_endings(text, language)


def _characters_and_pairs(run: re.Match[str]) -> str:
    # SQLite ends a word at vowel signs above and below a letter. They are removed, so that a pair remains one word.
    characters = [each for each in unicodedata.normalize("NFKC", run[0]) if unicodedata.category(each)[0] != "M"]
    return f" {' '.join([*characters, *map(''.join, pairwise(characters))])} "


def stems(texts: Sequence[str], languages: Sequence[str] = (), *, are_separate: bool = False) -> list[list[str]]:
    """The stemmed words of each text, in order. `languages` has the language of each text; empty means English.

    `are_separate` means that the texts are already results of `separate`. SQLite always ends a word at a space, so each
    part between two spaces is split only once, and the result is cached.
    """
    each_language = languages or [ENGLISH] * len(texts)
    parts = [
        (text if are_separate else separate(text, language)).split()
        for text, language in zip(texts, each_language, strict=True)
    ]
    distinct = list(set().union(*parts))
    cached = zip(distinct, map(_cache.get, distinct), strict=True)
    stems_of = {part: of_part for part, of_part in cached if of_part is not None}
    if len(stems_of) < len(distinct):
        unknown = [part for part in distinct if part not in stems_of]
        new = dict(zip(unknown, _split(unknown), strict=True))
        stems_of |= new
        if len(_cache) > _MAX_CACHED:
            _cache.clear()
        _cache.update((part, each) for part, each in new.items() if len(part) <= _MAX_CACHED_CHARS)
    return [list(chain.from_iterable(map(stems_of.__getitem__, of_text))) for of_text in parts]


def _split(texts: Sequence[str]) -> list[tuple[str, ...]]:
    words: list[list[str]] = [[] for _ in texts]
    splitter = _splitter()
    with splitter.lock:
        splitter.db.execute("BEGIN")
        try:
            splitter.db.executemany("INSERT INTO texts (rowid, body) VALUES (?, ?)", enumerate(texts))
            for row, term in splitter.db.execute("SELECT doc, term FROM positions ORDER BY doc, offset"):
                words[row].append(term)
        finally:
            splitter.db.execute("ROLLBACK")
    return [tuple(map(sys.intern, of_text)) for of_text in words]


@dataclass(frozen=True, slots=True)
class _Splitter:
    """An in-memory database that remains empty. It is used only for its tokenizer."""

    db: sqlite3.Connection
    lock: Lock


@cache
def _splitter() -> _Splitter:
    """Return the shared splitter of this process. Creating one (0.3 ms) takes longer than splitting a question."""
    db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    db.text_factory = lambda word: word.decode(
        "utf-8", "replace"
    )  # FTS5 truncates words to 32 kB, even in the middle of a character
    db.execute(f"CREATE VIRTUAL TABLE texts USING fts5 (body, content = '', tokenize = '{TOKENIZER}')")
    db.execute("CREATE VIRTUAL TABLE positions USING fts5vocab (texts, 'instance')")
    return _Splitter(db, Lock())
