"""The styles of Markdown and of code, for light and dark backgrounds, including Solarized.

Text has the terminal's own colour and is set apart by bold, italic and underlined letters. Green, cyan and red are
readable in all usual palettes. These combinations are not, so they are not used here:

- yellow on a light background, and blue and magenta on a dark one
- bright colours, which Solarized uses for shades of its background; many terminals turn a bold colour into a bright one
- dim text, which Solarized makes almost invisible
"""

from typing import Final

from pygments.token import Comment, Error, Generic, Keyword, Name, Number, Operator, String
from pygments.token import Token as AnyToken
from rich.style import Style

_PLAIN: Final = Style.null()
_BOLD: Final = Style(bold=True)
_ITALIC: Final = Style(italic=True)
_CYAN: Final = Style(color="cyan")
_GREEN: Final = Style(color="green")

MARKDOWN_STYLES: Final = {
    "markdown.code": _CYAN,
    "markdown.code_block": _PLAIN,
    "markdown.block_quote": _PLAIN,
    "markdown.list": _PLAIN,
    "markdown.item.bullet": _BOLD,
    "markdown.item.number": _BOLD,
    "markdown.hr": _PLAIN,
    "markdown.h1": Style(bold=True, underline=True),
    "markdown.h2": Style(bold=True, underline=True),
    "markdown.h3": _BOLD,
    "markdown.h4": Style(bold=True, italic=True),
    "markdown.h5": _ITALIC,
    "markdown.h6": _ITALIC,
    "markdown.link": _PLAIN,
    "markdown.link_url": Style(underline=True),
    "markdown.table.border": _PLAIN,
    "markdown.table.header": _BOLD,
    "markdown.kbd": _BOLD,
}

CODE_STYLES: Final = {
    AnyToken: _PLAIN,
    Comment: _ITALIC,
    Keyword: _BOLD,
    Operator.Word: _BOLD,
    Name.Builtin: _CYAN,
    Name.Tag: _BOLD,
    Name.Decorator: _CYAN,
    Name.Attribute: _CYAN,
    String: _GREEN,
    Number: _CYAN,
    Generic.Deleted: Style(color="red"),
    Generic.Inserted: _GREEN,
    Generic.Heading: _BOLD,
    Error: _PLAIN,  # an incomplete line may look like an error
}
