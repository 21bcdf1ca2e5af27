"""Parses a server's keys from one environment variable and rejects weak keys."""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

MIN_KEY_CHARS: Final = 16
MAX_KEY_CHARS: Final = 512
_NAME: Final = r"[A-Za-z][A-Za-z0-9._-]{0,31}"
_SMALLEST_ALPHABET: Final = 6
_MAX_REPEATED_SHARE: Final = 0.4
_MAX_SEQUENCE_SHARE: Final = 0.9
_LONG_KEY_CHARS: Final = 32
_GUESSED_WORDS: Final = (
    *("password", "passwort", "qwerty", "qwertz", "azerty", "administrator", "changeme", "letmein", "welcome"),
    *("yoursecret", "yourkey", "secretkey", "correcthorse", "streamrag"),
)
_ADVICE: Final = "generate a key: openssl rand -hex 32"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """One key. Logs and rate limits identify its client by `name`, which two keys may share during a rotation."""

    name: str
    key: str = field(repr=False)


def split_keys(raw: str) -> tuple[ServerKey, ...]:
    """Parse the keys in `raw`: `KEY` or `NAME:KEY`, separated by commas or line breaks. Unnamed keys are called `key1`,
    `key2` and so on.

    >>> [each.name for each in split_keys("ci:0a1b2c3d4e5f6071, 8293a4b5c6d7e8f9")]
    ['ci', 'key2']
    """
    entries = [each for part in re.split(r"[,\r\n]", raw) if (each := part.strip())]
    return tuple(_entry(entry, number) for number, entry in enumerate(entries, start=1))


def check_keys(raw: str) -> str:
    """Return `raw` if every key is strong enough. Raises ValueError, whose message never contains a key."""
    keys = split_keys(raw)
    if not keys:
        raise ValueError("contains no key")
    for number, each in enumerate(keys, start=1):
        if problem := weakness(each.key):
            raise ValueError(problem if len(keys) == 1 else f"entry {number} {problem}")
    return raw


def weakness(key: str) -> str:
    """Return the reason why a key is weak, as the end of a sentence; "" if the key is strong enough.

    >>> weakness("passwordpassword")
    'repeats itself; generate a key: openssl rand -hex 32'
    """
    # A header can only contain printable ASCII.
    if not re.fullmatch(rf"[!-~]{{{MIN_KEY_CHARS},{MAX_KEY_CHARS}}}", key):
        return f"must be {MIN_KEY_CHARS} to {MAX_KEY_CHARS} letters, digits or symbols, without spaces; {_ADVICE}"
    if len(set(key)) < _SMALLEST_ALPHABET or _longest_repeat(key) > _MAX_REPEATED_SHARE * len(key):
        return f"repeats itself; {_ADVICE}"
    if len(key) < _LONG_KEY_CHARS and any(word in re.sub(r"[^a-z]", "", key.lower()) for word in _GUESSED_WORDS):
        return f"contains a word that is easy to guess; {_ADVICE}"
    steps = [ord(after) - ord(before) for before, after in pairwise(key)]
    if max(map(steps.count, (-1, 0, 1))) >= _MAX_SEQUENCE_SHARE * len(steps):
        return f"is a run of consecutive characters; {_ADVICE}"
    return ""


def _longest_repeat(key: str) -> int:
    """Return the length of the longest substring that occurs twice in `key` without overlap."""
    folded = key.lower()
    length = len(folded) // 2
    while length and not any(
        folded.find(folded[at : at + length], at + length) >= 0 for at in range(len(folded) - 2 * length + 1)
    ):
        length -= 1
    return length


def _entry(entry: str, number: int) -> ServerKey:
    named = re.fullmatch(rf"({_NAME}):(.*)", entry)
    return ServerKey(name=named[1], key=named[2]) if named else ServerKey(name=f"key{number}", key=entry)
