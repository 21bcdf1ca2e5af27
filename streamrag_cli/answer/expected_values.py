"""The value that a question asks for, which may stand a sentence or two from the one that is about it.

"The number of workers. Default is 10." answers "How many workers?" with both of its sentences only.
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
    (re.compile(asked, re.IGNORECASE), re.compile(value, re.IGNORECASE)) for asked, value in _VALUES
)


def expected_values(question: str) -> list[re.Pattern[str]]:
    """Patterns of what an answer has to hold: "default", a number, or nothing in particular."""
    return [value for asked, value in _PATTERNS if asked.search(question)]


def extend_to_value(sentence: Sentence, values: Sequence[re.Pattern[str]], shown: Collection[str]) -> list[Sentence]:
    """The sentence, and those behind it up to the one that has what it lacks of `values`, else the one before it.

    The sentence alone if it lacks nothing, announces a block, or if that one is too far off or is `shown` already.
    """
    lacking = [value for value in values if not value.search(sentence.text)]
    if not lacking or sentence.block.markdown or not sentence.markdown:
        return [sentence]
    chars = len(sentence.text)
    for count, each in enumerate(sentence.following, 1):
        chars += 1 + len(each.text)
        if chars > MAX_CHARS:
            break
        if all(value.search(each.text) for value in lacking):
            return [sentence] if each.text in shown else [sentence, *sentence.following[:count]]
    for each in sentence.before:
        fits = len(each.text) + 1 + len(sentence.text) <= MAX_CHARS and each.text not in shown
        if fits and all(value.search(each.text) for value in lacking):
            return [each, sentence]
    return [sentence]
