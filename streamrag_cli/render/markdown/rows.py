"""Renders Markdown to terminal rows with Rich."""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from markdown_it.token import Token
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from streamrag_cli.render.markdown.parsing import (
    UNBREAKABLE_SPACE,
    UNKNOWN_CITATION,
    Html,
    Parser,
    citation_tag,
)
from streamrag_cli.render.markdown.slices import Preceding, Slice, last_of
from streamrag_cli.render.markdown.theme import MARKDOWN_STYLES
from streamrag_cli.text import sanitise_line

ColorName = Literal["standard", "256", "truecolor"]

NARROWEST_COLUMNS: Final = 12  # Rich subtracts the list indent from the width, and drops the text if nothing is left
PROSE_COLUMNS: Final = 100  # longer lines are hard to read

_COLOR_SYSTEMS: Final = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}
_ESCAPE_CODE: Final = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;.*?\x1b\\")
_WIDTH_IS_SURE: Final = re.compile(
    "[ -~\u00a0-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2200-\u22ff\u2500-\u25ff"
    "\u3000-\u3029\u3030-\u3098\u309b-\u4dbf\u4e00-\ua4cf\uac00-\ud7a3\uff01-\uff60]*"
)


@dataclass(frozen=True, slots=True)
class Row:
    """Text with escape codes, all reset at its end. `cells` is its width according to Rich.

    It is one terminal row, except for a long line of code, which the terminal wraps. `width_is_sure` is False for
    emoji, combining marks and other characters whose width differs between terminals.
    """

    text: str
    cells: int
    width_is_sure: bool

    @property
    def plain(self) -> str:
        return _ESCAPE_CODE.sub("", self.text)

    def live_height(self, columns: int) -> int:
        """The number of terminal rows that this row takes in the live region, in which a row of unsure width is cut."""
        if self.cells <= columns or not self.width_is_sure:
            return 1
        plain = self.plain
        if len(plain) == self.cells:
            return -(-self.cells // columns)
        rows, used = 1, 0
        for char in plain:
            used += cell_len(char)
            if used > columns:  # a wide character that does not fit moves to the next row
                rows, used = rows + 1, cell_len(char)
        return rows


@dataclass(frozen=True, slots=True)
class Part:
    """The source of some blocks.

    If `is_continuation`, the first block continues an earlier list or quote. For an ordered list, `start` is the number
    of the first item in this part, and `last_number` is one more than the number of the last known item.
    """

    source: str
    is_continuation: bool = False
    start: int | None = None
    last_number: int | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rows of a part. `unresolved` are labels without a definition; `last` is the kind of the last block."""

    rows: list[Row]
    unresolved: set[str]
    last: Preceding


class RowRenderer:
    """Renders Markdown for a terminal of `columns`. `references` maps citations to their links, or "" for no link.

    Text is wrapped at `prose_columns`.
    """

    def __init__(
        self,
        columns: int,
        *,
        color_system: ColorName | None,
        no_color: bool = False,
        references: Mapping[int, str] | None = None,
        html: Html = "shown",
    ) -> None:
        self.parser = Parser(html=html, cited=references, shows_backticks=no_color or color_system is None)
        self._cited = tuple(references or ())
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
            theme=Theme(MARKDOWN_STYLES | _citation_styles(references or {})),
        )
        self.columns = columns

    @property
    def columns(self) -> int:
        """The terminal's width, but at least `NARROWEST_COLUMNS`."""
        return self._options.max_width

    @columns.setter
    def columns(self, columns: int) -> None:
        self._options = self._console.options.update(width=max(columns, NARROWEST_COLUMNS), height=None)
        self.prose_columns = min(self.columns, PROSE_COLUMNS)

    def final(self, part: Part, *, preceding: Preceding) -> Rendered:
        tokens, unresolved = self.parser.final(part.source)
        rows = [self.row(line) for line in self._laid_out(tokens, part, preceding)]
        return Rendered(rows, unresolved, last_of(tokens, preceding))

    def preview(self, part: Part, *, preceding: Preceding) -> tuple[list[list[Segment]], str]:
        """Like `final`, for a part that may end within a line. Returns the lines and, for a single block, its type."""
        tokens = self.parser.preview(part.source)
        tops = [token.type for token in tokens if token.level == 0 and token.nesting >= 0]
        return self._laid_out(tokens, part, preceding), tops[0] if len(tops) == 1 else ""

    def _laid_out(self, tokens: list[Token], part: Part, preceding: Preceding) -> list[list[Segment]]:
        if part.start is not None and tokens and tokens[0].type == "ordered_list_open":
            tokens[0].attrs["start"] = part.start
        if part.last_number is not None and tokens:
            tokens[0].meta["last_number"] = part.last_number
        markdown = Slice(
            tokens,
            preceding=Preceding.BLOCK if part.is_continuation else preceding,
            columns=self.columns,
            prose_columns=self.prose_columns,
            cited=self._cited,
        )
        lines = self._console.render_lines(markdown, self._options, pad=False)
        if part.is_continuation:
            # Rich draws no blank row above a quote that ends in a rule.
            begins = 1 if lines and not any(segment.text.strip() for segment in lines[0]) else 0
            return markdown.with_code(lines[begins:], self._console, continues=preceding)
        return markdown.with_code(lines, self._console, continues=None)

    def code(self, lines: Iterable[Text]) -> list[Row]:
        return [self.text_row(line) for line in lines]

    def live_height(self, rows: Iterable[Row]) -> int:
        return sum([row.live_height(self.columns) for row in rows])

    def inline(self, source: str) -> Text:
        """Render inline markup as Rich does, but much faster. Block markers are not interpreted."""
        text = Text()
        styles = [Style.null()]
        address = ""
        for token in (part for inline in self.parser.inline(source) for part in inline.children or ()):
            match token.type:
                case "text":
                    text.append(token.content, styles[-1])
                case "softbreak":
                    text.append(" ", styles[-1])
                case "hardbreak":
                    text.append("\n")
                case "link_close":
                    styles.pop()
                    text.append(f" ({address})", styles[-1])
                case _ if token.nesting > 0:
                    address = str(token.attrs.get("href", ""))
                    styles.append(self._inline_style(token, styles[-1]))
                case _ if token.nesting < 0:
                    styles.pop()
                case _:
                    text.append(token.content, self._inline_style(token, styles[-1]))
        return text

    def _inline_style(self, token: Token, outer: Style) -> Style:
        name = "link" if token.type == "link_open" else token.tag
        return outer + self._console.get_style(f"markdown.{name}", default="none") if name else outer

    def wrapped(self, text: Text, columns: int) -> list[Text]:
        return list(text.wrap(self._console, columns))

    def text_row(self, text: Text) -> Row:
        return self.row(list(text.render(self._console)))

    def row(self, segments: list[Segment]) -> Row:
        visible = [
            Segment(segment.text.replace(UNBREAKABLE_SPACE, " "), segment.style)
            for segment in segments
            if segment.text and not segment.control
        ]
        while visible and _is_blank(visible[-1]):
            visible.pop()
        if visible and not _shows_blanks(visible[-1].style):
            visible[-1] = Segment(visible[-1].text.rstrip(" "), visible[-1].style)
        plain = "".join(segment.text for segment in visible)
        return Row(
            text="".join(self._styled(segment) for segment in Segment.simplify(visible)),
            cells=cell_len(plain),
            width_is_sure=_WIDTH_IS_SURE.fullmatch(plain) is not None,
        )

    def _styled(self, segment: Segment) -> str:
        style = segment.style
        if not style:
            return segment.text
        address = style.link
        if address:
            style = style.update_link(None)  # Rich gives links random ids, so that every frame would differ
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
