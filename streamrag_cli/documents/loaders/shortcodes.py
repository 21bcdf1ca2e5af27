"""Removes Hugo shortcodes and Jekyll tags from Markdown, but keeps the text that they enclose.

Shortcodes around code are replaced by a fence. Comment shortcodes are removed with their content.
"""

import re
from typing import Final

from streamrag_cli.documents.loaders.lines import Edit

SHORTCODE: Final = r"\{\{[<%](?!/\*)|\{%"
_CLOSERS: Final = {"{{<": ">}}", "{{%": "%}}", "{%": "%}"}
_MARK_CHARS: Final = 2000
_CODE_CHARS: Final = 20_000
_HEAD: Final = re.compile(r"-?\s*(/?)\s*([\w./-]+)(.*?)(/?)-?\s*\Z", re.DOTALL)
_CODE: Final = frozenset(
    {"highlight", "code", "code-block", "codeblock", "code-toggle", "prism", "terminal", "console"}
)
_HIDDEN: Final = frozenset({"comment"})
_LANGUAGE: Final = re.compile(r"(?:.*?\blang(?:uage)?\s*=)?\s*[\"']?([\w+#-]{1,20})[\"']?(?=\s|\Z)", re.DOTALL)
_ITEM_MARK: Final = re.compile(r"[ \t]*(?:[-*+:>][ \t]+)?")


class Shortcodes:
    """Computes the edits for the shortcodes in a text, in order. Text before the offset `code_until` is code."""

    def __init__(self, text: str) -> None:
        self.code_until = -1
        self._text = text
        self._closings: dict[str, re.Match[str] | None] = {}

    def edit(self, start: int) -> Edit | None:
        """Return the edit for the shortcode that begins at `start`; None if no shortcode begins there."""
        text = self._text
        opener = text[start : start + (3 if text.startswith("{{", start) else 2)]
        close = text.find(_CLOSERS[opener], start + len(opener), start + _MARK_CHARS)
        head = text[start + len(opener) : close] if close >= 0 else ""
        match = _HEAD.fullmatch(head)
        if not match or opener in head or "\n\n" in head:
            return None
        end = close + len(_CLOSERS[opener])
        if start == self.code_until:
            return Edit(start, end, "```")
        is_opening = not (match[1] or match[4])
        if is_opening and match[2] in _HIDDEN and (closing := self._closing(match[2], end)):
            return Edit(start, closing.end())
        line_start = text.rfind("\n", 0, start) + 1
        line_end = text.find("\n", end)
        ends_line = not text[end : line_end if line_end >= 0 else len(text)].strip()
        is_code = ends_line and is_opening and match[2] in _CODE and not text[line_start:start].strip()
        if is_code and (closing := self._code_end(match[2], end)):
            self.code_until = closing.start()
            language = _LANGUAGE.match(match[3]) if match[2] != "code-toggle" else None
            return Edit(start, end, f"```{language[1] if language else ''}")
        is_whole_line = ends_line and _ITEM_MARK.fullmatch(text, line_start, start)
        return Edit(line_start if is_whole_line else start, end)

    def _code_end(self, name: str, start: int) -> re.Match[str] | None:
        """Return the closing shortcode after code; None if it is not on a separate line or the code has a fence."""
        closing = self._closing(name, start)
        if closing is None or closing.start() - start > _CODE_CHARS:
            return None
        if self._text.find("```", start, closing.start()) >= 0:
            return None
        line_start = self._text.rfind("\n", 0, closing.start()) + 1
        return closing if not self._text[line_start : closing.start()].strip() else None

    def _closing(self, name: str, start: int) -> re.Match[str] | None:
        """Return the next shortcode after `start` that closes the shortcode `name`, or None."""
        cached = self._closings.get(name)
        if name in self._closings and (cached is None or cached.start() >= start):
            return cached
        mark = re.escape(name)
        self._closings[name] = re.compile(
            rf"\{{\{{<\s*/\s*{mark}\s*>\}}\}}|\{{\{{%\s*/\s*{mark}\s*%\}}\}}|\{{%-?\s*end{mark}\s*-?%\}}"
        ).search(self._text, start)
        return self._closings[name]
