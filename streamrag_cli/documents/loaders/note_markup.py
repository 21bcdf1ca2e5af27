"""What Markdown's readers do not see as text, and what notes (Obsidian, Logseq) and site generators write into it.

Shortcodes of Hugo and tags of Jekyll go, what they enclose stays. Comments in HTML's, Obsidian's and the link
definition's way go; a link to a note reads as its name, a highlight as its words. Code, in blocks and in lines, is left
alone.
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
MAY_HOLD_NOTES: Final = re.compile(r"<!--|%%|\{%|\{\{<|\[\[|==|\[!|[ \t]\^|^[ ]{0,3}\[(?://|comment|_)", re.MULTILINE)
"""Matches wherever there is anything to edit, and fast."""

_CODE_CHARS: Final = 2000
_LINE_CHARS: Final = 1000
_LINK: Final = re.compile(r"!?\[\[([^\[\]\n|]+)(?:\\?\|([^\[\]\n]*))?\]\]")
_MARKED: Final = re.compile(r"==([^=\n]+)(?<!\s)==")
_ASIDE_END: Final = re.compile(r"%%(?![\w%])")
_PICTURE: Final = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|bmp|avif|mp[34]|m4a|wav|ogg|webm|mov|pdf)\Z", re.IGNORECASE)


def note_edits(text: str, start: int, code: Sequence[tuple[int, int]]) -> Iterator[Edit]:
    """The edits from offset `start` on; `code` says where code blocks are, in order."""
    at = start
    ends = _Ends(text)
    shortcodes = Shortcodes(text)
    blocks = iter([*code, (len(text) + 1, len(text) + 1)])
    begins, after = next(blocks)
    while found := _MARKS.search(text, at):
        while after <= found.start():
            begins, after = next(blocks)
        if begins <= found.start():
            at = after
            continue
        edit = _edit(text, found, ends, shortcodes)
        if edit.text != text[edit.start : edit.end]:
            yield edit
        at = max(edit.end, found.end(), shortcodes.code_until)


def _edit(text: str, found: re.Match[str], ends: "_Ends", shortcodes: Shortcodes) -> Edit:
    """What to do about a mark; an edit that changes nothing where it is none."""
    start, end = found.span()
    nothing = Edit(start, end, found[0])
    match found.lastgroup:
        case "code":
            closing = _same_run(text, found[0], end)
            return Edit(start, end, found[0]) if closing < 0 else Edit(start, closing, text[start:closing])
        case "comment":
            closing = ends.of("-->", end)
            return Edit(start, closing + 3) if closing >= 0 else nothing
        case "aside":
            closes = _ASIDE_END.search(text, end, end + _CODE_CHARS)
            return Edit(start, closes.end()) if closes else nothing
        case "shortcode":
            return shortcodes.edit(start) or nothing
        case "link":
            link = _LINK.match(text, start, start + _LINE_CHARS)
            return Edit(start, link.end(), _link_text(link)) if link else nothing
        case "mark":
            marked = _MARKED.match(text, start, start + _LINE_CHARS)
            return Edit(start, marked.end(), marked[1]) if marked else nothing
        case "callout":
            return Edit(start, end, found[0][: found[0].index("[")].rstrip())
        case _:
            return Edit(start, end)


def _same_run(text: str, run: str, start: int) -> int:
    """Where the code that `run` opens has ended, or -1. Code ends in the same paragraph."""
    window = text[start : start + _CODE_CHARS].partition("\n\n")[0]
    closes = re.search(rf"(?<!`){run}(?!`)", window) if len(run) <= _LINE_CHARS else None
    return start + closes.end() if closes else -1


def _link_text(link: re.Match[str]) -> str:
    target, shown = link[1].strip(), (link[2] or "").strip()
    if link[0].startswith("!") and _PICTURE.search(target):
        return shown if re.search(r"[^\W\d]", shown.replace("x", "")) else ""
    return shown or target.replace("#^", " ").replace("#", " > ").strip(" >")


class _Ends:
    """Finds what closes a comment; once there is no more, no later search looks for it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._last = len(text)

    def of(self, mark: str, start: int) -> int:
        if start >= self._last:
            return -1
        place = self._text.find(mark, start)
        if place < 0:
            self._last = start
        return place
