"""Finds the file's line numbers for the lines in a chunk's text.

A chunk stores only its first and last line number. The file may have lines between them that the text lacks: the header
of a Markdown table, comments, or imports.
"""

import re
from collections.abc import Sequence
from typing import Final

from streamrag_cli.model import Chunk

_ROW: Final = re.compile(r"[ \t]*- \S.*")
_HEADER_LINES: Final = 2
"""The lines of a Markdown table's header, which are the names of the columns and the delimiter row."""


def line_ranges(chunk: Chunk) -> Sequence[tuple[int, int]]:
    """Return the lowest and the highest possible line number of each line of the text; () if there are no line numbers.

    The two are equal if no lines are missing, or if as many are missing as the tables in the text have header lines.
    """
    if chunk.line_start is None or chunk.line_end is None:
        return ()
    start, end = chunk.line_start, chunk.line_end
    lines = chunk.text.split("\n")
    missing = max(0, end - start + 1 - len(lines))
    is_table_start = [
        at > 0 and bool(_ROW.fullmatch(line)) and not _ROW.fullmatch(lines[at - 1]) for at, line in enumerate(lines)
    ]
    ranges: list[tuple[int, int]] = []
    if missing and missing == _HEADER_LINES * sum(is_table_start):
        at = start
        for is_start in is_table_start:
            at += _HEADER_LINES * is_start
            ranges.append((at, at))
            at += 1
        return ranges
    return [(min(start + n, end), min(start + n + (missing if n else 0), end)) for n in range(len(lines))]
