"""Parses XHTML and other XML in e-books, which is often not well-formed.

The parser resolves no entities. Therefore HTML entities are replaced before the text is parsed, and so are,
within a limit, the entities that the file's DOCTYPE declares. Text that is not well-formed XML is parsed as HTML.
"""

import re
from html import escape, unescape
from html.entities import html5
from typing import Any, Final

from streamrag_cli.documents.loaders.html import declared_encoding, parse_html
from streamrag_cli.documents.read import decode
from streamrag_cli.errors import DocumentError

_HEAD_CHARS: Final = 1 << 16
_DOCTYPE: Final = re.compile(
    r"""<!DOCTYPE[^\[>"']*+(?:(?:"[^"]*"|'[^']*')[^\[>"']*+)*+"""
    r"""(?:\[((?:<!--(?:(?!-->).)*+-->|"[^"]*"|'[^']*'|[^\]"'])*+)\]\s*)?>""",
    re.DOTALL | re.IGNORECASE,
)
_DECLARATION: Final = re.compile(r"""<!ENTITY\s+([\w.:-]{1,60})\s+(?:"([^"]*)"|'([^']*)')\s*>""")
_REFERENCE: Final = re.compile(r"&(?:(#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8})|([A-Za-z_][\w.:-]{0,60}));|&")
_XML_DECLARATION: Final = re.compile(r"\A\s*<\?xml[^>]*\?>")
_EMPTY: Final = re.compile(r"<([A-Za-z][\w-]*)((?:\s[^<>]*)?)/>")
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_OF_XML: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
_NESTED: Final = 4
_GROWTH_CHARS: Final = 1 << 20
_NAMESPACE: Final = re.compile(r"\{[^}]*\}")
_SVG: Final = "{http://www.w3.org/2000/svg}"
_SVG_TAGS: Final = {"text": "p", "tspan": "span", "title": "desc"}


def parse_page(data: bytes) -> tuple[Any, bool]:
    """Parse a page. Returns its root element with HTML's tag names, or None, and whether all of it was parsed.

    Raises `DocumentError` `corrupt` or `binary`.
    """
    source = _normalized(data)
    root = _parse_xml(source, recover=False)
    if root is None:
        return parse_html(_EMPTY.sub(_opened_and_closed, source))
    for element in root.iter():
        if isinstance(element.tag, str):
            name = _NAMESPACE.sub("", element.tag)
            element.tag = _SVG_TAGS.get(name, name) if element.tag.startswith(_SVG) else name
    return root, True


def parse_xml_leniently(data: bytes) -> Any:
    """Parse as much of an XML file as possible. Returns the root element, whose names have namespaces, or None."""
    try:
        source = _normalized(data)
    except DocumentError:
        return None
    root = _parse_xml(source, recover=False)
    return _parse_xml(source, recover=True) if root is None else root


def local_name(element: Any) -> str:
    """Return the name of an element without its namespace; "" for comments and processing instructions."""
    return _NAMESPACE.sub("", element.tag) if isinstance(element.tag, str) else ""


def _parse_xml(source: str, *, recover: bool) -> Any:
    from lxml import etree  # imports in about 30 ms

    parser = etree.XMLParser(
        encoding="utf-8", recover=recover, resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        return etree.fromstring(source.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from error
        return None


def _normalized(data: bytes) -> str:
    """Return the text without its DOCTYPE, with every entity replaced and every other ampersand escaped."""
    text, _ = decode(data, declared=declared_encoding(data))
    text = _XML_DECLARATION.sub("", text, count=1)
    match = _DOCTYPE.search(text[:_HEAD_CHARS])
    declared: dict[str, str] = {}
    if match is not None:
        declared = _declared_entities(match[1] or "")
        text = text[: match.start()] + text[match.end() :]
    return _Entities(declared).replaced(text)


def _declared_entities(subset: str) -> dict[str, str]:
    declared: dict[str, str] = {}
    for name, quoted, other in _DECLARATION.findall(subset):
        declared.setdefault(name, quoted or other)
    return declared


class _Entities:
    """Replaces entities. Raises `DocumentError` `zip_bomb` if declared entities make the text much longer."""

    def __init__(self, declared: dict[str, str]) -> None:
        self._declared = declared
        self._budget = _GROWTH_CHARS

    def replaced(self, text: str, depth: int = 0) -> str:
        return _REFERENCE.sub(lambda match: self._value(match, depth), text) if "&" in text else text

    def _value(self, match: re.Match[str], depth: int) -> str:
        number, name = match.groups()
        if number:
            code = int(f"0{number[1:]}" if number[1] in "xX" else number[1:], 0 if number[1] in "xX" else 10)
            return unescape(match[0]) if 0x80 <= code < 0xA0 else match[0]
        if not name:
            return "&amp;"
        if name in _OF_XML:
            return match[0]
        if name in self._declared and depth < _NESTED:
            value = self.replaced(self._declared[name], depth + 1)
            self._budget -= len(value)
            if self._budget < 0:
                raise DocumentError(
                    "the XML entities in a page expand without limit (possibly an XML bomb)", code="zip_bomb"
                )
            return value
        return escape(html5.get(f"{name};", match[0]), quote=False)


def _opened_and_closed(match: re.Match[str]) -> str:
    return match[0] if match[1].lower() in _VOID else f"<{match[1]}{match[2]}></{match[1]}>"
