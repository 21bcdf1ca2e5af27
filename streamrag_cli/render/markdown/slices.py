"""Adapts Rich's Markdown so that a slice of a text is rendered exactly as it looks in the whole text."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import ClassVar, Final

from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, ListElement, Markdown, MarkdownElement, Paragraph, TableElement
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from streamrag_cli.render.markdown.code import Highlighter
from streamrag_cli.render.markdown.parsing import ADDRESS, UNKNOWN_CITATION, citation_tag


class Preceding(Enum):
    """The kind of the preceding block, which determines whether Rich prints a blank row before the next block."""

    NOTHING = "nothing, or a rule"
    DEFINITION = "a definition that produces output"
    CODE = "code, or a list or quote that ends in code"
    BLOCK = "any other block"


_CODE_LINE: Final = "code_line"
_CODE_BLOCKS: Final = frozenset({"fence", "code_block"})
_CONTAINER_MARKS: Final = " ▌"


class _Code(CodeBlock):
    """A code block, highlighted line by line by `Highlighter`.

    It renders one placeholder per line of code, because Rich would indent code in lists and quotes, and cut long
    lines. `Slice.with_code` replaces the placeholders.
    """

    lines_of_slice: list[Text]

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> "_Code":
        element = cls(token.info.partition(" ")[0] or "text", "default")
        assert isinstance(markdown, Slice)  # noqa: S101 - only slices have this element
        element.lines_of_slice = markdown.code_lines
        return element

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in Highlighter(self.lexer_name).lines(str(self.text).rstrip() + "\n"):
            yield Segment(" ", Style(meta={_CODE_LINE: len(self.lines_of_slice)}))
            yield Segment.line()
            self.lines_of_slice.append(line)


class _Table(TableElement):
    """A table, which may be wider than prose unless it is inside a list or a quote."""

    columns: tuple[int, int]

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> "_Table":
        del token
        element = cls()
        assert isinstance(markdown, Slice)  # noqa: S101 - only slices have this element
        element.columns = markdown.prose_columns, markdown.columns
        return element

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        prose_columns, columns = self.columns
        if options.max_width == prose_columns:
            options = options.update(width=columns)
        for table in super().__rich_console__(console, options):
            # The edge of the box is a blank row above and below the table, in addition to those between blocks.
            for line in console.render_lines(table, options, pad=False)[1:-1]:  # type: ignore[arg-type]
                yield from line
                yield Segment.line()


class _List(ListElement):
    """A list with an explicit last number, because in a slice the list's last item may be missing."""

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
    """Renders tokens with Rich. `preceding` determines whether Rich prints a blank row before the first block.

    Text is wrapped at `prose_columns`, but a table may be as wide as the terminal, which has `columns`.
    """

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "fence": _Code,
        "code_block": _Code,
        "table_open": _Table,
        "bullet_list_open": _List,
        "ordered_list_open": _List,
        "definition_open": _Definition,
    }

    def __init__(
        self,
        tokens: list[Token],
        *,
        preceding: Preceding,
        columns: int,
        prose_columns: int,
        cited: Iterable[int] = (),
    ) -> None:
        self.columns = columns
        self.prose_columns = prose_columns
        self.code_lines: list[Text] = []
        # Does not call Rich's __init__, which builds a parser: 0.5 ms, more than a frame takes.
        self.markup = ""
        self.code_theme = self.inline_code_theme = "default"
        self.justify = None
        self.style = "none"
        self.hyperlinks = False  # a link would hide its address
        self.inline_code_lexer = None
        self.parsed = list(_with_separators(tokens, preceding))
        self.inlines = Markdown.inlines | {ADDRESS, UNKNOWN_CITATION, *(citation_tag(number) for number in cited)}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from super().__rich_console__(console, options.update(width=self.prose_columns))

    def with_code(
        self, lines: list[list[Segment]], console: Console, *, continues: Preceding | None
    ) -> list[list[Segment]]:
        """Replace the placeholders in rendered `lines` with the lines of code, which begin at the left edge.

        They are not wrapped, so that copied code has neither an indent nor additional newlines. A bullet or number
        before the code keeps its own row. In lists and quotes, a blank row separates code and text. `continues` is what
        precedes `lines` in the same list or quote.
        """
        after_code = continues is Preceding.CODE
        after_text = continues is not None and not after_code
        if not self.code_lines and not after_code:
            return lines
        rows: list[list[Segment]] = []
        for line in lines:
            before, number = _code_placeholder(line)
            has_text = _has_text(before)
            is_inner_code = number is not None and bool(before)
            if (after_code and has_text) or (after_text and is_inner_code and not has_text):
                rows.append([])
            if has_text or number is None:
                rows.append(before)
            if number is not None:
                rows.append(list(self.code_lines[number].render(console)))
            after_code, after_text = is_inner_code, has_text and not is_inner_code
        return rows


def _code_placeholder(line: list[Segment]) -> tuple[list[Segment], int | None]:
    """The segments before the placeholder of a line of code, and the number of that line; None if there is none."""
    for at, segment in enumerate(line):
        number = segment.style.meta.get(_CODE_LINE) if segment.style else None
        if number is not None:
            return line[:at], number
    return line, None


def _has_text(line: list[Segment]) -> bool:
    """Whether the line has more than the indent of a list or the mark of a quote, such as a bullet."""
    return "".join(segment.text for segment in line).strip(_CONTAINER_MARKS) != ""


def _with_separators(tokens: list[Token], preceding: Preceding) -> Iterator[Token]:
    for token in tokens:
        in_between = preceding is Preceding.DEFINITION and token.type == "definition_open"
        if preceding is not Preceding.NOTHING and not in_between:
            yield Token("nothing", "", 0)  # an unknown type: Rich draws nothing, but separates the next block
        yield token
        preceding = Preceding.DEFINITION if token.type == "definition_close" else Preceding.NOTHING


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
            innermost = next((token.type for token in reversed(tokens) if token.nesting >= 0), "")
            return Preceding.CODE if innermost in _CODE_BLOCKS else Preceding.BLOCK
