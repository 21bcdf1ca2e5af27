"""Full-text search in PostgreSQL. Hits are ranked with BM25, as in SQLite, although PostgreSQL does not support it.

Words are stemmed beforehand, and a tsvector only stores them. For a single word, `ts_rank` is
(1 + 1/4 + 1/9 + ... + 1/n²) * 6/π², where n is the number of occurrences in the chunk. It can be solved for n. In
addition to n, BM25 needs only counts that are stored.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import log, pi
from typing import Final

from streamrag_cli.store.interface import ScoredIds, Selection
from streamrag_cli.store.postgres.establish import Connection
from streamrag_cli.store.stemming import rarest_words

_MAX_LEXEME_BYTES: Final = 2000  # in bytes; PostgreSQL rejects words of more than 2046
_LAST_POSITION: Final = 16383
_MAX_OCCURRENCES: Final = 64  # more occurrences of a word in a chunk do not raise the score
_MAX_RANKED: Final = 10_000
"""A question is searched for with its rarest words: as many as match at most this number of chunks in total, but at
least one."""

_RANKS: Final = [0.0, *accumulate(6 / (pi * n) ** 2 for n in range(1, _MAX_OCCURRENCES + 1))]
_RANK_BOUNDS: Final = [(less + more) / 2 for less, more in pairwise(_RANKS)]
_K1: Final = 1.2
_B: Final = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of a collection: its number of chunks, and the number of words in all of them."""

    chunks: int
    words: int


def lexeme(stem: str) -> str:
    """Return a stemmed word as it is stored in the index, truncated if it is too long."""
    cut = stem.replace("\0", "\ufffd").encode("utf-8", "replace")[:_MAX_LEXEME_BYTES]
    return cut.decode("utf-8", "ignore")


def tsvector(stems: Sequence[str]) -> str:
    """Return the words and their positions in PostgreSQL's text format for tsvector.

    >>> tsvector(["it", "stream", "it"])
    "'it':1,3 'stream':2"
    """
    positions: dict[str, list[str]] = {}
    for position, stem in enumerate(stems, start=1):
        positions.setdefault(lexeme(stem), []).append(str(min(position, _LAST_POSITION)))
    return " ".join(f"{_quoted(word)}:{','.join(at)}" for word, at in positions.items())


def frequencies(conn: Connection, epoch: int, words: Sequence[str]) -> dict[str, int]:
    """The number of chunks that contain each of these words."""
    rows = conn.execute(
        f"SELECT word, sum(chunks) FROM {conn.table('word_counts', epoch)} WHERE word = ANY(%s) GROUP BY word",
        (list(words),),
    )
    return dict.fromkeys(words, 0) | {word: int(chunks) for word, chunks in rows}


def best(  # noqa: PLR0917
    conn: Connection, epoch: int, stems: Sequence[str], size: Size, limit: int, selection: Selection | None = None
) -> ScoredIds:
    """Return the ids of chunks that contain any of the stems, with their BM25 scores, best first.

    Repeated stems have a higher weight. With a `selection`, only chunks of its documents are returned. If it has few
    chunks, all stems are searched for; otherwise only rare ones.
    """
    occurrences = Counter(map(lexeme, stems))
    counted = frequencies(conn, epoch, list(occurrences))
    counts = rarest_words(occurrences, counted)
    if not counts:
        return []
    known = {word: counted[word] for word in counts}
    has_few_chunks = selection is not None and selection.chunks <= _MAX_RANKED
    searched = list(known) if has_few_chunks else _selective_words(known)
    chunks = f"SELECT chunk_id FROM {conn.table('chunks', epoch)} WHERE document_id = ANY(%(documents)s)"
    within = "" if selection is None else f" AND chunk_id IN ({chunks})"
    rows = conn.execute(
        f"SELECT chunk_id, score FROM {conn.table('words', epoch)} CROSS JOIN LATERAL ("
        "  SELECT sum(weight * n * %(k1)s::float8 / (n + %(floor)s::float8 + %(per_word)s::float8 * length)) AS score"
        "  FROM unnest(%(words)s::text[]::tsquery[], %(weights)s::float8[]) AS asked (word, weight),"
        "  LATERAL (SELECT width_bucket(ts_rank('{1, 1, 1, 1}', words, word)::float8, %(steps)s::float8[]) AS n)"
        f" ) WHERE words @@ %(any)s::tsquery{within} ORDER BY score DESC, chunk_id LIMIT %(limit)s",
        {
            "k1": _K1 + 1,
            "floor": _K1 * (1 - _B),
            "per_word": _K1 * _B * size.chunks / max(1, size.words),
            "words": [_quoted(word) for word in known],
            "weights": [counts[word] * _weight(chunks, size.chunks) for word, chunks in known.items()],
            "steps": _RANK_BOUNDS,
            "any": " | ".join(_quoted(word) for word in searched),
            "limit": limit,
            "documents": [] if selection is None else list(selection.documents),
        },
    )
    return [(chunk_id, score) for chunk_id, score in rows]


def _selective_words(frequencies: Mapping[str, int]) -> list[str]:
    """The rarest words that match at most `_MAX_RANKED` chunks in total, but always at least one word."""
    rarest = sorted(frequencies, key=lambda word: (frequencies[word], word))
    totals = accumulate(frequencies[word] for word in rarest)
    return [word for word, total in zip(rarest, totals, strict=True) if total <= _MAX_RANKED] or rarest[:1]


def _weight(frequency: int, chunks: int) -> float:
    """The inverse document frequency of FTS5. It is almost 0 for a word that more than half of the chunks contain."""
    return max(1e-6, log((chunks - frequency + 0.5) / (frequency + 0.5)))


def _quoted(word: str) -> str:
    doubled = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"
