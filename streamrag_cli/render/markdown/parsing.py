"""Markdown into tokens that are safe to show, and whose look depends on nothing that is still to come.

It is CommonMark with tables and strikethrough. Four things are read otherwise, each because a stream cannot take
back what has scrolled away, or because a reader must see what the writer wrote:

- a link definition (`[1]: address`) is text, and `[text][label]` is not looked up;
- HTML is text, but for `<br>`, which breaks the line;
- an image stands where it is written, as its description;
- a numbered marker (`[2]`, `[1, 3]`) is a citation where the caller has said what the numbers mean.
"""

import re
from collections.abc import Container, Iterator
from functools import cache
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from streamrag_cli.text import sanitise, sanitise_line

UNKNOWN_CITATION: Final = "citation-unknown"

_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_NUMBERS: Final = r"\[\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*\]"
_MARKER: Final = re.compile(rf"(?<![\w\]]){_NUMBERS}(?![(:])|(?<=\])\[\d{{1,3}}\](?![(:])")
_NUMBER: Final = re.compile(r"\d+")
_PICTURE: Final = "\N{CITYSCAPE AT DUSK}"


def parse(source: str, cited: Container[int] | None = None) -> list[Token]:
    """All tokens of `source`, sanitised once more: an entity may have become a control character.

    `cited` are the numbers that mean something; None leaves every marker as it is.
    """
    return _safe(_full().parse(source), cited)


def parse_inline(source: str, cited: Container[int] | None = None) -> list[Token]:
    """The same, but `source` is words in the midst of a paragraph, and begins no block."""
    return _safe(_full().parseInline(source), cited)


def _safe(tokens: list[Token], cited: Container[int] | None) -> list[Token]:
    for token in tokens:
        if token.type == "inline":
            token.children = list(_inline(token.children or [], cited))
        else:
            token.content = sanitise(token.content)
            token.info = sanitise_line(token.info).strip()
    return tokens


def parse_blocks(source: str) -> list[Token]:
    """The block structure alone, with line numbers in `map`: enough to see what is final, at a fifth of the cost."""
    return _blocks().parse(source)


def citation_tag(number: int) -> str:
    """The name under which a theme styles this citation: `markdown.` and then this."""
    return f"citation-{number}"


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable("reference")


@cache
def _full() -> MarkdownIt:
    return _parser().disable("text_join")  # an escaped bracket stays a token of its own, and opens no marker


@cache
def _blocks() -> MarkdownIt:
    parser = _parser()
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _inline(children: list[Token], cited: Container[int] | None) -> Iterator[Token]:
    shown_link = False
    for at, token in enumerate(children):
        match token.type:
            case "text":
                yield from _text(sanitise_line(token.content), cited)
            case "text_special":
                yield _words(sanitise_line(token.content))
            case "image":
                address = str(token.attrs.get("src", "")).strip("/").rsplit("/", 1)[-1]
                yield _words(f"{_PICTURE} {' '.join(sanitise_line(token.content or address).split())} ")
            case "link_open":
                shown_link = _shows_its_address(children[at : at + 3])
                if not shown_link:
                    token.attrs["href"] = sanitise_line(str(token.attrs.get("href", "")))
                    yield token
            case "link_close":
                if not shown_link:
                    yield token
                shown_link = False
            case _:
                token.content = sanitise_line(token.content)
                yield token


def _shows_its_address(tokens: list[Token]) -> bool:
    """Whether this is a link like `<https://a.example>`, whose words are its address."""
    if [token.type for token in tokens] != ["link_open", "text", "link_close"]:
        return False
    return str(tokens[0].attrs.get("href", "")).removeprefix("mailto:") == tokens[1].content.removeprefix("mailto:")


def _text(text: str, cited: Container[int] | None) -> Iterator[Token]:
    for line, part in enumerate(_BREAK.split(text) if "<" in text else (text,)):
        if line:
            yield Token("hardbreak", "br", 0)
        if cited is None or "[" not in part:
            yield _words(part)
        else:
            yield from _with_citations(part, cited)


def _with_citations(text: str, cited: Container[int]) -> Iterator[Token]:
    """Split `[1, 3]` into its numbers, so that each can be a link, and put a question mark to one without a source."""
    end = 0
    for marker in _MARKER.finditer(text):
        for number in _NUMBER.finditer(text, marker.start(), marker.end()):
            known = int(number.group()) in cited
            opening = number.start() - 1 if number.start() == marker.start() + 1 else number.start()
            closing = number.end() + 1 if number.end() == marker.end() - 1 else number.end()
            yield _words(text[end:opening])
            shown = text[opening : number.end()] + ("" if known else "?") + text[number.end() : closing]
            tag = citation_tag(int(number.group())) if known else UNKNOWN_CITATION
            yield Token("citation", tag, 0, content=shown)
            end = closing
    yield _words(text[end:])


def _words(text: str) -> Token:
    return Token("text", "", 0, content=text)
