"""Loads Python source, divided at top-level definitions and at the methods of top-level classes.

The text is the file without its preamble (`code`).
"""

import ast
import warnings
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from streamrag_cli.documents.loaders.code import without_preamble
from streamrag_cli.documents.outline import clean_heading, line_starts
from streamrag_cli.model import Document, Section

PARSED_CHARS: Final = 2_000_000
"""The maximum size of a file that is divided into sections. Larger files are usually generated."""

_ATTEMPTS: Final = 100

_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class _Cut(NamedTuple):
    """The offset at which `headings` begin to apply.

    Cuts at equal offsets are sorted: ends of definitions first, then the outermost definitions.
    """

    start: int
    begins: int
    depth: int
    headings: tuple[str, ...]


def load_python(path: str, text: str) -> Document:
    shown, lines, summary = without_preamble(text)
    sections = _sections(shown) or ((Section(start=0, end=len(shown)),) if shown else ())
    return Document(path=path, text=shown, title="", summary=summary, sections=sections, line_numbers=lines)


def _sections(text: str) -> tuple[Section, ...]:
    """Return one section per definition. Returns () if this version of Python cannot parse the file."""
    if len(text) > PARSED_CHARS:
        return ()
    try:
        with warnings.catch_warnings(action="ignore"):  # do not show warnings about the parsed file
            tree = _parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # MemoryError: nesting beyond the parser's stack
        return ()
    lines = text.split("\n")
    starts = line_starts(text)
    cuts: list[_Cut] = [_Cut(0, 1, 0, ())]
    floor = 0
    for first_line, last_line, headings in _definitions(tree):
        start = starts[_with_comments_above(lines, first_line, floor=floor)]
        end = starts[_after_blank_lines(lines, last_line)]
        cuts.append(_Cut(start, 1, len(headings), headings))
        cuts.append(_Cut(end, 0, -len(headings), headings[:-1]))
        floor = first_line + 1 if last_line - first_line > 1 else last_line
    return tuple(_between(sorted(cuts), len(text)))


def _parsed(text: str) -> ast.Module:
    """Parse Python source. Tries again after SystemError, which Python 3.11 may raise if another thread parses too."""
    for _ in range(_ATTEMPTS):
        try:
            return ast.parse(text)
        except SystemError:
            continue
    raise ValueError("cannot be parsed")


def _definitions(tree: ast.Module) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield the index of the first line, the index after the last line, and the path of each definition."""
    for node in tree.body:
        if isinstance(node, _DEFINITIONS):
            yield _first_line(node), node.end_lineno or node.lineno, (clean_heading(node.name),)
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, _DEFINITIONS):
                    names = clean_heading(node.name), clean_heading(method.name)
                    yield _first_line(method), method.end_lineno or method.lineno, names


def _first_line(node: _Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1


def _with_comments_above(lines: list[str], line: int, *, floor: int) -> int:
    while line > floor and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line


def _after_blank_lines(lines: list[str], line: int) -> int:
    while line < len(lines) and not lines[line].strip():
        line += 1
    return line


def _between(cuts: list[_Cut], length: int) -> Iterator[Section]:
    for cut, end in zip(cuts, [*(cut.start for cut in cuts[1:]), length], strict=True):
        if end > cut.start:
            yield Section(start=cut.start, end=end, headings=cut.headings)
