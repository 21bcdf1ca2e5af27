"""Formats numbers as a spreadsheet shows them: 0.19 with the format code `0%` becomes "19%".

The format codes are those of Excel. Decimal and thousands separators are English, because the file does not define
them. Dates in the system's date format, which the file does not define either, become ISO dates.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from itertools import takewhile
from typing import Final

from streamrag_cli.documents.loaders.date_formats import date_text, is_date_code

GENERAL: Final = "General"
BUILT_IN: Final = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "$#,##0_);($#,##0)", 6: "$#,##0_);[Red]($#,##0)",
    7: "$#,##0.00_);($#,##0.00)", 8: "$#,##0.00_);[Red]($#,##0.00)", 9: "0%", 10: "0.00%", 11: "0.00E+00",
    12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0_);(#,##0)",
    38: "#,##0_);[Red](#,##0)", 39: "#,##0.00_);(#,##0.00)", 40: "#,##0.00_);[Red](#,##0.00)", 41: "#,##0_);(#,##0)",
    42: "$#,##0_);($#,##0)", 43: "#,##0.00_);(#,##0.00)", 44: "$#,##0.00_);($#,##0.00)", 45: "mm:ss",
    46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    **dict.fromkeys((*range(27, 32), 36, *range(50, 55), 57, 58), "yyyy-mm-dd"),
    **dict.fromkeys((32, 33, 34, 35, 55, 56), "h:mm:ss"),
}  # fmt: skip
"""The format codes for predefined format numbers. Every other number that a file does not define means General."""

_CODE_CHARS: Final = 400
_MAX_DIGITS: Final = 400
_SECTION: Final = re.compile(r'((?:"[^"]*"?|\\.|\[[^\]]*\]|[_*].|[^;"\\\[_*]|[\\\[_*])*)(;|\Z)', re.DOTALL)
_CONDITION: Final = re.compile(r"\[(<=|>=|<>|<|>|=)\s*(-?[\d.]+)\]")
_SIMPLE: Final = re.compile(r"(\0*)(?:(#,##)0|0)(?:\.(0+))?(%?)(\0*)")
_NUDGE: Final = 1 + 2**-51
"""The factor that makes 2.675, which is slightly less as a binary number, round to 2.68 as in spreadsheets."""
_MAX_SIMPLE: Final = 1e15
_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|(?P<bracket>\[[^\]]*\])|_(?P<space>.)'
    r"|\*(?P<fill>.)|(?P<exponent>[Ee][+-])|(?P<general>General)|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Section:
    """A section of a format code, which has at most four sections.

    Each of the `tokens` is a kind ("digit", "mark", "exponent", "general" or "literal") and a string.
    """

    condition: tuple[str, float] | None
    code: str
    is_date: bool
    is_general: bool
    tokens: tuple[tuple[str, str], ...]
    simple: tuple[str, str, bool, str] | None = None
    """The text before the number, the number's format in Python, whether it is a percentage, and the text after it."""


def shown_number(value: float, code: str, *, is_1904: bool = False) -> str:
    """Return `value` in the format `code`. If the code is invalid or not supported, the number is unformatted.

    >>> [shown_number(1234.5, code) for code in ("General", "#,##0.00", '0.0" kg"', "yyyy-mm-dd")]
    ['1234.5', '1,234.50', '1234.5 kg', '1903-05-18']
    """
    if code == GENERAL or len(code) > _CODE_CHARS:
        return plain_number(value)
    sections = _sections(code)
    section, is_absolute = _choose(sections, value)
    if section is None:
        return plain_number(value)
    if section.is_date:
        return date_text(value, section.code, is_1904=is_1904) or plain_number(value)
    if section.is_general and not section.tokens:
        return plain_number(abs(value) if is_absolute else value)
    try:
        number = abs(value) if is_absolute else value
        return _simple_text(number, section.simple) if section.simple else _number_text(number, section)
    except (InvalidOperation, OverflowError, ValueError, IndexError):
        return plain_number(value)


def shown_text(text: str, code: str) -> str:
    """Return a text in the format `code`. Only its section for texts applies, for example `@" Ltd"`."""
    if "@" not in code or code == "@" or len(code) > _CODE_CHARS:
        return text
    section = _sections(code)[-1]
    return "".join(text if token == ("literal", "@") else token[1] for token in section.tokens if token[0] == "literal")


def plain_number(value: float) -> str:
    """Return a number in General format, with at most 15 significant digits.

    >>> [plain_number(each) for each in (3.0, 0.1 + 0.2, 4006381333931.0, 1e21, 1e-7)]
    ['3', '0.3', '4006381333931', '1E+21', '0.0000001']
    """
    try:
        number = Decimal(f"{value:.15g}")
    except (InvalidOperation, ValueError):
        return str(value)
    if not number.is_finite():
        return str(value)
    if not number or -10 <= number.adjusted() <= 19:
        text = f"{number:f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text) if number else "0"
    return f"{number.normalize():E}"


@lru_cache(maxsize=512)
def _sections(code: str) -> tuple[_Section, ...]:
    parts: list[str] = []
    for match in _SECTION.finditer(code):
        parts.append(match[1])
        if not match[2]:
            break
    return tuple(_parsed(part) for part in parts[:4])


def _parsed(code: str) -> _Section:
    condition = _CONDITION.search(code)
    if is_date_code(code):
        return _Section(_operands(condition), code, is_date=True, is_general=False, tokens=())
    tokens: list[tuple[str, str]] = []
    is_general = False
    for match in _TOKEN.finditer(code):
        kind, text = match.lastgroup or "", match[match.lastgroup or 0]
        if kind in {"quoted", "escaped", "currency"}:
            tokens += (("literal", character) for character in text)
        elif kind == "space":
            tokens.append(("literal", " "))
        elif kind == "exponent":
            tokens.append(("exponent", text[1]))
        elif kind == "general":
            is_general = True
            tokens.append(("general", ""))
        elif kind == "other":
            tokens.append(("digit" if text in "0#?" else "mark" if text in ".,%/" else "literal", text))
    if tokens == [("general", "")]:
        tokens = []
    return _Section(
        _operands(condition), code, is_date=False, is_general=is_general, tokens=tuple(tokens), simple=_simple(tokens)
    )


def _simple(tokens: list[tuple[str, str]]) -> tuple[str, str, bool, str] | None:
    """Return the value for `_Section.simple` if the code has a common form such as `#,##0.00`.

    Python then formats the number much faster than `_decimal`.
    """
    marks = "".join(text if kind in {"digit", "mark"} else "\0" if kind == "literal" else "?" for kind, text in tokens)
    match = _SIMPLE.fullmatch(marks)
    if not match:
        return None
    before, after = ("".join(text for _, text in part) for part in (tokens[: match.end(1)], tokens[match.start(5) :]))
    return before, f"{',' if match[2] else ''}.{len(match[3] or '')}f", bool(match[4]), after


def _simple_text(value: float, simple: tuple[str, str, bool, str]) -> str:
    before, form, is_percentage, after = simple
    number = value * (100 * _NUDGE if is_percentage else _NUDGE)
    if not abs(number) < _MAX_SIMPLE:
        raise OverflowError
    text = format(abs(number), form)
    sign = "-" if number < 0 and text.strip("0.,") else ""
    return f"{sign}{before}{text}{'%' if is_percentage else ''}{after}"


def _operands(match: "re.Match[str] | None") -> tuple[str, float] | None:
    try:
        return (match[1], float(match[2])) if match else None
    except ValueError:
        return None


def _choose(sections: tuple[_Section, ...], value: float) -> tuple[_Section | None, bool]:
    """Return the section for a number, and whether it applies to the absolute value, as for negative numbers."""
    numeric = sections[:3] if len(sections) == 4 or "@" not in sections[-1].code else sections[:-1]
    if not numeric:
        return None, False
    if any(section.condition for section in numeric):
        for section in numeric:
            if section.condition is None or _holds(section.condition, value):
                return section, section.condition is not None and section.condition[0] in {"<", "<="} and value < 0
        return None, False
    if len(numeric) == 1 or value > 0 or (value == 0 and len(numeric) < 3):
        return numeric[0], False
    return (numeric[1], True) if value < 0 else (numeric[2], False)


def _holds(condition: tuple[str, float], value: float) -> bool:
    sign, operand = condition
    return {
        "<": value < operand, "<=": value <= operand, ">": value > operand, ">=": value >= operand,
        "=": value == operand, "<>": value != operand,
    }[sign]  # fmt: skip


def _number_text(value: float, section: _Section) -> str:
    tokens = section.tokens
    if section.is_general:
        return "".join(plain_number(value) if kind == "general" else text for kind, text in tokens)
    if not any(kind == "digit" for kind, _ in tokens):
        return "".join(text for kind, text in tokens if kind == "literal" or text == "%")
    number = Decimal(f"{value:.15g}")
    number = number.scaleb(2 * sum(token == ("mark", "%") for token in tokens))
    if any(kind == "exponent" for kind, _ in tokens):
        return _scientific(number, tokens)
    if ("mark", "/") in tokens and ("mark", ".") not in tokens:
        return _fraction(number, tokens)
    return _decimal(number, tokens)


def _decimal(number: Decimal, tokens: tuple[tuple[str, str], ...]) -> str:
    """Format a number by writing its digits into the placeholders of `tokens`."""
    point = next((at for at, token in enumerate(tokens) if token == ("mark", ".")), len(tokens))
    places = [at for at, (kind, _) in enumerate(tokens) if kind == "digit"]
    before, after = [at for at in places if at < point], [at for at in places if at > point]
    scale = sum(_commas_after(tokens, part[-1]) for part in (before, after) if part)
    is_grouped = bool(before) and ("mark", ",") in tokens[before[0] : before[-1]]
    rounded = number.scaleb(-3 * scale).quantize(Decimal(1).scaleb(-len(after)), ROUND_HALF_UP)
    whole, _, decimals = f"{abs(rounded):f}".partition(".")
    whole = "" if whole.strip("0") == "" else whole.lstrip("0")
    if len(whole) > _MAX_DIGITS:
        raise OverflowError
    shown = dict(zip(before, _placed(whole, [tokens[at][1] for at in before], is_grouped=is_grouped), strict=True))
    shown |= zip(after, _decimals(decimals, [tokens[at][1] for at in after]), strict=True)
    written: list[str] = []
    for at, (kind, text) in enumerate(tokens):
        if kind == "digit":
            written.append(shown[at])
        elif kind == "literal" or text == "%" or (text == "/" and kind == "mark"):
            written.append(text)
        elif text == "." and at == point:
            written.append((whole if not before else "") + ".")
    sign = "-" if rounded < 0 else ""
    text = sign + "".join(written)
    return text.removesuffix(".") if not after else text


def _commas_after(tokens: tuple[tuple[str, str], ...], at: int) -> int:
    """Return the number of commas after the placeholder at `at`. Each one divides the number by a thousand."""
    return sum(1 for _ in takewhile(lambda token: token == ("mark", ","), tokens[at + 1 :]))


def _placed(digits: str, placeholders: list[str], *, is_grouped: bool) -> list[str]:
    """Return the digits for each placeholder. The first placeholder gets all remaining digits."""
    shown: list[str] = []
    count = 0
    for index in range(len(placeholders) - 1, -1, -1):
        pieces = [digits[-1:] or {"0": "0", "?": " "}.get(placeholders[index], "")]
        digits = digits[:-1]
        if not index:
            pieces += reversed(digits)
        grouped = ""
        for piece in pieces:
            if is_grouped and count and count % 3 == 0 and piece.isdigit():
                grouped = "," + grouped
            grouped = piece + grouped
            count += 1
        shown.insert(0, grouped)
    return shown


def _decimals(digits: str, placeholders: list[str]) -> list[str]:
    shown = list(digits)
    for index in range(len(placeholders) - 1, -1, -1):
        if placeholders[index] == "0" or shown[index] != "0":
            break
        shown[index] = " " if placeholders[index] == "?" else ""
    return shown


def _scientific(number: Decimal, tokens: tuple[tuple[str, str], ...]) -> str:
    at = next(index for index, (kind, _) in enumerate(tokens) if kind == "exponent")
    mantissa, power = tokens[:at], tokens[at + 1 :]
    point = next((index for index, token in enumerate(mantissa) if token == ("mark", ".")), len(mantissa))
    step = max(1, sum(kind == "digit" for kind, _ in mantissa[:point]))
    exponent = number.adjusted() if number else 0
    exponent -= exponent % step if step > 1 else 0
    digits = sum(kind == "digit" and text == "0" for kind, text in power)
    sign = "-" if exponent < 0 else "+" if tokens[at][1] == "+" else ""
    rest = "".join(text for kind, text in power if kind == "literal")
    return f"{_decimal(number.scaleb(-exponent), mantissa)}E{sign}{abs(exponent):0{max(1, digits)}}{rest}"


def _fraction(number: Decimal, tokens: tuple[tuple[str, str], ...]) -> str:
    slash = tokens.index(("mark", "/"))
    fixed = "".join(text for _, text in tokens[slash + 1 :]).strip()
    has_whole = any(
        kind == "digit" and any(mark == " " for _, mark in tokens[at + 1 : slash])
        for at, (kind, _) in enumerate(tokens[:slash])
    )
    whole = int(abs(number)) if has_whole else 0
    part = Fraction(abs(number)) - whole
    if fixed.isdigit() and fixed.strip("0"):
        top, bottom = round(part * int(fixed)), int(fixed)
    else:
        closest = part.limit_denominator(
            10 ** min(4, max(1, sum(text in "?#0" for _, text in tokens[slash + 1 :]))) - 1
        )
        top, bottom = closest.numerator, closest.denominator
    if has_whole and top == bottom:
        whole, top = whole + 1, 0
    sign = "-" if number < 0 else ""
    if not top:
        return f"{sign}{whole}"
    return f"{sign}{whole} {top}/{bottom}" if whole else f"{sign}{top}/{bottom}"
