"""Markdown into rows of a terminal, with Rich."""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from markdown_it.token import Token
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from streamrag_cli.render.markdown.parsing import UNKNOWN_CITATION, Html, Parser, citation_tag
from streamrag_cli.render.markdown.slices import Above, Slice, code_rows, last_of
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


@dataclass(frozen=True, slots=True)
class Part:
    """Some blocks of a text, in its words.

    With `goes_on` the first is the rest of a list or quote whose beginning came before; `start` is the number of its
    first item, where it is an ordered list, and `last_number` one past the last item of all known so far.
    """

    source: str
    goes_on: bool = False
    start: int | None = None
    last_number: int | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rows of a part. `missed` are labels without a definition; `last` is what the next block will be below."""

    rows: list[Row]
    missed: set[str]
    last: Above


class RowRenderer:
    """Renders for one width. A `references` value is an address to link to, or "" for none."""

    def __init__(
        self,
        columns: int,
        *,
        color_system: ColorName | None,
        no_color: bool = False,
        references: Mapping[int, str] | None = None,
        html: Html = "shown",
    ) -> None:
        self.parser = Parser(html=html, cited=references)
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

    def final(self, part: Part, *, above: Above) -> Rendered:
        tokens, missed = self.parser.final(part.source)
        rows = [self.row(line) for line in self._laid_out(tokens, part, above)]
        return Rendered(rows, missed, last_of(tokens, above))

    def preview(self, part: Part, *, above: Above) -> tuple[list[list[Segment]], str]:
        """The same for what may end in the midst of a line: lines, and what block it is, if it is only one."""
        tokens = self.parser.preview(part.source)
        tops = [token.type for token in tokens if token.level == 0 and token.nesting >= 0]
        return self._laid_out(tokens, part, above), tops[0] if len(tops) == 1 else ""

    def _laid_out(self, tokens: list[Token], part: Part, above: Above) -> list[list[Segment]]:
        if part.start is not None and tokens and tokens[0].type == "ordered_list_open":
            tokens[0].attrs["start"] = part.start
        if part.last_number is not None and tokens:
            tokens[0].meta["last_number"] = part.last_number
        lines = self._lines(Slice(tokens, above=Above.BLOCK if part.goes_on else above, cited=self._cited))
        return lines[1:] if part.goes_on else lines

    def code(self, lines: Iterable[Text]) -> list[Row]:
        return [self.row(row) for line in lines for row in code_rows(line, self._console, self._options)]

    def inline(self, source: str) -> Text:
        """Words and their marks as one line, whatever block they would begin: as Rich has them, but much faster."""
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
