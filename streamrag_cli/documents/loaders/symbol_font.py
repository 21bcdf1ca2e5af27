"""Converts characters in Microsoft's font Symbol, which have code points of their own, to Unicode.

Only letters, digits, punctuation and mathematical symbols are converted. Other characters are pieces of brackets.
"""

from typing import Final

_CHARACTERS: Final = {
    0x20: " !∀#∃%&∍()∗+,−./0123456789:;<=>?≅",
    0x41: "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_",
    0x61: "αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",
    0xA0: "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…",
    0xC0: "ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑",
}
_BY_CODE: Final = {start + at: text for start, row in _CHARACTERS.items() for at, text in enumerate(row)}
_PRIVATE_USE: Final = 0xF000


def symbol(code: int) -> str:
    """Return the Unicode character for a code point in the font, or "" if it has none.

    >>> symbol(0x6D), symbol(0xF0B1)
    ('μ', '±')
    """
    return _BY_CODE.get(code - _PRIVATE_USE if code >= _PRIVATE_USE else code, "")
