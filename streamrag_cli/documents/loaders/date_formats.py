"""Converts serial numbers in spreadsheets to dates and times, with Excel's format codes."""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|\[\$-?(?P<locale>[^\]]*)\]|\[(?P<elapsed>h+|m+|s+)\]|(?P<bracket>\[[^\]]*\])'
    r"|_(?P<space>.)|\*(?P<fill>.)|(?P<half>AM/PM|A/P)|(?P<general>General)|(?P<fraction>(?<=s)\.0+)"
    r"|(?P<date>y+|m+|d+|h+|s+)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_LAST_SERIAL: Final = 2_958_466
_DAYS_TO_1904: Final = 1462
_FALSE_LEAP_DAY: Final = 60
"""The serial number of 29 February 1900, a day that did not exist. Earlier serial numbers are off by one day."""
_NAMES: Final = {
    0x07: (
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    ),
    0x09: (
        "January February March April May June July August September October November December",
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    ),
    0x0A: (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "lunes martes miércoles jueves viernes sábado domingo",
    ),
    0x0C: (
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
    ),
    0x10: (
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    ),
    0x13: (
        "januari februari maart april mei juni juli augustus september oktober november december",
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
    ),
    0x16: (
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
    ),
}
"""The names of the months and weekdays, by Windows' primary language number."""
_ENGLISH: Final = 0x09
_MICROSECONDS: Final = 1_000_000


def is_date_code(code: str) -> bool:
    """Whether a section of a format code contains a part of a date or time.

    >>> [is_date_code(code) for code in ("yyyy-mm-dd", "[h]:mm", '0" days"', "[Red]0.0", "General")]
    [True, True, False, False, False]
    """
    return any(kind in {"date", "elapsed"} for kind, _ in _tokens(code))


@lru_cache(maxsize=512)
def _tokens(code: str) -> tuple[tuple[str, str], ...]:
    """Return the tokens of a format code as pairs of kind and text. Minutes have the kind "minute"."""
    tokens: list[tuple[str, str]] = []
    is_after_hours = False
    for match in _TOKEN.finditer(code):
        kind, text = match.lastgroup or "", match[match.lastgroup or 0]
        if kind == "elapsed" or (kind == "date" and text[0] in "hHsS"):
            if text[0] in "sS":  # an `m` before seconds means minutes
                _make_minutes(tokens)
            is_after_hours = text[0] in "hH"
        elif kind == "date" and text[0] in "mM" and is_after_hours and len(text) < 3:
            kind, is_after_hours = "minute", False
        elif kind == "date":
            is_after_hours = False
        tokens.append((kind, text.casefold() if kind in {"date", "elapsed", "minute"} else text))
    return tuple(tokens)


def _make_minutes(tokens: list[tuple[str, str]]) -> None:
    for index in range(len(tokens) - 1, -1, -1):
        kind, text = tokens[index]
        if kind == "date" and text in {"m", "mm"}:
            tokens[index] = ("minute", text)
        if kind in {"date", "elapsed", "minute"}:
            return


def date_text(serial: float, code: str, *, is_1904: bool) -> str:
    """Return `serial` as a date or time in the format `code`; "" if the number is out of range.

    >>> date_text(45366.75, "d mmmm yyyy, h:mm AM/PM", is_1904=False)
    '15 March 2024, 6:00 PM'
    """
    tokens = _tokens(code)
    digits = max((len(text) - 1 for kind, text in tokens if kind == "fraction"), default=0)
    has_seconds = any(text[0] == "s" for kind, text in tokens if kind in {"date", "elapsed"})
    is_elapsed = any(kind == "elapsed" for kind, _ in tokens)
    if not (abs(serial) < _LAST_SERIAL) or (serial < 0 and not is_elapsed):
        return ""
    # Seconds are rounded to their last shown digit. Minutes and hours are cut.
    step = 10 ** max(0, 6 - digits) if has_seconds else _MICROSECONDS
    elapsed_us = round(abs(serial) * 86_400 * _MICROSECONDS / step) * step
    sign = "-" if serial < 0 else ""
    moment = _moment(elapsed_us, is_1904=is_1904)
    is_half = any(kind == "half" for kind, _ in tokens)
    language = _language(tokens)
    return sign + "".join(_part(kind, text, moment, elapsed_us, language, is_half=is_half) for kind, text in tokens)


def _moment(elapsed_us: int, *, is_1904: bool) -> datetime:
    days, rest = divmod(elapsed_us, 86_400 * _MICROSECONDS)
    if is_1904:
        days += _DAYS_TO_1904
    elif days < _FALSE_LEAP_DAY:
        days += 1
    days = min(days, _LAST_SERIAL - 1)
    return datetime(1899, 12, 30) + timedelta(days=days, microseconds=rest)  # noqa: DTZ001 - a sheet has no zones


def _language(tokens: tuple[tuple[str, str], ...]) -> int:
    for kind, text in tokens:
        if kind == "locale":
            try:
                number = int(text.rpartition("-")[2], 16) & 0x3FF
            except ValueError:
                continue
            return number if number in _NAMES else _ENGLISH
    return _ENGLISH


def _part(kind: str, text: str, moment: datetime, elapsed_us: int, language: int, *, is_half: bool) -> str:
    if kind == "date":
        return _date_part(text, moment, language, is_half=is_half)
    if kind == "minute":
        return f"{moment.minute:0{len(text)}}"
    if kind == "elapsed":
        unit = {"h": 3600, "m": 60, "s": 1}[text[0]]
        return f"{elapsed_us // (unit * _MICROSECONDS):0{min(len(text), 9)}}"
    if kind == "half":
        name = "PM" if moment.hour >= 12 else "AM"
        return name if len(text) > 3 else name[0]
    if kind == "fraction":
        return f".{moment.microsecond:06}"[: len(text)]
    if kind == "space":
        return " "
    return text if kind in {"quoted", "escaped", "other"} and text not in {"@", ";"} else ""


def _date_part(text: str, moment: datetime, language: int, *, is_half: bool) -> str:
    count = len(text)
    match text[0]:
        case "y":
            return f"{moment.year % 100:02}" if count < 3 else f"{moment.year:04}"
        case "m" if count > 2:
            return _name(_NAMES[language][0].split()[moment.month - 1], count, language)
        case "m":
            return f"{moment.month:0{count}}"
        case "d" if count > 2:
            return _name(_NAMES[language][1].split()[moment.weekday()], count, language)
        case "d":
            return f"{moment.day:0{count}}"
        case "h":
            return f"{(moment.hour - 1) % 12 + 1 if is_half else moment.hour:0{min(count, 2)}}"
        case _:
            return f"{moment.second:0{min(count, 2)}}"


def _name(name: str, count: int, language: int) -> str:
    if count == 5:
        return name[0]
    return name if count == 4 or count > 5 else name[: 2 if language == 0x07 and name.endswith("ag") else 3]
