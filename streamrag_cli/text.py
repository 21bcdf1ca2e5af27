"""Makes untrusted text safe to show: text from documents and models, file names, error messages.

Each code point is sanitised separately, so that text can be sanitised piece by piece:
`sanitise(a) + sanitise(b) == sanitise(a + b)`.
"""

import re
from typing import Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
NOT_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
"""Matches NUL and surrogates. PostgreSQL rejects NUL, and surrogates cannot be encoded as UTF-8."""
_SHORTEST_SECRET: Final = 8


def _replacements() -> dict[int, str | None]:
    table: dict[int, str | None] = {}
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)):  # C0, DEL and C1, lone surrogates
        table[code] = REPLACEMENT
    for code in (
        *(0x200B, 0x200E, 0x200F, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0xFEFF, 0x180E),  # zero width, marks
        *(0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # bidirectional controls
        *range(0x206A, 0x2070),  # deprecated format characters
        *range(0xFFF9, 0xFFFC),  # interlinear annotation
        *range(0xE0000, 0xE0080),  # tag characters
        *range(0xE0100, 0xE01F0),  # variation selectors supplement
        ord("\r"),
    ):
        table[code] = None
    for code in (0x2028, 0x2029):
        table[code] = "\n"
    for allowed in "\n\t":
        del table[ord(allowed)]
    return table


_SAFE: Final = _replacements()
_SAFE_LINE: Final = _SAFE | {ord("\n"): " ", ord("\t"): " ", 0x2028: " ", 0x2029: " "}


def without_secret(text: str, secret: str, mark: str) -> str:
    """Replace `secret` in `text` with `mark`. A `secret` with fewer than 8 characters is a placeholder, and is kept."""
    return text.replace(secret, mark) if len(secret) >= _SHORTEST_SECRET else text


def sanitise(text: str) -> str:
    """Return `text` without characters that could control a terminal or reorder the shown text.

    >>> sanitise("a\\x1b[31mb\\r\\n")
    'a\N{REPLACEMENT CHARACTER}[31mb\\n'
    """
    return text.translate(_SAFE)


def sanitise_line(text: str) -> str:
    """Like `sanitise`, for text that must stay on one line: file names, titles, error messages.

    >>> sanitise_line("name\\nwith newline")
    'name with newline'
    """
    return text.translate(_SAFE_LINE)


def excerpt(text: str, *, limit: int = 150) -> str:
    """Collapse the white space in `text`. Text above `limit` characters is cut after a word and ends in `...`.

    >>> excerpt("one  two three", limit=9)
    'one two...'
    """
    folded = " ".join(sanitise(text[: limit * 8]).split())
    if len(folded) <= limit:
        return folded
    whole = folded[: limit + 1].rpartition(" ")[0]
    return (whole if len(whole) > limit // 2 else folded[:limit]).rstrip() + "..."
