"""Removes invisible markup from Markdown: comments, and the syntax of note apps and site generators.

Hugo shortcodes and Jekyll tags are removed, but the text that they enclose is kept. Comments in HTML, in Obsidian's
syntax and in link definitions are removed. A link to a note is replaced by the note's name, and a highlight by its
text. Code blocks and inline code are unchanged.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from streamrag_cli.documents.loaders.lines import Edit
from streamrag_cli.documents.loaders.shortcodes import SHORTCODE, Shortcodes

_MARKS: Final = re.compile(
    r"(?P<code>`+)|(?P<comment><!--)|(?P<aside>(?<![\w%])%%(?!%))|(?P<link>!?\[\[(?=[^\s\[\]]))|(?P<mark>==(?=[^\s=]))"
    rf"|(?P<shortcode>{SHORTCODE})"
    r"|(?P<definition>^[ ]{0,3}\[(?://|comment|_[\w-]+)\]:[ \t]*(?:#|<>)[ \t]*[\"'(].*$)"
    r"|(?P<callout>^[ \t>]*>[ \t]*\[!\w[\w|-]*\][+-]?)|(?P<block>[ \t]\^[\w-]+[ \t]*$)",
    re.MULTILINE,
)
MAY_CONTAIN_NOTES: Final = re.compile(
    r"<!--|%%|\{%|\{\{<|\[\[|==|\[!|[ \t]\^|^[ ]{0,3}\[(?://|comment|_)", re.MULTILINE
)
"""A quick check that matches every text which may contain the markup of notes."""

_CODE_CHARS: Final = 2000
_LINE_CHARS: Final = 1000
_LINK: Final = re.compile(r"!?\[\[([^\[\]\n|]+)(?:\\?\|([^\[\]\n]*))?\]\]")
_MARKED: Final = re.compile(r"==([^=\n]+)(?<!\s)==")
_ASIDE_END: Final = re.compile(r"%%(?![\w%])")
_PICTURE: Final = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|bmp|avif|mp[34]|m4a|wav|ogg|webm|mov|pdf)\Z", re.IGNORECASE)


def note_edits(text: str, start: int, code: Sequence[tuple[int, int]]) -> Iterator[Edit]:
    """Yield the edits that remove the markup after offset `start`. `code` lists the offsets of code blocks."""
    at = start
    ends = _Ends(text)
    shortcodes = Shortcodes(text)
    blocks = iter([*code, (len(text) + 1, len(text) + 1)])
    code_start, code_end = next(blocks)
    while markup := _MARKS.search(text, at):
        while code_end <= markup.start():
            code_start, code_end = next(blocks)
        if code_start <= markup.start():
            at = code_end
            continue
        edit = _edit(text, markup, ends, shortcodes)
        if edit.text != text[edit.start : edit.end]:
            yield edit
        at = max(edit.end, markup.end(), shortcodes.code_until)


def _edit(text: str, markup: re.Match[str], ends: "_Ends", shortcodes: Shortcodes) -> Edit:
    """Return the edit for a piece of markup. It changes nothing if `markup` is in fact plain text."""
    start, end = markup.span()
    unchanged = Edit(start, end, markup[0])
    match markup.lastgroup:
        case "code":
            closing = _same_run(text, markup[0], end)
            return Edit(start, end, markup[0]) if closing < 0 else Edit(start, closing, text[start:closing])
        case "comment":
            closing = ends.find("-->", end)
            return Edit(start, closing + 3) if closing >= 0 else unchanged
        case "aside":
            closes = _ASIDE_END.search(text, end, end + _CODE_CHARS)
            return Edit(start, closes.end()) if closes else unchanged
        case "shortcode":
            return shortcodes.edit(start) or unchanged
        case "link":
            link = _LINK.match(text, start, start + _LINE_CHARS)
            return Edit(start, link.end(), _link_text(link)) if link else unchanged
        case "mark":
            marked = _MARKED.match(text, start, start + _LINE_CHARS)
            return Edit(start, marked.end(), marked[1]) if marked else unchanged
        case "callout":
            return Edit(start, end, markup[0][: markup[0].index("[")].rstrip())
        case _:
            return Edit(start, end)


def _same_run(text: str, run: str, start: int) -> int:
    """Return the end of the inline code that the backticks in `run` open, or -1 if its paragraph does not close it."""
    window = text[start : start + _CODE_CHARS].partition("\n\n")[0]
    closes = re.search(rf"(?<!`){run}(?!`)", window) if len(run) <= _LINE_CHARS else None
    return start + closes.end() if closes else -1


def _link_text(link: re.Match[str]) -> str:
    target, shown = link[1].strip(), (link[2] or "").strip()
    if link[0].startswith("!") and _PICTURE.search(target):
        return shown if re.search(r"[^\W\d]", shown.replace("x", "")) else ""
    return shown or target.replace("#^", " ").replace("#", " > ").strip(" >")


class _Ends:
    """Finds the ends of comments. It searches for a missing mark only once, so the total time is linear."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._last = len(text)

    def find(self, mark: str, start: int) -> int:
        if start >= self._last:
            return -1
        end = self._text.find(mark, start)
        if end < 0:
            self._last = start
        return end
