"""Markdown into rows of a terminal, with Rich; a slice comes out as it would in the midst of the whole."""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from markdown_it.token import Token
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, ListElement, Markdown, MarkdownElement
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from streamrag_cli.render.markdown.code import Highlighter
from streamrag_cli.render.markdown.parsing import UNKNOWN_CITATION, citation_tag, parse, parse_inline
from streamrag_cli.text import sanitise_line

ColorName = Literal["standard", "256", "truecolor"]

NARROWEST_COLUMNS: Final = 12  # Rich takes a list's indent off the width, and drops the text where nothing is left

_COLOR_SYSTEMS: Final = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}
_WIDTH_IS_SURE: Final = re.compile(
    "[ -~\u00a0-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2200-\u22ff\u2500-\u25ff"
    "\u3000-\u3029\u3030-\u3098\u309b-\u4dbf\u4e00-\ua4cf\uac00-\ud7a3\uff01-\uff60]*"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is written: text with its styles, ending in none. `cells` is its width by Rich's tables.

    `width_is_sure` is False with emoji, combining marks and the like, on whose width terminals disagree.
    """

    text: str
    cells: int
    width_is_sure: bool


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
    """A list in which an item's number alone decides how much room it has, not the number of the last."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.list_type == "bullet_list_open":
            yield from super().__rich_console__(console, options)
            return
        for number, item in enumerate(self.items, 1 if self.list_start is None else self.list_start):
            yield from item.render_number(console, options, number, max(number, 10))


class StreamableMarkdown(Markdown):
    """Rich's Markdown from tokens. `after` says that a block came before, which Rich's spacing depends on."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "fence": _Code,
        "code_block": _Code,
        "bullet_list_open": _List,
        "ordered_list_open": _List,
    }

    def __init__(self, tokens: list[Token], *, after: bool = False, cited: Iterable[int] = ()) -> None:
        # Not Rich's own beginning, which builds a parser: half a millisecond, more than a frame takes.
        self.markup = ""
        self.code_theme = self.inline_code_theme = "default"
        self.justify = None
        self.style = "none"
        self.hyperlinks = False  # a link would hide where it leads
        self.inline_code_lexer = None
        self.parsed = [*([_nothing()] if after else []), *_with_steady_gaps(tokens)]
        self.inlines = Markdown.inlines | {UNKNOWN_CITATION, *(citation_tag(number) for number in cited)}


def _nothing() -> Token:
    """A token of an unknown kind: it draws nothing, but Rich sets off what follows."""
    return Token("nothing", "", 0)


def _with_steady_gaps(tokens: list[Token]) -> Iterator[Token]:
    """Keep a rule at the end of a quote from closing the gap above the quote, which may be on the screen already."""
    for token in tokens:
        yield token
        if token.type == "hr" and token.level:
            yield _nothing()


def code_rows(line: Text, console: Console, options: ConsoleOptions) -> list[list[Segment]]:
    """One line of code, indented by a cell and folded where it is too long."""
    room = options.update(width=max(1, options.max_width - 2), height=None, justify="left")
    return [[Segment(" "), *row] for row in console.render_lines(line, room, pad=False)]


class RowRenderer:
    """Renders for one width. A `references` value is an address to link to, or "" for none."""

    def __init__(
        self,
        columns: int,
        *,
        color_system: ColorName | None,
        no_color: bool = False,
        references: Mapping[int, str] | None = None,
    ) -> None:
        self._references = references
        self._color_system = _COLOR_SYSTEMS[color_system] if color_system else None
        self._no_color = no_color
        self._console = Console(
            file=io.StringIO(),
            force_terminal=True,
            force_jupyter=False,
            color_system=color_system,
            no_color=no_color,
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
            width=80,
            height=25,
            theme=Theme(_citation_styles(references or {})),
        )
        self.columns = columns

    @property
    def columns(self) -> int:
        """The width that rows are laid out for: the terminal's, unless that is too narrow for any layout."""
        return self._options.max_width

    @columns.setter
    def columns(self, columns: int) -> None:
        self._options = self._console.options.update(width=max(columns, NARROWEST_COLUMNS), height=None)

    def lines(
        self, source: str, *, after: bool = False, goes_on: bool = False, start: int | None = None
    ) -> tuple[list[list[Segment]], bool]:
        """The lines of `source`, and whether a block that follows is to be set off from them.

        `after` says that a block came before. With `goes_on` the source begins with the rest of a list or quote
        whose beginning is there already; `start` is the number of its first item.
        """
        tokens = parse(source, self._references)
        if start is not None and tokens and tokens[0].type == "ordered_list_open":
            tokens[0].attrs["start"] = start
        lines = self._lines(StreamableMarkdown(tokens, after=after or goes_on, cited=self._references or ()))
        return lines[1:] if goes_on else lines, bool(tokens) and tokens[-1].type != "hr"

    def code(self, lines: Iterable[Text]) -> list[Row]:
        return [self.row(row) for line in lines for row in code_rows(line, self._console, self._options)]

    def inline(self, source: str) -> Text:
        """Words and their marks as one line, whatever block they would begin: as Rich has them, but much faster."""
        text = Text()
        styles = [Style.null()]
        address = ""
        for token in (part for inline in parse_inline(source, self._references) for part in inline.children or ()):
            name = "link" if token.type in {"link_open", "link_close"} else token.tag
            style = styles[-1] + self._console.get_style(f"markdown.{name}", default="none")
            match token.type:
                case "softbreak":
                    text.append(" ", styles[-1])
                case "hardbreak":
                    text.append("\n")
                case "link_close":
                    styles.pop()
                    text.append(f" ({address})", styles[-1])
                case _ if token.nesting > 0:
                    address = str(token.attrs.get("href", ""))
                    styles.append(style)
                case _ if token.nesting < 0:
                    styles.pop()
                case _:
                    text.append(token.content, style if token.tag else styles[-1])
        return text

    def wrapped(self, text: Text, columns: int) -> list[Text]:
        return list(text.wrap(self._console, columns))

    def text_row(self, text: Text) -> Row:
        return self.row(list(text.render(self._console)))

    def _lines(self, renderable: Any) -> list[list[Segment]]:
        return self._console.render_lines(renderable, self._options, pad=False)

    def row(self, segments: list[Segment]) -> Row:
        kept = [segment for segment in segments if segment.text and not segment.control]
        while kept and _is_blank(kept[-1]):
            kept.pop()
        if kept and not _shows_blanks(kept[-1].style):
            kept[-1] = Segment(kept[-1].text.rstrip(" "), kept[-1].style)
        plain = "".join(segment.text for segment in kept)
        return Row(
            text="".join(self._styled(segment) for segment in Segment.simplify(kept)),
            cells=cell_len(plain),
            width_is_sure=_WIDTH_IS_SURE.fullmatch(plain) is not None,
        )

    def _styled(self, segment: Segment) -> str:
        style = segment.style
        if not style:
            return segment.text
        address = style.link
        if address:
            style = style.update_link(None)  # Rich would give it a random id, and no two frames would be alike
        if self._no_color:
            style = style.without_color
        shown = style.render(segment.text, color_system=self._color_system) if self._color_system else segment.text
        return f"\x1b]8;;{address}\x1b\\{shown}\x1b]8;;\x1b\\" if address else shown


def plain_row(text: str) -> Row:
    """A row without styles."""
    return Row(text=text, cells=cell_len(text), width_is_sure=_WIDTH_IS_SURE.fullmatch(text) is not None)


def _citation_styles(references: Mapping[int, str]) -> dict[str, Style]:
    styles = {f"markdown.{UNKNOWN_CITATION}": Style(color="red", bold=True)}
    for number, address in references.items():
        styles[f"markdown.{citation_tag(number)}"] = Style(color="cyan", link=sanitise_line(address) or None)
    return styles


def _is_blank(segment: Segment) -> bool:
    return not segment.text.strip(" ") and not _shows_blanks(segment.style)


def _shows_blanks(style: Style | None) -> bool:
    return style is not None and bool(style.bgcolor or style.underline or style.reverse or style.strike or style.link)
