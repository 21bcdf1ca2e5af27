"""AsciiDoc within a line: what a reader sees of macros, links, index terms and marks of emphasis."""

import re
from collections.abc import Mapping
from typing import Final

_INDEX_TERM: Final = re.compile(r"\(\(\(.{0,300}?\)\)\)|indexterm:\[[^\[\]]*\]")
_SHOWN_TERM: Final = re.compile(r"\(\(([^()]+)\)\)|indexterm2:\[([^\[\]]*)\]")
_ATTRIBUTE: Final = re.compile(r"(?<!\\)\{(\w[\w-]*)\}")
_ANCHOR: Final = re.compile(r"\[\[[^\[\]]*\]\]|anchor:[\w-]+\[[^\[\]]*\]|(?<!`)\[#[\w-]+\](?=\S)")
_REFERENCE: Final = re.compile(r"<<([^<>,]+)(?:,([^<>]*))?>>")
_LINK: Final = re.compile(
    r"(?:\blink:|\bxref:|\bmailto:)([^\s\[\]]+)\[([^\[\]]*)\]|((?:https?|ftp|irc)://[^\s\[\]<>]+)\[([^\[\]]*)\]"
)
_IMAGE: Final = re.compile(r"\b(?:image|icon):[^\s\[\]:]+\[([^\[\],]*)[^\[\]]*\]")
_MENU: Final = re.compile(r"\bmenu:([^\[\]\n]{1,80})\[([^\[\]]*)\]")
_MACRO: Final = re.compile(r"\b(?:kbd|btn|pass|stem|latexmath|asciimath):\w*\[([^\[\]]*)\]")
_FOOTNOTE: Final = re.compile(r"\s?footnote(?:ref)?:[\w-]*\[([^\[\]]*)\]")
_PASSED: Final = re.compile(r"\+\+\+?(.{1,300}?)\+\+\+?|\$\$(.{1,300}?)\$\$")
_CODE: Final = re.compile(r"``([^`]+)``|`\+([^`]+)\+`|`([^`\"]+)`")
_STRONG: Final = re.compile(r"(?:\[[\w.#%-]+\])?(?P<mark>\*\*|__|##)(?=\S)(.{1,300}?)(?<=\S)(?P=mark)")
_WEAK: Final = re.compile(r"(?<![\w:;}*_#])(?:\[[\w.#%-]+\])?(?P<mark>[*_#])(?=\S)([^*_#\n]+?)(?<=\S)(?P=mark)(?!\w)")
_QUOTED: Final = re.compile(r"([\"'])`(.{1,300}?)`\1")
_CALLOUT: Final = re.compile(r"[ \t]*<(?:\d+|\.)>[ \t]*$")


def inline_text(text: str, attributes: Mapping[str, str]) -> str:
    """The line as it reads. Code in a line keeps its backticks."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(f"`{found[1] or found[2] or found[3]}`")
        return f"\x00{len(kept) - 1}\x00"

    text = _INDEX_TERM.sub("", text)
    text = _QUOTED.sub(lambda found: f"\u201c{found[2]}\u201d" if found[1] == '"' else f"\u2018{found[2]}\u2019", text)
    text = _CODE.sub(keep, text)
    text = _ATTRIBUTE.sub(lambda found: attributes.get(found[1].casefold(), found[0]), text)
    text = _SHOWN_TERM.sub(lambda found: found[1] or found[2], text)
    text = _ANCHOR.sub("", text)
    text = _REFERENCE.sub(lambda found: (found[2] or _words_of(found[1])).strip(), text)
    text = _LINK.sub(_link_text, text)
    text = _IMAGE.sub(r"\1", text)
    text = _MENU.sub(lambda found: " > ".join(filter(None, (found[1], found[2]))), text)
    text = _MACRO.sub(r"\1", text)
    text = _FOOTNOTE.sub(lambda found: f" ({found[1]})" if found[1] else "", text)
    text = _PASSED.sub(lambda found: found[1] or found[2], text)
    text = _WEAK.sub(r"\2", _STRONG.sub(r"\2", text))
    text = _CALLOUT.sub("", text).removesuffix(" +")
    return re.sub(r"\x00(\d+)\x00", lambda found: kept[int(found[1])], text).strip()


def _words_of(anchor: str) -> str:
    """What an anchor is about, where a reference says nothing else: `ch07#_hot_iron` is `hot iron`."""
    name = anchor.rpartition("#")[2]
    return re.sub(r"[_-]+", " ", name) if name.startswith("_") or "#" in anchor else anchor


def _link_text(found: re.Match[str]) -> str:
    target, shown = (found[1], found[2]) if found[1] else (found[3], found[4])
    words = re.sub(r",?\s*(?:window|role|opts|title|id)=[^,]*|\^$", "", shown).strip().strip('"')
    return words or target
