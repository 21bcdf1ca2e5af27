"""Extends a quote to the value that the question asks for, which may be a sentence or two away.

"The number of workers. Default is 10." answers "How many workers?" only with both sentences.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from streamrag_cli.answer.sentences import MAX_CHARS, Sentence

_NUMBER: Final = (
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|sixty|hundred|thousand|"
    r"unlimited|never|infinite)\b"
)
_VALUES: Final = (
    (r"\bdefaults?\b", r"\bdefault(?:s|ed|ing)?\b"),
    (r"\bhow (?:many|much|long|old|far|large|big|tall|often|fast)\b|\b(?:what|which) (?:percent\w*|number)\b", _NUMBER),
    (r"\b(?:what|which)\b[^.?!]{0,60}\bversions?\b|\bversions? (?:is|are) (?:needed|required)\b", r"\d"),
)
_PATTERNS: Final = tuple(
    (re.compile(question, re.IGNORECASE), re.compile(value, re.IGNORECASE)) for question, value in _VALUES
)


def expected_values(question: str) -> list[re.Pattern[str]]:
    """Patterns that an answer must match, such as "default" or a number; empty if any answer will do."""
    return [value for pattern, value in _PATTERNS if pattern.search(question)]


def extend_to_value(sentence: Sentence, values: Sequence[re.Pattern[str]], shown: Collection[str]) -> list[Sentence]:
    """Extend `sentence` with a neighbouring sentence that contains the `values` it lacks.

    The neighbour is a following sentence, which is returned with all sentences in between, or else the previous one.
    Returns only `sentence` if it lacks no value, if it introduces a block, or if the value is too far away or already
    `shown`.
    """
    missing = [value for value in values if not value.search(sentence.text)]
    if not missing or sentence.block.markdown or not sentence.markdown:
        return [sentence]
    chars = len(sentence.text)
    for count, each in enumerate(sentence.following, 1):
        chars += 1 + len(each.text)
        if chars > MAX_CHARS:
            break
        if all(value.search(each.text) for value in missing):
            return [sentence] if each.text in shown else [sentence, *sentence.following[:count]]
    for each in sentence.before:
        fits = len(each.text) + 1 + len(sentence.text) <= MAX_CHARS and each.text not in shown
        if fits and all(value.search(each.text) for value in missing):
            return [each, sentence]
    return [sentence]
