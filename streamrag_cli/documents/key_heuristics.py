"""Runs checks for keys and tokens, and distinguishes real keys from placeholders in examples."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

_PLACEHOLDER_WORDS: Final = re.compile(
    rb"(?i)example|placeholder|changeme|change[-_]me|your|dummy|redacted|sample|insert|replace|removed|secret|token"
    rb"|foobar|deadbeef|not[-_]?a[-_]?real|notreal|fake|test[-_]?key|my[-_]"
)
_CUT: Final = re.compile(rb"(?i)example|x{5}|\*{3}|\.{3}|<|>|0{8}")
_RUN: Final = 6


@dataclass(frozen=True, slots=True)
class Check:
    """A check for one kind of key. For speed, `finds` is called only if the file contains one of `literals`."""

    kind: str
    literals: tuple[bytes, ...]
    finds: Callable[[bytes], bool]


def first_kind(checks: Iterable[Check], data: bytes) -> str | None:
    """Return the kind of the first check that finds a key in `data`, or None."""
    for check in checks:
        if any(literal in data for literal in check.literals) and check.finds(data):
            return check.kind
    return None


def is_placeholder(value: bytes, *, words: bool = True) -> bool:
    """Whether the value is an obvious placeholder, such as `AKIAIOSFODNN7EXAMPLE`, `xxxxx` or `abcdef123456`.

    Without `words`, short words and runs such as `abcdef` do not count: long random text contains them by chance.
    """
    if _CUT.search(value) or (words and _PLACEHOLDER_WORDS.search(value)):
        return True
    return words and _has_run(value)


def looks_random(value: bytes) -> bool:
    """Whether the value may be a key: it mixes digits and letters, repeats little, and is not a placeholder.

    >>> looks_random(b"f3Jx9QmZ7LbT2vWnR8sK"), looks_random(b"sk-learn-estimator-link"), looks_random(b"0" * 40)
    (True, False, False)
    """
    if is_placeholder(value) or not re.search(rb"[0-9]", value) or not re.search(rb"[A-Za-z]", value):
        return False
    if b"-" in value and not re.search(rb"[A-Z]", value):  # it consists of words, like a CSS class name
        return False
    if len(re.findall(rb"[0-9]", value)) < 2 or re.search(rb"(.)\1{4}", value):
        return False
    counts = Counter(value)
    entropy = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    is_hex = re.fullmatch(rb"[0-9a-fA-F]+", value) is not None
    return entropy >= (2.8 if is_hex else min(3.3, math.log2(len(value)) - 0.9))


def _has_run(value: bytes) -> bool:
    """Whether the value contains a sequence of at least six successive characters, such as `abcdef` or `123456`."""
    run = 1
    for before, after in itertools.pairwise(value):
        run = run + 1 if after - before == 1 else 1
        if run >= _RUN:
            return True
    return False
