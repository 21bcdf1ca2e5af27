"""Markdown: the text is the file's; the parser's block rules find the headings, so that a `#` in a fence is none.

Front matter is cut off before parsing, since its closing `---` would turn its last line into a heading.
"""

import re
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Final

from streamrag_cli.documents.outline import Heading, clean_heading, line_starts, only_top_heading, sections_from
from streamrag_cli.model import Document

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT_MATTER: Final = re.compile(
    r"""\A(---|\+\+\+)[ \t]*\n(?=---|\+\+\+|#|["'\w-]+[ \t]*[:=])(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)""",
    re.DOTALL | re.MULTILINE,
)
_FRONT_MATTER_TITLE: Final = re.compile(r"^title[ \t]*[:=][ \t]*(.+)$", re.MULTILINE)
_HTML_HEADING: Final = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*>")
_TITLE_ATTRIBUTES: Final = re.compile(r"\s*\{[#.][^{}]*\}\s*$")
_PLAIN: Final = re.compile(r"[^\\`*_\[\]<>&{}!\n]*\Z")

_SHOWN_CHARS: Final = 2000
"""Of a heading; what the parser takes for one may be a whole page."""


def load_markdown(path: str, text: str) -> Document:
    front_matter = _FRONT_MATTER.match(text)
    headings = find_headings(text, start=front_matter.end() if front_matter else 0)
    title = _title_of(front_matter[2]) if front_matter else ""
    return Document(
        path=path,
        text=text,
        title=title or only_top_heading(headings),
        sections=sections_from(headings, len(text)),
        line_numbers=range(1, text.count("\n") + 2),
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


def _title_of(front_matter: str) -> str:
    found = _FRONT_MATTER_TITLE.search(front_matter)
    return clean_heading(found[1].strip().strip("\"'")) if found else ""


def _heading_text(source: str) -> str:
    source = _TITLE_ATTRIBUTES.sub("", source[:_SHOWN_CHARS])
    if _PLAIN.match(source):
        return clean_heading(source)
    pieces: list[str] = []
    for token in _inline().parseInline(source)[0].children or ():
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

    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


@cache
def _inline() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # loaded by now

    return MarkdownIt("commonmark")
