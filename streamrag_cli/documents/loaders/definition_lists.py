"""Moves the definitions in Markdown definition lists (kramdown, Pandoc, MkDocs, Hugo) to the line of their term."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from streamrag_cli.documents.loaders.lines import Edit, closed_term
from streamrag_cli.documents.outline import line_starts

_DEFINITION: Final = re.compile(r"[ ]{0,3}:[ \t]+(?=[^\s:-])")
_MAY_CONTAIN: Final = re.compile(rf"^{_DEFINITION.pattern}", re.MULTILINE)
_NO_TERM: Final = re.compile(r"\s|[#>|:]|[-*+][ \t]|\d+[.)][ \t]|```|~~~|[-=*_ ]{3,}$|.*[.!;,]$")
_TERM_CHARS: Final = 120
_MAX_TERMS: Final = 3


def definition_edits(text: str, code_spans: Callable[[str], Sequence[tuple[int, int]]]) -> Iterator[Edit]:
    """Yield edits that turn the lines `Term` and `: Definition` into `- Term: Definition`, for each definition.

    `code_spans` returns the offsets of code, which is not edited. It is called only if the text may have a definition.
    """
    if not _MAY_CONTAIN.search(text):
        return
    lines, starts = text.split("\n"), line_starts(text)
    code = iter([*code_spans(text), (len(text) + 1, len(text) + 1)])
    code_start, code_end = next(code)
    term = ""
    for number, line in enumerate(lines):
        while code_end <= starts[number]:
            code_start, code_end = next(code)
        match = _DEFINITION.match(line) if starts[number] < code_start else None
        if not match:
            is_new_block = bool(line.strip()) and not line[0].isspace() and not (number and lines[number - 1].strip())
            term = "" if is_new_block else term
            continue
        start = starts[number]
        above = _terms_above(lines, number)
        if above:
            term = ", ".join(lines[each].strip() for each in above)
            start = starts[above[0]]
        if term:
            yield Edit(start, starts[number] + match.end(), f"- {closed_term(term)} ")


def _terms_above(lines: Sequence[str], number: int) -> Sequence[int]:
    """Return the indices of the lines with the terms of a definition. One blank line may follow them."""
    last = number - 1 if number and lines[number - 1].strip() else number - 2
    first = last
    while first >= 0 and last - first <= _MAX_TERMS and lines[first].strip():
        first -= 1
    terms = range(first + 1, last + 1)
    if not 0 < len(terms) <= _MAX_TERMS:
        return ()
    is_term = all(len(lines[each]) <= _TERM_CHARS and not _NO_TERM.match(lines[each]) for each in terms)
    return terms if is_term else ()
