"""Separates equations from adjacent words of a sentence."""

import re
from typing import Final

_EDGE: Final = "\ue000"
_SPACE_AT_EDGE: Final = re.compile(f"(?<=[^\\s({_EDGE}]){_EDGE}+(?=[^\\s.,;:!?){_EDGE}])")


def in_sentence(equation: str) -> str:
    """The equation for use in a sentence that is passed to `with_spaced_equations` when it is complete."""
    return f"{_EDGE}{equation}{_EDGE}"


def with_spaced_equations(sentence: str) -> str:
    return _SPACE_AT_EDGE.sub(" ", sentence).replace(_EDGE, "") if _EDGE in sentence else sentence
