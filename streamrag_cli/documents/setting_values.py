"""Distinguishes passwords from numbers and rules about passwords, such as `1200`, `90 days` and `required`."""

import re
from typing import Final

_NUMBER: Final = (
    r"[<>≤≥~≈±=+]*\s?[-+]?\d{1,3}(?:[ ,.'_\u00a0\u202f]\d{3})*(?:[.,]\d+)?|[-+]?\d+\.\d+|[<>≤≥~≈±=+]+\s?\d+"
)
_UNIT: Final = (
    r"%|‰|[kmb]n?|million(?:en|s)?|billions?|thousand|mio\.?|mrd\.?|ms|s|sec(?:ond)?s?|m(?:in(?:ute)?s?)?|h(?:ours?|rs?)?|d(?:ays?)?"
    r"|w(?:eeks?)?|months?|y(?:ears?|rs?)?|tag(?:e|en)?|wochen?|monate?n?|jahre?n?|jours?|mois|ans|chars?|characters?|zeichen"
    r"|bits?|bytes?|[kmg]i?b|times|attempts|tries|users?|accounts|passwords|tokens|words|points"
)
_QUANTITY: Final = re.compile(
    rf"(?:{_NUMBER})(?:\s*(?:-|–|to|\.\.)\s*(?:{_NUMBER}))?\s?(?:{_UNIT})?|\d+\s?(?:{_UNIT})|\d+\s*(?:-|–|to|\.\.)\s*\d+"
    r"(?:\s?(?:bits?|characters?|chars?|days?))?",
    re.IGNORECASE,
)
_INTEGER: Final = re.compile(r"0|[1-9][0-9]*")
MAX_DIGITS: Final = 5
_RULES: Final = frozenset(
    "required optional mandatory recommended forbidden prohibited allowed disallowed permitted denied enabled disabled"
    " enforced supported unsupported present absent missing never always daily weekly monthly quarterly yearly annually"
    " yes no true false on off none null nil n/a na unknown unset empty blank default any all some both"
    " hashed salted encrypted plaintext plain cleartext clear masked hidden redacted exposed leaked breached stolen"
    " cracked rotated expired reset changed unchanged active inactive revoked valid invalid"
    " strong weak medium fair good poor high low critical strict moderate basic"
    " bcrypt scrypt argon2 argon2i argon2d argon2id pbkdf2 md5 md4 sha1 sha-1 sha256 sha-256 sha512 sha-512 ntlm des"
    " string str text varchar char integer int number boolean bool bytes object array"
    " ja nein oui non sí pflicht erforderlich freiwillig obligatoire requis facultatif".split()
)
_RULE: Final = re.compile(r"[\w/-]+(?:(?:[ ,;+/]|, )+[\w/-]+){0,3}")
_TYPE: Final = re.compile(r"(?:var)?(?:char|binary)\s?\(\d+\)", re.IGNORECASE)


def is_number_or_rule(value: str, *, is_plural: bool = False, max_digits: int = MAX_DIGITS) -> bool:
    """Whether the value counts, measures or describes passwords, but is not a password.

    A plain number of more than `max_digits` digits may be a password, unless its column has a plural name
    (`is_plural`).

    >>> [is_number_or_rule(value) for value in ("1200", "1,200,000", "90 days", "12.5%", "required", "salted sha-1")]
    [True, True, True, True, True, True]
    >>> [is_number_or_rule(value) for value in ("48213377", "0042", "hunter2", "correct horse battery staple")]
    [False, False, False, False]
    """
    value = value.strip().rstrip(".")[:60]
    if _INTEGER.fullmatch(value):
        return is_plural or len(value) <= max_digits
    if value.isdecimal():  # has leading zeros
        return False
    if _QUANTITY.fullmatch(value) or _TYPE.fullmatch(value):
        return True
    if not _RULE.fullmatch(value):
        return False
    return all(word in _RULES for word in re.split(r"[ ,;+/]+", value.casefold())) or value.casefold() in _RULES
