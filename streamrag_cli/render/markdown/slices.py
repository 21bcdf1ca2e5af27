"""Adapts Rich's Markdown so that a slice of a text is rendered exactly as it looks in the whole text."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import ClassVar

from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, ListElement, Markdown, MarkdownElement, Paragraph
from rich.segment import Segment
from rich.text import Text

from streamrag_cli.render.markdown.code import Highlighter
from streamrag_cli.render.markdown.parsing import UNKNOWN_CITATION, citation_tag


class Preceding(Enum):
    """The kind of the preceding block, which determines whether Rich prints a blank row before the next block."""

    NOTHING = "nothing, or a rule"
    DEFINITION = "a definition that is shown"
    BLOCK = "any other block"


class _Code(CodeBlock):
    """A code block highlighted line by line by `Highlighter`."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip() + "\n"
        new_line = Segment.line()
        yield new_line
        for line in Highlighter(self.lexer_name).lines(code):
            for row in code_rows(line, console, options):
                yield from row
                yield new_line
        yield new_line


class _List(ListElement):
    """A list with an explicit last number, because in a slice the last item of the list may be missing."""

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> "_List":
        del markdown
        element = cls(token.type, int(token.attrs.get("start", 1)))
        element.last_number = token.meta.get("last_number")
        return element

    last_number: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.list_type == "bullet_list_open" or self.last_number is None:
            yield from super().__rich_console__(console, options)
            return
        for number, item in enumerate(self.items, self.list_start or 0):
            yield from item.render_number(console, options, number, self.last_number)


class _Definition(Paragraph):
    """A late link definition. There is no blank row between consecutive definitions."""

    new_line = False


class Slice(Markdown):
    """Renders tokens with Rich. `preceding` determines whether Rich prints a blank row before the first block."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "fence": _Code,
        "code_block": _Code,
        "bullet_list_open": _List,
        "ordered_list_open": _List,
        "definition_open": _Definition,
    }

    def __init__(self, tokens: list[Token], *, preceding: Preceding, cited: Iterable[int] = ()) -> None:
        # Does not call Rich's __init__, which builds a parser: 0.5 ms, more than a frame takes.
        self.markup = ""
        self.code_theme = self.inline_code_theme = "default"
        self.justify = None
        self.style = "none"
        self.hyperlinks = False  # a link would hide its address
        self.inline_code_lexer = None
        self.parsed = list(_with_separators(tokens, preceding))
        self.inlines = Markdown.inlines | {UNKNOWN_CITATION, *(citation_tag(number) for number in cited)}


def _with_separators(tokens: list[Token], preceding: Preceding) -> Iterator[Token]:
    for token in tokens:
        in_between = preceding is Preceding.DEFINITION and token.type == "definition_open"
        if preceding is not Preceding.NOTHING and not in_between:
            yield Token("nothing", "", 0)  # an unknown type: Rich draws nothing, but separates the next block
        yield token
        preceding = Preceding.DEFINITION if token.type == "definition_close" else Preceding.NOTHING


def code_rows(line: Text, console: Console, options: ConsoleOptions) -> list[list[Segment]]:
    """One line of code, indented by one cell and folded if it is too long."""
    room = options.update(width=max(1, options.max_width - 2), height=None, justify="left")
    return [[Segment(" "), *row] for row in console.render_lines(line, room, pad=False)]


def last_of(tokens: list[Token], preceding: Preceding) -> Preceding:
    """The kind of block at the end of `tokens`; `preceding` if there are none."""
    match tokens[-1].type if tokens else None:
        case None:
            return preceding
        case "hr":
            return Preceding.NOTHING
        case "definition_close":
            return Preceding.DEFINITION
        case _:
            return Preceding.BLOCK
