"""Converts inline AsciiDoc markup to the visible text: macros, links, index terms and emphasis."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Final

from streamrag_cli.documents.loaders.code_placeholders import CodePlaceholders

_INDEX_TERM: Final = re.compile(r"\(\(\(.{0,300}?\)\)\)|indexterm:\[[^\[\]]*\]")
_SHOWN_TERM: Final = re.compile(r"\(\(([^()]+)\)\)|indexterm2:\[([^\[\]]*)\]")
_ATTRIBUTE: Final = re.compile(r"(?<!\\)\{(\w[\w-]*)\}")
_ESCAPED_ATTRIBUTE: Final = re.compile(r"\\(\{\w[\w-]*\})")
_CHARACTER: Final = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[a-zA-Z]{2,24}\d{0,2});")
_OTHER_MACRO: Final = re.compile(
    r"(?<![\w/:.@&\\-])[a-zA-Z][\w-]{1,30}:(?!//)([^\s\[\]:,;`\"'][^\s\[\]`]{0,300})\[([^\[\]]{0,300})\]"
)
_NAMED_VALUE: Final = re.compile(r"(?:^|,\s*)[\w-]+\s*=")
_ANCHOR: Final = re.compile(r"\[\[[^\[\]]*\]\]|anchor:[\w-]+\[[^\[\]]*\]|(?<!`)\[#[\w-]+\](?=\S)")
_REFERENCE: Final = re.compile(r"<<([^<>,]+)(?:,([^<>]*))?>>")
_LINK: Final = re.compile(
    r"(?:\blink:|\bxref:|\bmailto:)([^\s\[\]]+)\[([^\[\]]*)\]|((?:https?|ftp|irc)://[^\s\[\]<>]+)\[([^\[\]]*)\]"
)
_LINK_BELOW: Final = re.compile(r"(?<![\w`{])\{[\w-]+\}[/#][^\s\[\]]*\[([^\[\]]+)\]")
"""Matches a link whose URL begins with an attribute that the file does not define. The link's text is kept."""
_IMAGE: Final = re.compile(r"\b(?:image|icon):[^\s\[\]:]+\[([^\[\],]*)[^\[\]]*\]")
_MENU: Final = re.compile(r"\bmenu:([^\[\]\n]{1,80})\[([^\[\]]*)\]")
_MACRO: Final = re.compile(r"\b(?:kbd|btn|pass|stem|latexmath|asciimath):\w*\[([^\[\]]*)\]")
_FOOTNOTE: Final = re.compile(r"\s?footnote(?:ref)?:[\w-]*\[([^\[\]]*)\]")
_PASSTHROUGH: Final = re.compile(r"\+\+\+?(.{1,300}?)\+\+\+?|\$\$(.{1,300}?)\$\$")
_CODE: Final = re.compile(r"``([^`]+)``|`\+([^`]+)\+`|`([^`]+)`")
_STRONG: Final = re.compile(r"(?:\[[\w.#%-]+\])?(?P<mark>\*\*|__|##)(?=\S)(.{1,300}?)(?<=\S)(?P=mark)")
_WEAK: Final = re.compile(r"(?<![\w:;}*_#])(?:\[[\w.#%-]+\])?(?P<mark>[*_#])(?=\S)([^*_#\n]+?)(?<=\S)(?P=mark)(?!\w)")
_QUOTED: Final = re.compile(r"(?<![\w`])([\"'])`(?=\S)(.{1,300}?)(?<=\S)`\1(?!\w)")
_CALLOUT: Final = re.compile(r"[ \t]*<(?:\d+|\.)>[ \t]*$")


def inline_text(text: str, attributes: Mapping[str, str]) -> str:
    """Convert AsciiDoc inline markup to the visible text. Inline code keeps its backticks."""
    code = CodePlaceholders()

    def keep(match: re.Match[str]) -> str:
        shown = match[2] or _unescaped(with_attributes(match[1] or match[3], attributes))
        return code.keep(shown)

    text = _INDEX_TERM.sub("", text)
    text = _QUOTED.sub(lambda match: f"\u201c{match[2]}\u201d" if match[1] == '"' else f"\u2018{match[2]}\u2019", text)
    text = _CODE.sub(keep, text)
    text = with_attributes(text, attributes)
    text = _SHOWN_TERM.sub(lambda match: match[1] or match[2], text)
    text = _ANCHOR.sub("", text)
    text = _REFERENCE.sub(lambda match: (match[2] or _anchor_words(match[1])).strip(), text)
    text = _LINK.sub(_link_text, text)
    text = _LINK_BELOW.sub(r"\1", text)
    text = _IMAGE.sub(r"\1", text)
    text = _MENU.sub(lambda match: " > ".join(filter(None, (match[1], match[2]))), text)
    text = _MACRO.sub(r"\1", text)
    text = _FOOTNOTE.sub(lambda match: f" ({match[1]})" if match[1] else "", text)
    text = _OTHER_MACRO.sub(_macro_text, text)
    text = _PASSTHROUGH.sub(lambda match: match[1] or match[2], text)
    text = _WEAK.sub(r"\2", _STRONG.sub(r"\2", text))
    text = _CALLOUT.sub("", text).removesuffix(" +")
    return code.restore(_unescaped(text)).strip()


def with_attributes(text: str, attributes: Mapping[str, str]) -> str:
    """Replace references to `attributes` in the text with their values. References to unknown attributes are kept."""
    if "{" not in text:
        return text
    text = _ATTRIBUTE.sub(lambda match: attributes.get(match[1].casefold(), match[0]), text)
    return _ESCAPED_ATTRIBUTE.sub(r"\1", text)


def _unescaped(text: str) -> str:
    return _CHARACTER.sub(lambda match: unescape(match[0]), text) if "&" in text else text


def _macro_text(match: re.Match[str]) -> str:
    """Return the text of a macro that an extension defines, or its target if it has no text.

    If the text is a number, as in `linkgit:git-add[1]`, the macro is returned unchanged.
    """
    words = match[2].strip().strip('"')
    if words.isdigit():
        return match[0]
    shown = _NAMED_VALUE.split(words)[0].strip(' ,"')
    return shown or match[1]


def _anchor_words(anchor: str) -> str:
    """Return the words of an anchor, for references without text: `ch07#_hot_iron` becomes `hot iron`."""
    name = anchor.rpartition("#")[2]
    return re.sub(r"[_-]+", " ", name) if name.startswith("_") or "#" in anchor else anchor


def _link_text(match: re.Match[str]) -> str:
    target, shown = (match[1], match[2]) if match[1] else (match[3], match[4])
    words = re.sub(r",?\s*(?:window|role|opts|title|id)=[^,]*|\^$", "", shown).strip().strip('"')
    return words or target
