"""Converts roff escapes and inline mdoc macros to text."""

import re
from collections.abc import Sequence
from typing import Final

_ESCAPE: Final = re.compile(
    r"\\(?:f(?:\[[^\[\]]*\]|\(..|.)|s(?:[-+]?\d{1,2}|\([-+]?..|[-+]?\[[^\[\]]*\])|[mMFkgnYO*](?:\[[^\[\]]*\]|\(..|.)"
    r"|[hvwlLDobxzZXRNC]'[^'\n]*'|\((..)|\[([^\[\]]*)\]|(.)|$)"
)
_GLYPHS: Final = {
    "em": "—", "en": "–", "hy": "-", "bu": "•", "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "aq": "'", "dq": '"',
    "co": "©", "rg": "®", "tm": "™", "de": "°", "mu": "×", "->": "→", "<-": "←", ">=": "≥", "<=": "≤", "+-": "±",
    "ti": "~", "ha": "^", "ga": "`", "rs": "\\", "sl": "/", "ul": "_", "ba": "|", "at": "@", "sh": "#", "Do": "$",
    "lB": "[", "rB": "]", "lC": "{", "rC": "}", "la": "⟨", "ra": "⟩", "Fo": "«", "Fc": "»", "ss": "ß", "Po": "£",
    "Eu": "€", "sc": "§", "mi": "−", "!=": "≠", "==": "≡", "if": "∞", "*a": "α", "*b": "β", "*p": "π",
    "12": "½", "14": "¼", "34": "¾", "ae": "æ", "oe": "œ", "o/": "ø", "oA": "Å", "oa": "å",
}  # fmt: skip
_ACCENTS: Final = {"'": "\u0301", "`": "\u0300", "^": "\u0302", ":": "\u0308", "~": "\u0303", ",": "\u0327"}
_SINGLE: Final = {"e": "\\", "-": "-", " ": " ", "~": " ", "0": " ", "\\": "\\", "'": "'", "`": "`", ".": ".", "_": "_",
                  "t": "\t", "(": "("}  # fmt: skip

_QUOTING: Final = {
    "Op": ("[", "]"), "Dq": ("“", "”"), "Sq": ("‘", "’"), "Pq": ("(", ")"), "Bq": ("[", "]"), "Brq": ("{", "}"),
    "Aq": ("<", ">"), "Ql": ("`", "`"), "Qq": ('"', '"'), "D1": ("", ""), "Dl": ("", ""), "Oo": ("[", ""),
    "Oc": ("", "]"),
    "Po": ("(", ""), "Pc": ("", ")"), "Do": ("“", ""), "Dc": ("", "”"), "Bo": ("[", ""), "Bc": ("", "]"),
}  # fmt: skip
_PLAIN: Final = frozenset(
    "Ar Cm Nm Pa Em Sy Li Ic Ev Va Fa Fn Ft Vt Dv Er Tn Ux Bx Nx Ox Fx Dx An Mt Lk In Cd Ad Ms No Sx St At Nd Ta Xc Xo "
    "Fo Fc Lb Rv Ex".split()
)
_CLOSING: Final = frozenset(".,:;)]?!")
_OPENING: Final = frozenset("([")


_STRINGS: Final = {"Aq": "'", "lq": "“", "rq": "”", "Tm": "™", "R": "®"}
"""The predefined strings of the macro packages, and `Aq`, which all generated pages define in the same way."""
_STRING: Final = re.compile(r"\\\*(?:\(|\[)?(Aq|lq|rq|Tm|R)(?:(?<=R)|\]|(?=.|$))")


def roff_text(text: str) -> str:
    """Remove or replace the roff escapes in `text`. Strings and registers that the page defines become empty.

    >>> roff_text(r"\\fB\\-v\\fR \\(em an\\ option")
    '-v — an option'
    """
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_glyph, _STRING.sub(lambda match: _STRINGS[match[1]], text))


def _glyph(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    if name is None:
        return _SINGLE.get(match[3] or "", "")
    if name in _GLYPHS:
        return _GLYPHS[name]
    if re.fullmatch(r"u[0-9A-F]{4,5}", name):
        return chr(int(name[1:], 16)) if not 0xD800 <= int(name[1:], 16) <= 0xDFFF else ""
    if len(name) == 2 and name[0] in _ACCENTS and name[1].isalpha():
        import unicodedata  # imported late because accented letters are rare

        return unicodedata.normalize("NFC", name[1] + _ACCENTS[name[0]])
    return ""


def inline_mdoc(words: Sequence[str]) -> str:
    """Convert a line of mdoc macros to text: `Op Fl v Ar file` becomes `[-v file]`."""
    shown: list[str] = []
    closing: list[str] = []
    glue = True  # whether the next word follows without a space
    position = 0

    def put(word: str, *, tight: bool = False) -> None:
        nonlocal glue
        if shown and not (glue or tight or word in _CLOSING):
            shown.append(" ")
        shown.append(word)
        glue = word in _OPENING

    while position < len(words):
        word = words[position]
        position += 1
        if word in _QUOTING:
            left, right = _QUOTING[word]
            if left:
                put(left)
                glue = True
            if (right and left) or word in {"D1", "Dl"}:
                closing.append(right)
            elif right:
                put(right, tight=True)
        elif word == "Fl":
            flag = words[position] if position < len(words) and words[position] not in _PLAIN | _QUOTING.keys() else ""
            position += bool(flag)
            put("-" + roff_text(flag))
        elif word == "Xr":
            page = [roff_text(each) for each in words[position : position + 2]]
            position += len(page)
            is_section = len(page) > 1 and page[1][:1].isdigit()
            put(f"{page[0]}({page[1]})" if is_section else " ".join(page))
        elif word in {"Ns", "Ap"}:
            glue = True
            if word == "Ap":
                put("'")
                glue = True
        elif word not in _PLAIN and (text := roff_text(word)):
            put(text)
    for right in reversed(closing):
        put(right, tight=True)
    return "".join(shown)
