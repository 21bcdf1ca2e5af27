"""Resolves markers such as `[2]` or `[1, 3]` in an answer to sources."""

import re
from collections.abc import Sequence
from typing import Final

from streamrag_cli.events import Citations
from streamrag_cli.model import Citation, Source

# A marker does not follow a word character (`x[3]` is an index) or a backslash, and `(` or `:` does not follow it (as
# in a link). Directly after a `]`, as in `[2][3]`, a marker has only one number.
MARKER: Final = re.compile(
    r"(?<![\w\]\\])\[\s*(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*\](?![(:])|(?<=\])\[(\d{1,3})\](?![(:])"
)
_ANY_MARKER = (
    r"(?:\[\s{0,3}(?:sources?\s{1,3})?\^?\d{1,3}(?:\s{0,3}[,;\u2013-]\s{0,3}\^?\d{1,3})*\s{0,3}\](?![(:])"
    r"|\u3010\s{0,3}\d{1,3}[^\u3011\n]{0,40}\u3011)"
)
# Matches markers with the space after them at the beginning of a line, and with the space before them elsewhere.
_MARKERS = re.compile(
    rf"^{_ANY_MARKER}+[ \t]+|(?<![ \t\\])[ \t]*{_ANY_MARKER}+",
    re.IGNORECASE | re.MULTILINE,
)
CODE: Final = re.compile(r"(```|~~~).*?(?:\1|\Z)|`[^`\n]*`", re.DOTALL)


def cited_numbers(answer: str) -> list[int]:
    """The numbers cited in the answer, without repeats, in order of first use.

    >>> cited_numbers("Both do [2][1]. So `x[3]` does not, nor [4](link), but [1, 5] do.")
    [2, 1, 5]
    """
    prose = CODE.sub(lambda code: " " * len(code.group()), answer)
    groups = (match.group(1) or match.group(2) for match in MARKER.finditer(prose))
    return list(dict.fromkeys(int(number) for group in groups for number in re.findall(r"\d+", group)))


def resolve(answer: str, sources: Sequence[Source]) -> Citations:
    """The sources that the answer cites, and the cited numbers that match no source."""
    by_number = {source.n: source for source in sources}
    numbers = cited_numbers(answer)
    cited = [by_number[n] for n in numbers if n in by_number]
    return Citations(
        citations=tuple(Citation(n=each.n, source=each.source, chunk_id=each.chunk_id) for each in cited),
        unknown=tuple(n for n in numbers if n not in by_number),
    )


def without_markers(answer: str) -> str:
    """The answer without its citation markers. Code and links stay as they are.

    >>> without_markers("Ada [1][2] built it[3, 4]; see [5](link) and `x[1]`.")
    'Ada built it; see [5](link) and `x[1]`.'
    """
    parts: list[str] = []
    start = 0
    for code in CODE.finditer(answer):
        parts += [_MARKERS.sub("", answer[start : code.start()]), code.group()]
        start = code.end()
    return "".join([*parts, _MARKERS.sub("", answer[start:])])


_NOT_FOUND: Final = re.compile(
    r"\b(?:not|n['\u2019]t|no|nothing|none|neither|cannot|unable|without)\b[^.!?\n]{0,100}"
    r"\b(?:documents?|documentation|sources?|passages?|texts?|context|information|excerpts?|files?|notes?|material)\b"
    r"|\b(?:documents?|documentation|sources?|passages?|texts?|context|information|excerpts?|files?|notes?|material)\b"
    r"[^.!?\n]{0,60}(?:\b(?:not|no|nothing|cannot|lacks?|silent|without)\b|n['\u2019]t\b)"
    r"|\b(?:nicht|kein\w*|nichts)\b[^.!?\n]{0,100}\b(?:Dokument\w*|Quelle\w*|Text\w*|Unterlage\w*|Information\w*)"
    r"|\b(?:Dokument\w*|Quelle\w*|Text\w*|Unterlage\w*|Information\w*)[^.!?\n]{0,80}\b(?:nicht|kein\w*|nichts)\b"
    r"|\b(?:document|source|texte|document|fuente|testo|fonti|documento|fonte|texto|bron|tekst)\w*[^.!?\n]{0,60}"
    r"\b(?:ne|pas|aucun\w*|no|non|n\u00e3o|niet|geen)\b"
    r"|\b(?:ne|aucun\w*|no|non|n\u00e3o|niet|geen)\b[^.!?\n]{0,60}\b(?:document|source|texte|fuente|testo|font|texto|bron|tekst)",
    re.IGNORECASE,
)
_BEGINNING_CHARS: Final = 600


def lacks_citations(answer: str) -> bool:
    """Whether an answer should have citations but has none.

    An answer that begins with the statement that nothing was found does not need citations.

    >>> lacks_citations("Ten days."), lacks_citations("Ten days [1]."), lacks_citations("That is not in the documents.")
    (True, False, False)
    """
    prose = CODE.sub(" ", answer)
    return not (not re.search(r"\w", answer) or _MARKERS.search(prose) or _NOT_FOUND.search(prose[:_BEGINNING_CHARS]))
