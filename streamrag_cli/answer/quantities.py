"""Finds the numbers in a text, in digits and in English words, with their units, and compares them.

Every function takes time linear in the length of the text.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

from streamrag_cli.answer.number_words import (
    ALL,
    APPROXIMATE,
    BETWEEN,
    DECADES,
    DIGITS,
    EVERY,
    FRACTIONS,
    IMPLIED,
    LOWER_BOUND,
    MAGNITUDES,
    MONTHS,
    ORDINALS,
    ROMAN,
    TENS,
    UNITS,
    UPPER_BOUND,
)

_TOKEN: Final = re.compile(
    r"(?<![^\W_])[^\W\d_]*+\d[^\W_]*+(?:[.,'\u2019\u00a0\u202f:/](?=\d)[^\W_]++)*+"
    r"|[^\W\d_]++(?:['\u2019][^\W\d_]++)*+|[^\s\w]"
)
_PLAIN: Final = re.compile(r"(\d[\d.,'\u2019\u00a0\u202f]*)([^\W\d_]*)")
_GROUPED: Final = re.compile(r"\d{1,3}(?:([,.'\u2019\u00a0\u202f])\d{3})(?:\1\d{3})*([.,]\d+)?")
_SPLIT: Final = re.compile(r"[:/]")
_ISO_DATE: Final = re.compile(r"\d{4}-\d{1,2}(?:-\d{1,2})?(?!\d)")
_ABBREVIATED: Final = {"k": 1e3, "m": 1e6, "bn": 1e9, "b": 1e9, "tn": 1e12}
_MAX_NUMBERS: Final = 500
_MAX_OPERANDS: Final = 24
_CONSTANTS: Final = (2, 7, 12, 24, 52, 60, 100, 365, 1000)
_HEDGE_TOKENS: Final = 4


class Form(NamedTuple):
    """One reading of a number: its value, and the place value of its last digit (`step`), such as 0.1 for "2.5"."""

    value: float
    step: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number in a text.

    `forms` are its possible readings: "1.000" may be 1 or 1000. `unit` is a key of `UNITS`, "%" or "". `hedge` is its
    precision: "about", "over", "under" or "". `kind` is "ordinal", "decade", "fraction", "code" or ""; a code such as
    `v1.2.3` is compared literally. `noun` is the word after the number, and `before` the word before it.
    """

    forms: tuple[Form, ...]
    text: str
    start: int
    end: int
    unit: str = ""
    hedge: str = ""
    kind: str = ""
    noun: str = ""
    before: str = ""
    is_word: bool = False


class _Token(NamedTuple):
    text: str
    start: int
    end: int

    @property
    def is_number(self) -> bool:
        return any(map(str.isdigit, self.text))


_NOTHING: Final = _Token("", 0, 0)


def quantities(text: str) -> list[Quantity]:
    """The numbers in `text`, in order."""
    tokens = [_Token(match[0], *match.span()) for match in _TOKEN.finditer(text)]
    return [_with_context(each, tokens, first, last) for each, first, last in _parsed(tokens)]


def _parsed(tokens: Sequence[_Token]) -> Iterator[tuple[Quantity, int, int]]:
    """Each number, with the index of its first token and the index of the token after it."""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.is_number:
            for quantity in _from_digits(token):
                yield quantity, at, at + 1
            at += 1
            continue
        end = _end_of_words(tokens, at)
        if end > at:
            words = [each.text.lower() for each in tokens[at:end] if each.text not in "-\u2010\u2011"]
            spelled = " ".join(words)
            start, stop = token.start, tokens[end - 1].end
            forms = tuple(Form(value) for value in _values_of(words))
            kind = "ordinal" if words[-1] in ORDINALS else "fraction" if words[-1] in FRACTIONS else ""
            kind = "decade" if words[-1] in DECADES else kind
            yield Quantity(forms=forms, text=spelled, start=start, end=stop, kind=kind, is_word=True), at, end
        at = max(end, at + 1)


def _end_of_words(tokens: Sequence[_Token], at: int) -> int:
    """The index after the number words that begin at `at`; `at` if there are none."""
    end = at
    while end < len(tokens):
        word = tokens[end].text.lower()
        if word in _NUMBER_WORDS:
            end += 1
            if word in ORDINALS or word in DECADES or word in FRACTIONS:
                break
            continue
        is_inside = end > at and end + 1 < len(tokens) and tokens[end + 1].text.lower() in _NUMBER_WORDS
        if is_inside and (
            (word in "-\u2010\u2011" and tokens[end].start == tokens[end - 1].end)
            or (word == "and" and tokens[end - 1].text.lower() in MAGNITUDES)
        ):
            end += 1
            continue
        break
    return end


_NUMBER_WORDS: Final = frozenset((*DIGITS, *TENS, *MAGNITUDES, *ORDINALS, *DECADES, *FRACTIONS))


def _values_of(words: Sequence[str]) -> list[float]:
    """The values that number words may stand for.

    >>> _values_of(["two", "hundred", "and", "five"]), _values_of(["nineteen", "eighty", "four"])
    ([205.0], [103.0, 1984.0])
    """
    total = current = 0.0
    small: list[float] = []
    for word in words:
        if word in FRACTIONS:
            value = FRACTIONS[word]
            return [(total + current) * value if total + current else value, value]
        if word in MAGNITUDES:
            scale = MAGNITUDES[word]
            if scale == 100:
                current = (current or 1.0) * scale
            else:
                total, current = total + (current or 1.0) * scale, 0.0
            continue
        value = DIGITS.get(word, TENS.get(word, ORDINALS.get(word, DECADES.get(word, 0.0))))
        current += value
        if word != "and":
            small.append(value)
    values = [total + current]
    if len(small) in {2, 3} and not MAGNITUDES.keys() & set(words) and 10 <= small[0] <= 20 and small[1] >= 10:
        values.append(small[0] * 100 + sum(small[1:]))  # a year, read as two numbers
    return values


def _from_digits(token: _Token) -> Iterator[Quantity]:
    """The numbers of a token with digits: one, or the parts of a time or date such as 14:30 or 5/11/2019."""
    parts = _SPLIT.split(token.text)
    start = token.start
    for part in parts:
        end = start + len(part)
        match = _PLAIN.fullmatch(part)
        forms = _forms(match[1].rstrip(".,'\u2019")) if match else ()
        suffix = match[2].lower() if match else ""
        if not forms:
            yield Quantity(forms=(), text=part, start=start, end=end, kind="code")
        elif suffix in {"st", "nd", "rd", "th"}:
            yield Quantity(forms=forms, text=part, start=start, end=end, kind="ordinal")
        elif suffix == "s" and forms[0].value % 10 == 0 and forms[0].value >= 10:
            yield Quantity(forms=forms, text=part, start=start, end=end, kind="decade")
        elif suffix in _ABBREVIATED and suffix not in UNITS:
            yield Quantity(forms=_scaled(forms, _ABBREVIATED[suffix]), text=part, start=start, end=end)
        else:
            known = suffix if suffix in UNITS else ""
            yield Quantity(forms=forms, text=part, start=start, end=end, unit=known)
        start = end + 1


def _forms(digits: str) -> tuple[Form, ...]:
    """The readings of digits with separators; none if they are not one number, such as 1.2.3.

    >>> [form.value for form in _forms("1,283.5")], [form.value for form in _forms("1.000")], _forms("1.2.3")
    ([1283.5], [1.0, 1000.0], ())
    """
    if len(digits) > 30:
        return ()
    if digits.isdecimal():
        return (Form(float(digits)),)
    forms: list[Form] = []
    head, mark, tail = digits.partition("." if "." in digits else ",")
    if mark and head.isdecimal() and tail.isdecimal() and not (mark == "," and len(tail) == 3):
        forms.append(Form(float(f"{head}.{tail}"), 10.0 ** -len(tail)))
    if grouped := _GROUPED.fullmatch(digits):
        fraction = grouped[2] or ""
        whole = re.sub(r"\D", "", digits.removesuffix(fraction) if fraction else digits)
        forms.append(Form(float(f"{whole}.{fraction[1:] or 0}"), 10.0 ** -max(0, len(fraction) - 1)))
    return tuple(forms)


def _scaled(forms: Sequence[Form], scale: float) -> tuple[Form, ...]:
    return tuple(Form(form.value * scale, form.step * scale) for form in forms)


def _with_context(quantity: Quantity, tokens: Sequence[_Token], first: int, after: int) -> Quantity:
    """The quantity with its scale ("million"), unit, hedge and noun."""
    at = after
    unit, forms, end = quantity.unit, quantity.forms, quantity.end
    if at < len(tokens) and not quantity.is_word and forms and (scale := MAGNITUDES.get(tokens[at].text.lower())):
        forms, end, at = _scaled(forms, scale), tokens[at].end, at + 1
    if at < len(tokens) and tokens[at].text in "-\u2010\u2011" and tokens[at].start == end:
        at += 1
    word, following = (each.text.lower() for each in (*tokens[at : at + 2], _NOTHING, _NOTHING)[:2])
    before, earlier = (each.text.lower() for each in (*tokens[max(0, first - 2) : first][::-1], _NOTHING, _NOTHING)[:2])
    if word in {"%", "percent", "percentage"} or (word, following) == ("per", "cent"):
        unit = "%"
    elif not unit:
        is_named_before = before in {"=", ":"} and earlier in UNITS  # flush_ms = 250
        unit = word if word in UNITS else following if word in BETWEEN and following in UNITS else ""
        unit = unit or (earlier if is_named_before else "")
    noun = word if word.isalpha() else ""
    if noun and following.endswith("s") and not noun.endswith("s"):
        noun = following  # "three main kinds"
    hedge = _hedge(tokens[max(0, first - _HEDGE_TOKENS) : first])
    return replace(quantity, forms=forms, unit=unit, hedge=hedge, noun=noun, before=before)


def _hedge(tokens: Sequence[_Token]) -> str:
    """The precision of a number according to the words before it: "about", "over", "under" or ""."""
    hedge = ""
    for token in tokens:
        word = token.text.lower()
        if word in {".", ";", "!", "?"}:
            hedge = ""
        elif word in APPROXIMATE:
            hedge = "about"
        elif word in LOWER_BOUND:
            hedge = "over"
        elif word in UPPER_BOUND:
            hedge = "under"
    return hedge


class KnownQuantities:
    """The numbers in a passage, used to check the numbers in an answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._quantities = quantities(text)[:_MAX_NUMBERS]
        self.values: set[float] = set()
        self.codes = {part.lower() for each in self._quantities if not each.forms for part in (each.text,)}
        for each in self._quantities:
            self.values.update(_key(form.value) for form in each.forms)
            if each.kind == "decade" and each.is_word:
                self.values.update(_key(1900 + form.value) for form in each.forms)
        self._add_implied()

    def _add_implied(self) -> None:
        lowered = re.findall(r"[^\W_]+", self.text.lower())
        for word in set(lowered):
            if word in IMPLIED:
                self.values.update(IMPLIED[word])
        for word in set(re.findall(r"\b[IVXL]{1,6}\b", self.text)):
            if word in ROMAN:
                self.values.add(float(ROMAN[word]))
        for first, second in pairwise(self._quantities):
            gap = self.text[first.end : second.start]
            if gap.strip() in {"-", "\u2013", "/"} and first.forms and second.forms and len(second.text) == 2:
                self.values.add(first.forms[0].value // 100 * 100 + second.forms[0].value)  # 1939-45
        for match in _ISO_DATE.finditer(self.text):
            self.values.update(float(part) for part in match[0].split("-"))
        for each in self._quantities:
            hour = each.forms[0].value if each.forms else 99.0
            is_time = self.text[each.end : each.end + 1] == ":" or self.text[each.end : each.end + 5].lower().strip(
                " ."
            ).startswith(("am", "pm", "a.m", "p.m"))
            if is_time and hour <= 23:
                self.values.add((hour + 12) % 24)

    @cached_property
    def _words(self) -> set[str]:
        return set(re.findall(r"[^\W\d_]+", self.text.lower()))

    @cached_property
    def months(self) -> set[int]:
        """The numbers of the months that the passage may refer to, by name or in dates such as 2019-11-05."""
        named = {MONTHS[word] for word in re.findall(r"[^\W\d_]+", self.text.lower()) if word in MONTHS}
        is_date = re.compile(r"\d[-/.]\d{1,2}[-/.]\d")
        if is_date.search(self.text):
            named |= {int(form.value) for each in self._quantities for form in each.forms if 1 <= form.value <= 12}
            named |= {int(part) for match in _ISO_DATE.finditer(self.text) for part in match[0].split("-")[1:]}
        return named

    def contains(self, quantity: Quantity) -> bool:
        """Whether the passage contains the number: literally, in another form or unit, or rounded."""
        if not quantity.forms:
            return quantity.text.lower() in self.codes or quantity.text.lower() in self.text.lower()
        if any(_key(form.value) in self.values for form in quantity.forms):
            return True
        return any(self._has_form(quantity, form) for form in quantity.forms)

    def _has_form(self, quantity: Quantity, form: Form) -> bool:
        value = form.value
        if quantity.unit == "%" and _key(value / 100) in self.values:
            return True
        if quantity.unit == "%" and value == 100:
            return not ALL.isdisjoint(self._words)
        if quantity.kind == "fraction" and _key(value * 100) in self.values:
            return True
        if quantity.kind == "decade":
            return any(value <= (each % 100 if value < 100 else each) < value + 10 for each in self.values)
        if quantity.kind == "ordinal" and quantity.noun.startswith("centur"):
            return any((value - 1) * 100 <= each <= value * 100 for each in self.values)
        own = UNITS.get(quantity.unit)
        for known in self._quantities:
            other = UNITS.get(known.unit)
            for each in known.forms:
                if _is_rounded(quantity, form, each.value):
                    return True
                if own and other and own.dimension == other.dimension and own.factor != other.factor:
                    converted = each.value * other.factor / own.factor
                    slack = 0.08 if own.dimension == "bytes" else 0.025
                    if _is_rounded(quantity, form, converted) or abs(converted - value) <= slack * value:
                        return True
        if own and own.dimension == "time":
            return any(_is_rounded(quantity, form, EVERY[word] / own.factor) for word in self._words & EVERY.keys())
        return False

    def counted(self, noun: str) -> set[float]:
        """The numbers directly before `noun`, a word in lower case without its plural ending."""
        return {form.value for each in self._quantities for form in each.forms if singular(each.noun) == noun}

    @cached_property
    def _distinct(self) -> list[float]:
        return sorted({form.value for each in self._quantities for form in each.forms})[:_MAX_OPERANDS]

    @cached_property
    def _results(self) -> list[float]:
        return sorted(_results(self._distinct, with_constants=True))

    def has_share(self, quantity: Quantity, share: float) -> bool:
        """Whether the number is `share` times a number in the passage."""
        return _is_among(quantity, sorted(share * value for value in self._distinct))

    def can_be_computed(self, quantity: Quantity) -> bool:
        """Whether the number is the total of the passage's numbers, or the result of arithmetic on two of them."""
        return _is_among(quantity, self._results)


def is_computed(quantity: Quantity, operands: Sequence[Quantity]) -> bool:
    """Whether the number is a sum, difference, product or ratio of two of the operands."""
    values = [form.value for each in operands for form in each.forms[:1]][:_MAX_OPERANDS]
    return _is_among(quantity, sorted(_results(values, with_constants=False)))


def _is_among(quantity: Quantity, ordered: Sequence[float]) -> bool:
    """Whether the number equals one of the values in `ordered`, possibly after rounding."""
    for form in quantity.forms:
        slack = max(0.5 * form.step, 0.34 * form.value if quantity.hedge else 0.0)
        at = bisect_left(ordered, form.value - slack)
        while at < len(ordered) and ordered[at] <= form.value + slack:
            if _is_rounded(quantity, form, ordered[at]):
                return True
            at += 1
    return False


def _results(values: Sequence[float], *, with_constants: bool) -> Iterator[float]:
    yield sum(values)
    for first in values:
        for second in values:
            yield first + second
            yield first - second
            yield first * second
            if second:
                yield first / second
                yield 100 * first / second
        if with_constants:
            for constant in _CONSTANTS:
                yield first * constant
                yield first / constant


def singular(noun: str) -> str:
    return noun[:-3] + "y" if noun.endswith("ies") else noun.removesuffix("s")


def _key(value: float) -> float:
    return float(f"{value:.9g}")


def _is_rounded(quantity: Quantity, form: Form, exact: float) -> bool:
    """Whether the number equals `exact` rounded to as many digits, or is close to `exact` if it has a hedge."""
    value, step = form
    if abs(value - exact) <= 0.5 * step * (1 + 1e-9) and (step != 1.0 or exact != int(exact) or value == exact):
        return True
    if not quantity.hedge or exact <= 0 or _significant_digits(value) > 2:
        return False
    ratio = value / exact
    match quantity.hedge:
        case "about":
            return 0.9 <= ratio <= 1.1
        case "over":
            return 0.75 <= ratio <= 1
        case _:
            return 1 <= ratio <= 1.25


def _significant_digits(value: float) -> int:
    """How many digits a number has without leading and trailing zeros.

    >>> _significant_digits(1200), _significant_digits(1066), _significant_digits(0.5)
    (2, 4, 1)
    """
    return len(f"{value:.9g}".replace(".", "").partition("e")[0].strip("0")) or 1
