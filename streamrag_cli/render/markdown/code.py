"""Code, coloured a line at a time: what a line looks like is settled when it is complete.

A lexer of the usual kind keeps a stack of states, so it can go on where the last line ended. Colours are the
terminal's own and few, and are read on a light and on a dark ground alike.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from pygments.lexer import Lexer, RegexLexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Error, Generic, Keyword, Name, Number, Operator, String, _TokenType
from pygments.token import Token as AnyToken
from pygments.util import ClassNotFound
from rich.style import Style
from rich.text import Text

_TAB_CELLS: Final = 4
_CONTEXT_LINES: Final = 10  # what a lexer that cannot go on reads again
_LONGEST_OPEN_TOKEN_CHARS: Final = 4000

_STYLES: Final = {
    AnyToken: Style.null(),
    Comment: Style(dim=True, italic=True),
    Keyword: Style(color="magenta"),
    Operator.Word: Style(color="magenta"),
    Name.Builtin: Style(color="cyan"),
    Name.Function: Style(bold=True),
    Name.Class: Style(bold=True),
    Name.Tag: Style(color="magenta"),
    Name.Decorator: Style(color="cyan"),
    Name.Attribute: Style(color="cyan"),
    String: Style(color="green"),
    Number: Style(color="cyan"),
    Generic.Deleted: Style(color="red"),
    Generic.Inserted: Style(color="green"),
    Generic.Heading: Style(bold=True),
    Generic.Prompt: Style(dim=True),
    Error: Style.null(),  # of half a line one cannot say that it is wrong
}


class Highlighter:
    """Colours one piece of code, given in order."""

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language)
        self._stack: list[str] = ["root"]
        self._open = ""  # code already coloured that must be read again with what follows

    def lines(self, code: str) -> list[Text]:
        """Colour whole lines, each ending in a newline.

        Line by line, also where all is there: a lexer may look ahead, and one line would make another look different.
        """
        return [self._line(f"{line}\n") for line in _expanded(code).split("\n")[:-1]]

    def _line(self, line: str) -> Text:
        if self._lexer is None:
            return Text(line[:-1])
        code = self._open + line
        if _can_go_on(self._lexer):
            tokens, self._stack, self._open = _lexed(self._lexer, code, self._stack)
        else:
            tokens = list(self._lexer.get_tokens_unprocessed(code))
            self._open = "".join(f"{line}\n" for line in code.split("\n")[-_CONTEXT_LINES - 1 : -1])
        return _coloured_end(code[:-1], tokens)

    def unfinished(self, line: str) -> Text:
        """Colour the beginning of a line, to be shown while the rest is awaited."""
        line = _expanded(line)
        if self._lexer is None or not _can_go_on(self._lexer):
            return Text(line)
        tokens, _, _ = _lexed(self._lexer, self._open + line + "\n", self._stack)
        return _coloured_end(self._open + line, tokens)


@cache
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=True, tabsize=_TAB_CELLS)
    except ClassNotFound:
        return None


def _can_go_on(lexer: Lexer) -> bool:
    return isinstance(lexer, RegexLexer) and type(lexer).get_tokens_unprocessed is RegexLexer.get_tokens_unprocessed


def _expanded(code: str) -> str:
    return code.expandtabs(_TAB_CELLS)


def _lexed(lexer: Any, code: str, stack: list[str]) -> tuple[list[tuple[int, Any, str]], list[str], str]:
    """Tokens, the stack to go on with, and the code to begin with next time.

    That is the last token, when it reaches from one line to the end of all there is: a comment, perhaps, whose end
    has not come yet, and which the lexer knows by its beginning alone. The same loop as in `RegexLexer`, which
    does not tell its stack.
    """
    tokens: list[tuple[int, Any, str]] = []
    stack, begun = stack.copy(), stack
    at = begun_at = 0
    while at < len(code):
        for matches, action, new_state in lexer._tokens[stack[-1]]:
            found = matches(code, at)
            if not found:
                continue
            if found.end() > at:
                begun, begun_at = stack.copy(), at
            if type(action) is _TokenType:
                tokens.append((at, action, found.group()))
            elif action is not None:
                tokens.extend(action(lexer, found))
            at = found.end()
            if new_state is not None:
                _change(stack, new_state)
            break
        else:
            begun_at = at
            if code[at] == "\n":
                stack = ["root"]
            tokens.append((at, AnyToken, code[at]))
            at += 1
    last = code[begun_at:]
    if "\n" in last[:-1] and not last.isspace() and len(last) < _LONGEST_OPEN_TOKEN_CHARS:
        return tokens, begun, last
    return tokens, stack, ""


def _change(stack: list[str], new_state: Any) -> None:
    states = new_state if isinstance(new_state, tuple) else (new_state,)
    for state in states:
        if state == "#pop":
            _pop(stack, 1)
        elif state == "#push":
            stack.append(stack[-1])
        elif isinstance(state, int):
            _pop(stack, -state)
        else:
            stack.append(state)


def _pop(stack: list[str], count: int) -> None:
    del stack[max(1, len(stack) - count) :]


def _coloured_end(code: str, tokens: Iterable[tuple[int, Any, str]]) -> Text:
    """The last line of `code` in colour."""
    begins = code.rfind("\n") + 1
    text = Text(code[begins:])
    for at, kind, value in tokens:
        style = _style(kind)
        if style and at + len(value) > begins and value.strip():
            text.stylize(style, max(0, at - begins), at + len(value) - begins)
    return text


@cache
def _style(kind: Any) -> Style:
    while kind not in _STYLES:
        kind = kind.parent
    return _STYLES[kind]
