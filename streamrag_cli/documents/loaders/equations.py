"""Separates equations from adjacent words in a sentence."""

import re
from typing import Final

_EDGE: Final = "\ue000"
_SPACE_AT_EDGE: Final = re.compile(f"(?<=[^\\s({_EDGE}]){_EDGE}+(?=[^\\s.,;:!?){_EDGE}])")


def in_sentence(equation: str) -> str:
    """Mark an equation for `with_spaced_equations`, which must be called with the complete sentence."""
    return f"{_EDGE}{equation}{_EDGE}"


def with_spaced_equations(sentence: str) -> str:
    """Put a space between each equation that `in_sentence` has marked and the words next to it."""
    return _SPACE_AT_EDGE.sub(" ", sentence).replace(_EDGE, "") if _EDGE in sentence else sentence
