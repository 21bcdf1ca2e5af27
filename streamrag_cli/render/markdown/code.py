"""Highlights code line by line, so that the colours of a complete line never change.

A `RegexLexer` keeps a stack of states, with which it can resume at the end of the last line.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from pygments.lexer import Lexer, RegexLexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token as AnyToken
from pygments.token import _TokenType
from pygments.util import ClassNotFound
from rich.style import Style
from rich.text import Text

from streamrag_cli.render.markdown.theme import CODE_STYLES

_TAB_CELLS: Final = 4
_CONTEXT_LINES: Final = 10  # lexers that cannot resume read these lines again
_LONGEST_OPEN_TOKEN_CHARS: Final = 4000


class Highlighter:
    """Highlights the lines of one code block, in order."""

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language)
        self._stack: list[str] = ["root"]
        self._open = ""  # highlighted code that the lexer must read again with the following lines

    def lines(self, code: str) -> list[Text]:
        """Highlight complete lines, each ending in a newline.

        The lexer gets each line separately. If it got several lines, it could look ahead, and the colours would depend
        on how many lines had arrived.
        """
        return [self._line(f"{line}\n") for line in _expanded(code).split("\n")[:-1]]

    def _line(self, line: str) -> Text:
        if self._lexer is None:
            return Text(line[:-1])
        code = self._open + line
        if _is_resumable(self._lexer):
            tokens, self._stack, self._open = _lexed(self._lexer, code, self._stack)
        else:
            tokens = list(self._lexer.get_tokens_unprocessed(code))
            self._open = "".join(f"{line}\n" for line in code.split("\n")[-_CONTEXT_LINES - 1 : -1])
        return _highlighted_last_line(code[:-1], tokens)

    def unfinished(self, line: str) -> Text:
        """Highlight the beginning of an incomplete line."""
        line = _expanded(line)
        if self._lexer is None or not _is_resumable(self._lexer):
            return Text(line)
        tokens, _, _ = _lexed(self._lexer, self._open + line + "\n", self._stack)
        return _highlighted_last_line(self._open + line, tokens)


@cache
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=True, tabsize=_TAB_CELLS)
    except ClassNotFound:
        return None


def _is_resumable(lexer: Lexer) -> bool:
    return isinstance(lexer, RegexLexer) and type(lexer).get_tokens_unprocessed is RegexLexer.get_tokens_unprocessed


def _expanded(code: str) -> str:
    return code.expandtabs(_TAB_CELLS)


def _lexed(lexer: Any, code: str, stack: list[str]) -> tuple[list[tuple[int, Any, str]], list[str], str]:
    """The tokens, the stack to resume with, and the code that must be read again with the next line.

    The last token must be read again if it spans several lines and reaches the end, such as a comment that may
    continue. The loop is copied from `RegexLexer`, which does not expose its stack.
    """
    tokens: list[tuple[int, Any, str]] = []
    stack, last_stack = stack.copy(), stack
    at = last_at = 0
    while at < len(code):
        for matches, action, new_state in lexer._tokens[stack[-1]]:
            match = matches(code, at)
            if not match:
                continue
            if match.end() > at:
                last_stack, last_at = stack.copy(), at
            if type(action) is _TokenType:
                tokens.append((at, action, match.group()))
            elif action is not None:
                tokens.extend(action(lexer, match))
            at = match.end()
            if new_state is not None:
                _change(stack, new_state)
            break
        else:
            last_at = at
            if code[at] == "\n":
                stack = ["root"]
            tokens.append((at, AnyToken, code[at]))
            at += 1
    last = code[last_at:]
    if "\n" in last[:-1] and not last.isspace() and len(last) < _LONGEST_OPEN_TOKEN_CHARS:
        return tokens, last_stack, last
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


def _highlighted_last_line(code: str, tokens: Iterable[tuple[int, Any, str]]) -> Text:
    """The last line of `code` with its tokens' styles."""
    begins = code.rfind("\n") + 1
    text = Text(code[begins:])
    for at, kind, value in tokens:
        style = _style(kind)
        if style and at + len(value) > begins and value.strip():
            text.stylize(style, max(0, at - begins), at + len(value) - begins)
    return text


@cache
def _style(kind: Any) -> Style:
    while kind not in CODE_STYLES:
        kind = kind.parent
    return CODE_STYLES[kind]
