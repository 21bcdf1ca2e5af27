"""Classifies the known reasons why a streamed text may end up different from a single render of it.

Some rows depend on text that follows much later. Rows that have already left the screen cannot be changed. To confirm
this, the same text is streamed with its link definitions first and on a taller screen, where it must be equal.
"""

from collections.abc import Iterator
from itertools import pairwise

from markdown_it.token import Token

from streamrag_cli.render.markdown.parsing import Html, Parser
from streamrag_cli.text import sanitise
from tests.support.terminal_emulator import Emulator, difference, rendered_whole, streamed

LATE_REFERENCE = "a link was defined after its use had left the screen"
PICTURE = "an image appeared in a list or quote whose beginning had left the screen"
RULE = "a rule ended a quote whose beginning had left the screen"
NUMBERS = "the numbers of a list got wider after its beginning had left the screen"
KEYS = "an unclosed <kbd>, whose style Rich applies to the following text"
UNKNOWN = "unknown"

_TALLER_BY = 50


def exception(text: str, *, columns: int, lines: int, seed: int, pieces: int = 60, html: Html = "dropped") -> str:
    """The reason why this text is rendered differently at this size, or "" if it is not."""

    def shown(source: str, height: int) -> Emulator:
        return streamed(source, columns=columns, lines=height, seed=seed, pieces=pieces, html=html)

    expected = rendered_whole(text, columns=columns, lines=lines, html=html)
    if not difference(shown(text, lines), expected):
        return ""
    defined = definitions_first(text, html)
    if not difference(shown(defined, lines), expected):
        return LATE_REFERENCE
    if not difference(shown(defined, len(expected.text) + _TALLER_BY), expected):
        return " and ".join(dict.fromkeys(_row_reasons(Parser(html=html).final(sanitise(text))[0]))) or UNKNOWN
    if html == "dropped" and text.count("<kbd>") > text.count("</kbd>"):
        closed = text.replace("<kbd>", "<kbd></kbd>")
        return KEYS if not exception(closed, columns=columns, lines=lines, seed=seed, pieces=pieces) else UNKNOWN
    return UNKNOWN


def definitions_first(text: str, html: Html = "dropped") -> str:
    """The text with a copy of its link definitions at the beginning, where they are not visible."""
    parser = Parser(html=html)
    parser.blocks(sanitise(text))
    definitions = parser.definitions.items()
    return "".join(f"[{label}]: <{definition['href']}>\n" for label, definition in definitions) + "\n" + text


def _row_reasons(tokens: list[Token]) -> Iterator[str]:
    kind, items = "", 0
    for token, following in pairwise([*tokens, Token("end", "", 0)]):
        if token.level == 0 and token.nesting == 1:
            kind, items = token.type, int(token.attrs.get("start", 1))
        elif token.type == "list_item_open" and token.level == 1:
            items += 1
        elif token.type == "inline" and kind in {"bullet_list_open", "ordered_list_open", "blockquote_open"}:
            if any(child.type == "image" for child in token.children or ()):
                yield PICTURE
        elif (token.type, following.type, token.level) == ("hr", "blockquote_close", 1):
            yield RULE
        elif token.type == "ordered_list_close" and token.level == 0 and items >= 10:
            yield NUMBERS
