"""AsciiDoc within a line: what a reader sees of macros, links, index terms and marks of emphasis."""

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
"""A link below an address that the build defines; pages show its text, whatever the address."""
_IMAGE: Final = re.compile(r"\b(?:image|icon):[^\s\[\]:]+\[([^\[\],]*)[^\[\]]*\]")
_MENU: Final = re.compile(r"\bmenu:([^\[\]\n]{1,80})\[([^\[\]]*)\]")
_MACRO: Final = re.compile(r"\b(?:kbd|btn|pass|stem|latexmath|asciimath):\w*\[([^\[\]]*)\]")
_FOOTNOTE: Final = re.compile(r"\s?footnote(?:ref)?:[\w-]*\[([^\[\]]*)\]")
_PASSED: Final = re.compile(r"\+\+\+?(.{1,300}?)\+\+\+?|\$\$(.{1,300}?)\$\$")
_CODE: Final = re.compile(r"``([^`]+)``|`\+([^`]+)\+`|`([^`]+)`")
_STRONG: Final = re.compile(r"(?:\[[\w.#%-]+\])?(?P<mark>\*\*|__|##)(?=\S)(.{1,300}?)(?<=\S)(?P=mark)")
_WEAK: Final = re.compile(r"(?<![\w:;}*_#])(?:\[[\w.#%-]+\])?(?P<mark>[*_#])(?=\S)([^*_#\n]+?)(?<=\S)(?P=mark)(?!\w)")
_QUOTED: Final = re.compile(r"(?<![\w`])([\"'])`(?=\S)(.{1,300}?)(?<=\S)`\1(?!\w)")
_CALLOUT: Final = re.compile(r"[ \t]*<(?:\d+|\.)>[ \t]*$")


def inline_text(text: str, attributes: Mapping[str, str]) -> str:
    """The line as it reads. Code in a line keeps its backticks."""
    code = CodePlaceholders()

    def keep(found: re.Match[str]) -> str:
        shown = found[2] or _unescaped(with_attributes(found[1] or found[3], attributes))
        return code.keep(shown)

    text = _INDEX_TERM.sub("", text)
    text = _QUOTED.sub(lambda found: f"\u201c{found[2]}\u201d" if found[1] == '"' else f"\u2018{found[2]}\u2019", text)
    text = _CODE.sub(keep, text)
    text = with_attributes(text, attributes)
    text = _SHOWN_TERM.sub(lambda found: found[1] or found[2], text)
    text = _ANCHOR.sub("", text)
    text = _REFERENCE.sub(lambda found: (found[2] or _words_of(found[1])).strip(), text)
    text = _LINK.sub(_link_text, text)
    text = _LINK_BELOW.sub(r"\1", text)
    text = _IMAGE.sub(r"\1", text)
    text = _MENU.sub(lambda found: " > ".join(filter(None, (found[1], found[2]))), text)
    text = _MACRO.sub(r"\1", text)
    text = _FOOTNOTE.sub(lambda found: f" ({found[1]})" if found[1] else "", text)
    text = _OTHER_MACRO.sub(_macro_text, text)
    text = _PASSED.sub(lambda found: found[1] or found[2], text)
    text = _WEAK.sub(r"\2", _STRONG.sub(r"\2", text))
    text = _CALLOUT.sub("", text).removesuffix(" +")
    return code.restore(_unescaped(text)).strip()


def with_attributes(text: str, attributes: Mapping[str, str]) -> str:
    """The text with references to `attributes` replaced; one to an unknown attribute is shown as it stands."""
    if "{" not in text:
        return text
    text = _ATTRIBUTE.sub(lambda found: attributes.get(found[1].casefold(), found[0]), text)
    return _ESCAPED_ATTRIBUTE.sub(r"\1", text)


def _unescaped(text: str) -> str:
    return _CHARACTER.sub(lambda found: unescape(found[0]), text) if "&" in text else text


def _macro_text(found: re.Match[str]) -> str:
    """What a macro that extensions define is about: its text, else its target."""
    words = found[2].strip().strip('"')
    if words.isdigit():
        return found[0]
    shown = _NAMED_VALUE.split(words)[0].strip(' ,"')
    return shown or found[1]


def _words_of(anchor: str) -> str:
    """What an anchor is about, where a reference says nothing else: `ch07#_hot_iron` is `hot iron`."""
    name = anchor.rpartition("#")[2]
    return re.sub(r"[_-]+", " ", name) if name.startswith("_") or "#" in anchor else anchor


def _link_text(found: re.Match[str]) -> str:
    target, shown = (found[1], found[2]) if found[1] else (found[3], found[4])
    words = re.sub(r",?\s*(?:window|role|opts|title|id)=[^,]*|\^$", "", shown).strip().strip('"')
    return words or target
