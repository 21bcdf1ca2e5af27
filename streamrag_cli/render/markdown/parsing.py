"""Parses Markdown into tokens that are safe to show: CommonMark with tables and strikethrough, as Rich parses it.

HTML is shown as text, with `<br>` as a line break, or dropped as in Rich. A numbered marker (`[2]`, `[1, 3]`) is a
citation if the caller passes the known numbers.
"""

import re
from collections.abc import Container, Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from streamrag_cli.render.markdown.definitions import NUMBERS, Definitions, read_definitions
from streamrag_cli.text import sanitise, sanitise_line

Html: TypeAlias = Literal["shown", "dropped"]

UNKNOWN_CITATION: Final = "citation-unknown"
ADDRESS: Final = "link_url"
"""The tag for a link whose text is its address, which is shown once."""

UNBREAKABLE_SPACE: Final = "\ufdd0"
"""Takes the place of the space before a citation, because Rich breaks lines at every blank, even at U+00A0.

It is a noncharacter, so that texts do not contain it. `RowRenderer` shows it as a space.
"""

_TEXTS: Final = frozenset({"text", "text_special"})
_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_MARKER: Final = re.compile(rf"(?<![\w\]])\[{NUMBERS}\](?![(:])|(?<=\])\[\d{{1,3}}\](?![(:])")
_NUMBER: Final = re.compile(r"\d+")


class Parser:
    """Parses one text in parts, and remembers its link definitions.

    `cited` are the numbers with a source; None leaves all markers unchanged. With `shows_backticks`, inline code keeps
    them, for output without colour.
    """

    def __init__(
        self, *, html: Html = "shown", cited: Container[int] | None = None, shows_backticks: bool = False
    ) -> None:
        self.definitions = Definitions(citing=cited is not None)
        self._html = html
        self._cited = cited
        self._shows_backticks = shows_backticks

    def blocks(self, source: str) -> list[Token]:
        """Parse only the block structure of complete lines, with line numbers in `map`.

        This is five times faster than `final`. Link definitions are blocks here.
        """
        return _blocks(self._html).parse(source, {"references": self.definitions})

    def final(self, source: str) -> tuple[list[Token], set[str]]:
        """All tokens of `source`, and the labels in it that have no definition yet."""
        unresolved: set[str] = set()
        self.definitions.unresolved = unresolved
        tokens = _full(self._html).parse(source, {"references": self.definitions})
        return self._safe(tokens), unresolved

    def preview(self, source: str) -> list[Token]:
        """All tokens of a text that may end within a line. Its definitions are discarded."""
        return self._safe(_full(self._html).parse(source, self._temporary_definitions()))

    def inline(self, source: str) -> list[Token]:
        """Like `preview`, for text inside a paragraph, in which no block begins."""
        return self._safe(_full(self._html).parseInline(source, self._temporary_definitions()))

    def _temporary_definitions(self) -> dict[str, Definitions]:
        return {"references": Definitions(citing=self.definitions.citing, outer=self.definitions)}

    def _safe(self, tokens: list[Token]) -> list[Token]:
        """Sanitise the tokens: an entity may have become a control character."""
        for token in tokens:
            if token.type == "inline":
                token.children = list(self._inline(_with_addresses_once(token.children or [])))
                _keep_citations_with_words(token.children)
            else:
                token.content = sanitise(token.content)
                token.info = sanitise_line(token.info).strip()
        return tokens

    def _inline(self, children: Iterable[Token]) -> Iterator[Token]:
        keys = 0
        for token in children:
            token.content = sanitise(token.content)
            match token.type:
                case "text":
                    yield from self._text(token.content)
                    continue
                case "text_special":
                    token.type = "text"
                case "code_inline" if self._shows_backticks:
                    padding = " " if token.content.startswith("`") or token.content.endswith("`") else ""
                    token.content = f"{token.markup}{padding}{token.content}{padding}{token.markup}"
                case "image":
                    token.attrs["src"] = sanitise_line(str(token.attrs.get("src", "")))
                case "link_open":
                    token.attrs["href"] = sanitise_line(str(token.attrs.get("href", "")))
                case "html_inline" if token.content in {"<kbd>", "</kbd>"}:
                    keys += 1 if token.content == "<kbd>" else -1
                    if keys < 0:  # Rich fails on an end tag without a start tag
                        keys = 0
                        continue
            yield token
        for _ in range(keys):
            yield Token("html_inline", "", 0, content="</kbd>")

    def _text(self, text: str) -> Iterator[Token]:
        for line, part in enumerate(_BREAK.split(text) if "<" in text and self._html == "shown" else (text,)):
            if line:
                yield Token("hardbreak", "br", 0)
            if self._cited is None or "[" not in part:
                yield _words(part)
            else:
                yield from _with_citations(part, self._cited)


def citation_tag(number: int) -> str:
    """The tag for a citation. The name of its style in the theme is `markdown.` followed by this tag."""
    return f"citation-{number}"


def _parser(html: Html, *, definitions_as_tokens: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": html == "dropped"}).enable(["strikethrough", "table"])
    read_definitions(parser, as_tokens=definitions_as_tokens)
    return parser


@cache
def _full(html: Html) -> MarkdownIt:
    parser = _parser(html, definitions_as_tokens=False)
    return parser.disable("text_join")  # an escaped bracket stays a separate token, so it begins no marker


@cache
def _blocks(html: Html) -> MarkdownIt:
    parser = _parser(html, definitions_as_tokens=True)
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _with_addresses_once(children: list[Token]) -> Iterator[Token]:
    """Turn each link whose text is its own address into one token."""
    opened_at: int | None = None
    for at, token in enumerate(children):
        if token.type == "link_open":
            opened_at = at
        if token.type == "link_close" and opened_at is not None:
            inside = children[opened_at + 1 : at]
            text = "".join(each.content for each in inside)
            address = str(children[opened_at].attrs.get("href", ""))
            if all(each.type in _TEXTS for each in inside) and _is_address(text, address):
                yield Token("address", ADDRESS, 0, content=text)
            else:
                yield from children[opened_at : at + 1]
            opened_at = None
        elif opened_at is None:
            yield token
    if opened_at is not None:
        yield from children[opened_at:]


def _is_address(text: str, address: str) -> bool:
    """Whether a link's text shows its whole address.

    >>> [_is_address("https://a.example/b c", f"{each}.example/b%20c") for each in ("https://a", "https://evil")]
    [True, False]
    """
    return unquote(address) in {unquote(text), f"{unquote(text)}/", f"mailto:{unquote(text)}"}


def _with_citations(text: str, cited: Container[int]) -> Iterator[Token]:
    """Split a marker such as `[1, 3]` into its numbers, so that each can be a link, and add `?` to unknown numbers."""
    end = 0
    for marker in _MARKER.finditer(text):
        for number in _NUMBER.finditer(text, marker.start(), marker.end()):
            known = int(number.group()) in cited
            opening = number.start() - 1 if number.start() == marker.start() + 1 else number.start()
            closing = number.end() + 1 if number.end() == marker.end() - 1 else number.end()
            if end < opening:
                yield _words(text[end:opening])
            shown = text[opening : number.end()] + ("" if known else "?") + text[number.end() : closing]
            tag = citation_tag(int(number.group())) if known else UNKNOWN_CITATION
            yield Token("citation", tag, 0, content=shown)
            end = closing
    yield _words(text[end:])


def _keep_citations_with_words(tokens: list[Token]) -> None:
    """Make the space between a word and its first citation unbreakable, so that no row begins with that citation."""
    for at, (before, token) in enumerate(pairwise(tokens)):
        follows_citation = not before.content.strip() and at and tokens[at - 1].type == "citation"
        if token.type != "citation" or follows_citation:
            continue
        if before.type == "softbreak":
            before.type, before.content = "text", UNBREAKABLE_SPACE
        elif before.type == "text" and before.content.endswith(" "):
            before.content = before.content[:-1] + UNBREAKABLE_SPACE


def _words(text: str) -> Token:
    return Token("text", "", 0, content=text)
