"""Rich's Markdown for a slice of a text, which comes out as it would in the midst of the whole."""

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


class Above(Enum):
    """What a block is below: Rich sets it off with a blank row, or does not."""

    NOTHING = "nothing, or a rule"
    DEFINITION = "a definition that is shown"
    BLOCK = "any other block"


class _Code(CodeBlock):
    """Rich's code block, coloured by a lexer that can be fed line by line."""

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
    """A list whose last number may be told: in a slice, it is not that of the last item there."""

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
    """A link definition that came too late: those that follow each other stand row by row."""

    new_line = False


class Slice(Markdown):
    """Rich's Markdown from tokens. What is `above` decides on the blank row before the first, by Rich's own rule."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "fence": _Code,
        "code_block": _Code,
        "bullet_list_open": _List,
        "ordered_list_open": _List,
        "definition_open": _Definition,
    }

    def __init__(self, tokens: list[Token], *, above: Above, cited: Iterable[int] = ()) -> None:
        # Not Rich's own beginning, which builds a parser: half a millisecond, more than a frame takes.
        self.markup = ""
        self.code_theme = self.inline_code_theme = "default"
        self.justify = None
        self.style = "none"
        self.hyperlinks = False  # a link would hide where it leads
        self.inline_code_lexer = None
        self.parsed = list(_set_off(tokens, above))
        self.inlines = Markdown.inlines | {UNKNOWN_CITATION, *(citation_tag(number) for number in cited)}


def _set_off(tokens: list[Token], above: Above) -> Iterator[Token]:
    for token in tokens:
        in_between = above is Above.DEFINITION and token.type == "definition_open"
        if above is not Above.NOTHING and not in_between:
            yield Token("nothing", "", 0)  # of an unknown kind: it draws nothing, but Rich sets off what follows
        yield token
        above = Above.DEFINITION if token.type == "definition_close" else Above.NOTHING


def code_rows(line: Text, console: Console, options: ConsoleOptions) -> list[list[Segment]]:
    """One line of code, indented by a cell and folded where it is too long."""
    room = options.update(width=max(1, options.max_width - 2), height=None, justify="left")
    return [[Segment(" "), *row] for row in console.render_lines(line, room, pad=False)]


def last_of(tokens: list[Token], above: Above) -> Above:
    """What a block that follows will be below."""
    match tokens[-1].type if tokens else None:
        case None:
            return above
        case "hr":
            return Above.NOTHING
        case "definition_close":
            return Above.DEFINITION
        case _:
            return Above.BLOCK
