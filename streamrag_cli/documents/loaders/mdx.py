"""Loads MDX as Markdown. Imports, exports, comments, expressions and tags are removed. Text between tags is kept.

Other text that the page shows is also kept: expressions that are only a string, and the attributes `title`, `label`,
`summary` and `alt` of tags.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from streamrag_cli.documents.loaders.front_matter import front_matter
from streamrag_cli.documents.loaders.lines import Edit, edited
from streamrag_cli.documents.loaders.markdown import code_spans, markdown_document, with_named_rows
from streamrag_cli.model import Document

_MARKS: Final = re.compile(r"(`+)|(^(?:import|export)\b)|(<!--)|(</?[A-Za-z>])|(?<!\\)(\{)", re.MULTILINE)
_SHOWN: Final = re.compile(r"""\b(?:title|label|summary|alt)=(?:"([^"]*)"|'([^']*)'|\{\s*["'`]([^"'`]*)["'`]\s*\})""")
_STRING: Final = re.compile(r"""\{\s*(["'`])([^"'`{}$]*)\1\s*\}""")
_BLOCK_END: Final = re.compile(r"\n[ \t]*\n")
_INLINE_CHARS: Final = 1000
_TAG_CHARS: Final = 5000
_MAX_FAILURES: Final = 200
"""The maximum number of unclosed tags, expressions and comments. The text after them is read as Markdown."""


def load_mdx(path: str, source: str) -> Document:
    about = front_matter(source)
    edits = [Edit(0, about.length)] if about.length else []
    text, lines = edited(source, [*edits, *_edits(source, about.length, code_spans(source, about.length))])
    return markdown_document(path, about, *with_named_rows(text, lines))


def _edits(text: str, start: int, code: Sequence[tuple[int, int]]) -> Iterator[Edit]:
    at = start
    blocks = iter(
        [*(span for span in code if text.startswith(("`", "~"), _after_indent(text, span[0]))), (len(text) + 1,) * 2]
    )
    code_start, code_end = next(blocks)
    failures = 0
    while failures < _MAX_FAILURES and (match := _MARKS.search(text, at)):
        while code_end <= match.start():
            code_start, code_end = next(blocks)
        if code_start <= match.start():
            at = code_end
            continue
        edit = _edit(text, match)
        if edit is not None:
            yield edit
        failures += edit is None and not match[1]
        at = edit.end if edit else _past(text, match)


def _after_indent(text: str, at: int) -> int:
    while text.startswith((" ", "\t"), at):
        at += 1
    return at


def _past(text: str, match: re.Match[str]) -> int:
    """Return the offset after the inline code that begins with `match`, or after `match` if there is no code."""
    if match[1]:
        closes = text.find(match[1], match.end(), match.end() + _INLINE_CHARS)
        return closes + len(match[1]) if closes >= 0 else match.end()
    return match.end()


def _edit(text: str, match: re.Match[str]) -> Edit | None:
    start = match.start()
    if match[2]:
        closes = _BLOCK_END.search(text, start)
        return Edit(start, closes.start() if closes else len(text))
    if match[3]:
        end = text.find("-->", start, start + _TAG_CHARS)
        return Edit(start, end + 3) if end >= 0 else None
    if match[4]:
        end = _balanced(text, start + 1, ">")
        if end < 0:
            return None
        words = [next(filter(None, each.groups()), "") for each in _SHOWN.finditer(text, start, end)]
        return Edit(start, end, " ".join(" ".join(words).split()))
    if match[5]:
        end = _balanced(text, start + 1, "}")
        string = _STRING.fullmatch(text, start, end) if end >= 0 else None
        return Edit(start, end, string[2].replace("\n", " ") if string else "") if end >= 0 else None
    return None


def _balanced(text: str, start: int, closing: str) -> int:
    """Return the offset after `closing`, the mark that ends the markup around `start`; -1 if it is missing.

    Marks in strings, comments and nested braces are skipped.
    """
    depth = 0
    quote = ""
    at = start
    last = min(len(text), start + _TAG_CHARS)
    while at < last:
        character = text[at]
        if text.startswith("/*", at) and not quote:
            end = text.find("*/", at + 2, last)
            at = end + 1 if end >= 0 else last
        elif quote:
            quote = "" if character == quote else quote
        elif character in '"`' or (character == "'" and (depth or closing == "}")):
            quote = character
        elif depth == 0 and character == closing:
            return at + 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        at += 1
    return -1
