"""Markdown: the text is the file's, but for what a reader of the page does not see.

The parser's block rules find the headings and the code, so that a `#` in a fence is neither. Front matter and comments
are cut out, links between notes read as their names, and a row of a table carries the names of its columns.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Final

from streamrag_cli.documents.loaders.definition_lists import definition_edits
from streamrag_cli.documents.loaders.front_matter import FrontMatter, front_matter
from streamrag_cli.documents.loaders.lines import Edit, edited
from streamrag_cli.documents.loaders.note_markup import MAY_HOLD_NOTES, note_edits
from streamrag_cli.documents.loaders.rows import column_names, row_text
from streamrag_cli.documents.outline import Heading, clean_heading, line_starts, only_top_heading, sections_from
from streamrag_cli.model import Document

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_HTML_HEADING: Final = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*>")
_TITLE_ATTRIBUTES: Final = re.compile(r"\s*\{[#.][^{}]*\}\s*$")
_PLAIN: Final = re.compile(r"[^\\`*_\[\]<>&{}!\n]*\Z")
_LINK: Final = "]("
_DELIMITER_ROW: Final = re.compile(
    r"^[ \t>]*+\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+$", re.MULTILINE
)

_SHOWN_CHARS: Final = 2000
"""Of a heading; what the parser takes for one may be a whole page."""


def load_markdown(path: str, source: str) -> Document:
    about = front_matter(source)
    return markdown_document(path, about, *visible(source, about.length))


def markdown_document(path: str, about: FrontMatter, text: str, lines: Sequence[int]) -> Document:
    """The document whose text is Markdown; if front matter is all there is, it is the text.

    Its facts stand in front matter of their own, in the first section, on the lines that they have in the file.
    """
    if not text.strip() and (about.title or about.summary):
        text, lines = about.summary or about.title, [len(about.facts) + 2 if about.facts else 1]
    headings = find_headings(text)
    title = about.title or only_top_heading(headings, text)
    if about.facts:
        above = "\n".join(["---", *about.facts, "---", ""])
        headings = [
            replace(each, start=each.start + len(above) if text[: each.start].strip() else 0) for each in headings
        ]
        text, lines = above + text, [*range(1, len(about.facts) + 3), *lines]
    return Document(
        path=path,
        text=text,
        title=title,
        summary=about.summary,
        sections=sections_from(headings, len(text)),
        line_numbers=lines,
    )


def find_headings(text: str, *, start: int = 0) -> list[Heading]:
    """The headings of the Markdown in `text` from offset `start` on, without markup; offsets are into `text`."""
    body = text[start:]
    starts = line_starts(body)
    headings: list[Heading] = []
    tokens = _blocks().parse(body)
    for index, token in enumerate(tokens):
        if token.level or token.map is None:
            continue
        at = start + starts[token.map[0]]
        if token.type == "heading_open":
            words = _heading_text(tokens[index + 1].content)
            headings.append(Heading(start=at, level=int(token.tag[1]), text=words))
        elif token.type == "html_block" and (found := _HTML_HEADING.search(token.content[:_SHOWN_CHARS])):
            words = clean_heading(unescape(_TAG.sub(" ", found[2])))
            headings.append(Heading(start=at, level=int(found[1]), text=words))
    return headings


def visible(text: str, start: int) -> tuple[str, Sequence[int]]:
    """`text` from offset `start` on as its page shows it, and for each line the line it was."""
    edits = [Edit(0, start)] if start else []
    if MAY_HOLD_NOTES.search(text, start):
        edits += note_edits(text, start, code_spans(text, start))
    shown, lines = edited(text, edits)
    if found := list(definition_edits(shown, code_spans)):
        shown, kept = edited(shown, found)
        lines = [lines[number - 1] for number in kept]
    return with_named_rows(shown, lines)


def with_named_rows(text: str, lines: Sequence[int]) -> tuple[str, Sequence[int]]:
    """`text` with each row of its tables as a list item that names the columns; `lines` are those of the file."""
    edits = list(_row_edits(text)) if _DELIMITER_ROW.search(text) else []
    if not edits:
        return text, lines
    shown, kept = edited(text, edits)
    return shown, [lines[number - 1] for number in kept]


def code_spans(text: str, start: int = 0) -> list[tuple[int, int]]:
    """From where to where the code blocks of `text` go, in order, from offset `start` on."""
    body = text[start:]
    starts = line_starts(body)
    return [
        (start + starts[token.map[0]], start + starts[min(token.map[1], len(starts) - 1)])
        for token in _blocks().parse(body)
        if token.type in {"fence", "code_block"} and token.map
    ]


def _row_edits(text: str) -> Iterator[Edit]:
    """The header of each table cut out, and each of its rows as `row_text` says it."""
    lines = text.split("\n")
    starts = line_starts(text)
    columns: list[str] | None = None
    cells: list[str] = []
    at = 0
    in_row = False
    for token in _blocks().parse(text):
        match token.type:
            case "tr_open":
                cells, at, in_row = [], token.map[0] if token.map else at, True
            case "inline" if in_row:
                cells.append(token.content)
            case "tr_close":
                in_row = False
                if columns is None:
                    columns, header = column_names(cells), at
                else:
                    yield Edit(starts[at], starts[at] + len(lines[at]), row_text(columns, cells))
            case "tbody_open":
                yield Edit(starts[header], starts[header + 1] + len(lines[header + 1]))
            case "table_close":
                columns = None


def _heading_text(source: str) -> str:
    source = _TITLE_ATTRIBUTES.sub("", source[:_SHOWN_CHARS])
    if _PLAIN.match(source):
        return clean_heading(source)
    pieces: list[str] = []
    # At each bracket the parser looks for a link, also in a heading of nothing but brackets.
    for token in _inline(with_links=_LINK in source).parseInline(source)[0].children or ():
        pieces.extend(_shown(token))
    return clean_heading("".join(pieces))


def _shown(token: "Token") -> list[str]:
    if token.type in {"text", "code_inline"}:
        return [token.content]
    if token.type == "image":
        return [piece for child in token.children or () for piece in _shown(child)]
    return [" "] if token.type in {"softbreak", "hardbreak"} else []


@cache
def _blocks() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # 65 ms

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


@cache
def _inline(*, with_links: bool) -> "MarkdownIt":
    from markdown_it import MarkdownIt  # loaded by now

    parser = MarkdownIt("commonmark")
    return parser if with_links else parser.disable(["link", "image"])
