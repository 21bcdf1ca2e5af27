"""Loads Markdown: the text of the file, without the parts that are invisible on the rendered page.

A Markdown parser finds headings and code, so a `#` in fenced code is not a heading. Front matter and comments are
removed, links to notes are replaced by the names of the notes, and table rows are labelled with the column names.
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
from streamrag_cli.documents.loaders.note_markup import MAY_CONTAIN_NOTES, note_edits
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
"""The maximum length of a heading's source that is parsed. The parser may treat a whole page as a heading."""


def load_markdown(path: str, source: str) -> Document:
    about = front_matter(source)
    return markdown_document(path, about, *visible(source, about.length))


def markdown_document(path: str, about: FrontMatter, text: str, lines: Sequence[int]) -> Document:
    """Build a document from Markdown. If the file has only front matter, its summary or title becomes the text.

    Facts from the front matter `about` are written as front matter at the beginning of the first section, on the same
    lines as in the file.
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
        date=about.date,
        tags=about.tags,
        sections=sections_from(headings, len(text)),
        line_numbers=lines,
    )


def find_headings(text: str) -> list[Heading]:
    """Return the headings in the Markdown `text`, without markup. Headings in lists and quotes are not included."""
    starts = line_starts(text)
    headings: list[Heading] = []
    tokens = _blocks().parse(text)
    for index, token in enumerate(tokens):
        if token.level or token.map is None:
            continue
        at = starts[token.map[0]]
        if token.type == "heading_open":
            words = _heading_text(tokens[index + 1].content)
            headings.append(Heading(start=at, level=int(token.tag[1]), text=words))
        elif token.type == "html_block" and (html := _HTML_HEADING.search(token.content[:_SHOWN_CHARS])):
            words = clean_heading(unescape(_TAG.sub(" ", html[2])))
            headings.append(Heading(start=at, level=int(html[1]), text=words))
    return headings


def visible(text: str, start: int) -> tuple[str, Sequence[int]]:
    """Return the visible part of `text` after offset `start`, and the original line number of each line."""
    edits = [Edit(0, start)] if start else []
    if MAY_CONTAIN_NOTES.search(text, start):
        edits += note_edits(text, start, code_spans(text, start))
    shown, lines = edited(text, edits)
    if definitions := list(definition_edits(shown, code_spans)):
        shown, numbers = edited(shown, definitions)
        lines = [lines[number - 1] for number in numbers]
    return with_named_rows(shown, lines)


def with_named_rows(text: str, lines: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Turn each table row in `text` into a list item with the column names.

    `lines` are the line numbers of `text` in the file. Returns the new text and its line numbers.
    """
    edits = list(_row_edits(text)) if _DELIMITER_ROW.search(text) else []
    if not edits:
        return text, lines
    shown, numbers = edited(text, edits)
    return shown, [lines[number - 1] for number in numbers]


def code_spans(text: str, start: int = 0) -> list[tuple[int, int]]:
    """Return the (start, end) offsets of the code blocks in `text` after offset `start`, in order."""
    body = text[start:]
    starts = line_starts(body)
    return [
        (start + starts[token.map[0]], start + starts[min(token.map[1], len(starts) - 1)])
        for token in _blocks().parse(body)
        if token.type in {"fence", "code_block"} and token.map
    ]


def _row_edits(text: str) -> Iterator[Edit]:
    """Yield edits that remove the header of each table and rewrite its rows with `row_text`."""
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
    # The parser looks for a link at every bracket, which is slow in a heading full of brackets.
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
    from markdown_it import MarkdownIt  # imports in about 65 ms

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


@cache
def _inline(*, with_links: bool) -> "MarkdownIt":
    from markdown_it import MarkdownIt  # takes no time, because `_blocks` has imported it

    parser = MarkdownIt("commonmark")
    return parser if with_links else parser.disable(["link", "image"])
