"""Removes inline markup, and writes plain text as Markdown that renders the same.

Text is masked first: each code span becomes one private-use character, so that its contents are not read as markup or
as the end of a sentence. Escaped characters are masked in the same way until the markup is removed. Every pattern runs
in linear time.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Final

from streamrag_cli.documents.formats import Markup

LINE: Final = "\v"
"""The character that replaces a line break; every pattern treats it as white space."""

_CODE_BASE: Final = 0xF0000
_MAX_CODE_SPANS: Final = 0x4000
_LITERAL_BASE: Final = 0xF8000
CODE_CHARACTERS: Final = f"{chr(_CODE_BASE)}-{chr(_CODE_BASE + _MAX_CODE_SPANS - 1)}"
_PRIVATE: Final = re.compile("[\U000f0000-\U000ffffd\v\f]")
_LITERAL: Final = re.compile(f"[{chr(_LITERAL_BASE)}-{chr(_LITERAL_BASE + 0x7F)}]")
_CODE: Final = re.compile(f"[{CODE_CHARACTERS}]")
_TICKS: Final = re.compile(r"\\[!-/:-@\[-`{-~]|`+")

_HTML_NAMES: Final = frozenset(
    "a abbr acronym address area article aside audio b base bdi bdo big blockquote body br button canvas "
    "caption center cite code col colgroup data datalist dd del details dfn dialog div dl dt em embed fieldset "
    "figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe "
    "img input ins kbd label legend li link main map mark menu meta meter nav noscript object ol optgroup "
    "option output p param picture pre progress q rp rt ruby s samp script section select slot small source "
    "span strike strong style sub summary sup svg table tbody td template textarea tfoot th thead time title "
    "tr track tt u ul var video wbr".split()
)
_COMMENT: Final = re.compile(r"<!--[^<>]{0,400}-->")
_TAG: Final = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)(?=[\s/>])[^<>]{0,400}>")
_AUTOLINK: Final = re.compile(r"<((?:[a-zA-Z][a-zA-Z0-9+.-]{1,31}:(?!:)|[\w.+-]+@[\w-]+\.)[^\s<>]{1,400})>")
_IMAGE: Final = re.compile(r"!\[([^\[\]]*)\]\((?:[^()]|\([^()]*\))*\)")
_LINK: Final = re.compile(r"!?\[([^\[\]]*)\]\((?:[^()]|\([^()]*\))*\)")
_REFERENCE: Final = re.compile(r"!?(?<!\w)\[([^\[\]]+)\][ \v]?\[([^\[\]]*)\]")
_FOOTNOTE: Final = re.compile(r"\[\^[^\[\]\s]{1,60}\]:?")
_STARS: Final = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)([^*]+?)(?<=\S)\1(?![\w*])")
_UNDERSCORES: Final = re.compile(r"(?<![\w_])(_{1,3})(?=\S)([^_]+?)(?<=\S)\1(?![\w_])")
_STRUCK: Final = re.compile(r"~~(?=\S)([^~]+)(?<=\S)~~")
_ATTRIBUTES: Final = re.compile(r"\{:?[ ]?[.#][\w-][^{}]{0,100}\}\s*$")

_RENDERED_DIFFERENTLY: Final = re.compile(
    r"\\[!-/:-@\[-`{-~]|`|\*(?=[^\s*])[^*]*(?<=[^\s*])\*|(?<!\w)_+(?=[^\s_])[^_]*(?<=[^\s_])_|~~[^~]+~~"
    r"|&(?:\w{1,31}|#\w{1,8});|\[[^\[\]]*\]\(|<(?:[a-zA-Z][a-zA-Z0-9+.-]{1,31}:|[\w.+-]+@)[^\s<>]*>|<br\s*/?>"
    r"|(?<![\w\]\\])\[\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*\]"
)
"""Text that Markdown would render differently, or a number in brackets, which would look like a citation."""
_SPECIAL_CHARACTERS: Final = re.compile(r"[\\`*_~&<\[\]]")
_ROLE: Final = re.compile(r"\{[a-z][a-z:-]{1,30}\}`([^`<\v]{1,200}?)\s?(?:<[^<>`]{1,200}>)?`(?!`)")
"""A role in MyST Markdown, such as {ref}`the options <options>`."""
_MAX_PASSES: Final = 6
_CJK: Final = "\u3000-\u30ff\u3400-\u9fff\uff00-\uffef\uac00-\ud7af"
_INNER_BREAK: Final = re.compile(rf"(?<=[{_CJK}])\v(?=[{_CJK}])")


@dataclass(slots=True)
class Masked:
    """Text without markup in which each code span is one character, and the contents of the code spans."""

    text: str
    code: list[str] = field(default_factory=list)

    def plain(self, part: str) -> str:
        """A part of the text with its code spans restored."""
        return _CODE.sub(lambda match: self.code[ord(match[0]) - _CODE_BASE], part)

    def words(self, part: str) -> list[tuple[str, str]]:
        """The words in a part, each as plain text and as Markdown. A code span is never divided."""
        masked = _INNER_BREAK.sub("", part).split()
        if not self.code and not _SPECIAL_CHARACTERS.search(part):
            return [(word, word) for word in masked]
        escaped = _words_to_escape(masked)
        return [(self.plain(word), self._markdown(word, index in escaped)) for index, word in enumerate(masked)]

    def _markdown(self, word: str, needs_escape: bool) -> str:
        if needs_escape:
            plain = self.plain(word)
            begin = len(plain) - len(plain.lstrip("(\"'"))
            inner = plain[begin:].rstrip(".,:!?\"'")
            if inner.count(")") > inner.count("("):
                inner = inner.rstrip(")")
            around = (plain[:begin], plain[begin + len(inner) :])
            return code_span(plain) if _SPECIAL_CHARACTERS.search("".join(around)) else code_span(inner).join(around)
        return _CODE.sub(lambda match: code_span(self.code[ord(match[0]) - _CODE_BASE]), word) if self.code else word


def _words_to_escape(words: Sequence[str]) -> set[int]:
    """Indices of the words that must become code spans so that Markdown renders every character unchanged."""
    escaped: set[int] = set()
    for _ in range(_MAX_PASSES):
        text = " ".join("\N{REPLACEMENT CHARACTER}" if index in escaped else word for index, word in enumerate(words))
        ends = [end for match in _RENDERED_DIFFERENTLY.finditer(text) for end in (match.start(), match.end() - 1)]
        if not ends:
            return escaped
        blanks = [0, *(match.start() for match in re.finditer(" ", text))]
        escaped |= {max(0, bisect_right(blanks, end) - 1) for end in ends}
    return escaped | {index for index, word in enumerate(words) if _SPECIAL_CHARACTERS.search(word)}


def code_span(code: str) -> str:
    """`code` as a Markdown code span."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    ticks = "`" * (longest + 1)
    blank = " " if code.startswith("`") or code.endswith("`") or (code[:1] == code[-1:] == " " and code.strip()) else ""
    return f"{ticks}{blank}{code}{blank}{ticks}"


def mask(lines: str, markup: Markup) -> Masked:
    """`lines` without markup and with code spans masked; line ends become `LINE`."""
    text = _PRIVATE.sub("\N{REPLACEMENT CHARACTER}", lines).replace("\n", LINE)
    if markup == "none":
        return Masked(text)
    if markup == "markdown" and "{" in text:
        text = _ROLE.sub(r"\1", text)
    masked = _without_code(text, escapes=markup == "markdown") if "`" in text or "\\" in text else Masked(text)
    if markup == "markdown":
        masked.text = _without_markup(masked.text)
    return masked


def _without_code(text: str, *, escapes: bool) -> Masked:
    """Replace each code span, and with `escapes` each backslash escape, with a placeholder character."""
    marks = list(_TICKS.finditer(text))
    closers: dict[int, list[int]] = {}
    for index in reversed(range(len(marks))):
        if marks[index][0][0] == "`":
            closers.setdefault(len(marks[index][0]), []).append(index)
        elif marks[index][0] == "\\`":
            # In a code span a backslash is literal, so the backtick after it may end the span.
            closers.setdefault(1, []).append(index)
    masked = Masked("")
    parts: list[str] = []
    at = index = 0
    while index < len(marks):
        mark = marks[index]
        if mark.start() < at:
            index += 1
            continue
        if mark[0][0] == "\\" and escapes:
            parts += [text[at : mark.start()], chr(_LITERAL_BASE + ord(mark[0][1]))]
            at = mark.end()
            index += 1
            continue
        ends = closers.get(len(mark[0]), []) if mark[0][0] == "`" else []
        while ends and ends[-1] <= index:
            ends.pop()
        if not ends or len(masked.code) >= _MAX_CODE_SPANS:
            index += 1
            continue
        closer = marks[ends[-1]]
        code = text[mark.end() : closer.end() - len(mark[0])].replace(LINE, " ")
        if not escapes and (code != code.strip() or text[max(0, mark.start() - 1) : mark.start()].isalnum()):
            index += 1  # backticks that do not begin a code span
            continue
        if code.strip() and code[0] == code[-1] == " ":
            code = code[1:-1]
        parts += [text[at : mark.start()], chr(_CODE_BASE + len(masked.code))]
        masked.code.append(code)
        at = closer.end()
        index = ends[-1] + 1
    masked.text = "".join(parts) + text[at:]
    return masked


def _without_markup(text: str) -> str:
    """Markdown as rendered: links become their text, and HTML tags and emphasis marks are removed.

    Text such as `<placeholder>` is not a tag, so it is kept.
    """
    if "<" in text:
        text = _TAG.sub(_tag_replacement, _AUTOLINK.sub(r"\1", _COMMENT.sub("", text)))
    if "[" in text:
        text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", _FOOTNOTE.sub("", text)))
        text = _REFERENCE.sub(r"\1", text)
    if "*" in text or "_" in text:
        for marks in (_STARS, _UNDERSCORES, _STARS):
            text = marks.sub(r"\2", text)
    if "~" in text:
        text = _STRUCK.sub(r"\1", text)
    if "{" in text:
        text = _ATTRIBUTES.sub("", text)
    if "&" in text:
        text = unescape(text)
    return _LITERAL.sub(lambda match: chr(ord(match[0]) - _LITERAL_BASE), text)


def _tag_replacement(tag: re.Match[str]) -> str:
    if tag[1].lower() not in _HTML_NAMES:
        return tag[0]
    return " " if tag[1].lower() in {"br", "td", "th", "li", "p", "div"} else ""
