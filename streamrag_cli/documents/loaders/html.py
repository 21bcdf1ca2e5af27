"""HTML: what a reader would see, as blocks of text; lines point into the file.

Scripts, styles, navigation and hidden elements are dropped. Nothing is fetched and no entity beyond HTML's own is
expanded. libxml2 keeps 255 levels of nesting; a page's text is not deeper.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Any, Final, Protocol

from streamrag_cli.documents.loaders.flow import Flow
from streamrag_cli.documents.outline import clean_heading, sections_from
from streamrag_cli.documents.read import decode
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document

HIGHEST_LINE: Final = 65535
"""libxml2 stores an element's line in 16 bits; a longer file's lines are not known."""

_DROPPED: Final = frozenset(
    {"script", "style", "nav", "template", "noscript", "head", "iframe", "object", "embed", "svg", "canvas", "audio",
     "video", "select", "datalist", "button"}
)  # fmt: skip
_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl",
     "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
     "html", "legend", "li", "main", "menu", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot",
     "thead", "tr", "ul"}
)  # fmt: skip
_TIGHT: Final = frozenset({"li", "dt", "dd", "tr", "thead", "tbody", "tfoot", "caption"})
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_HIDDEN_STYLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_DECLARED: Final = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w.:-]{1,40})|\A\s*<\?xml[^>]{0,100}encoding\s*=\s*["']([\w.:-]{1,40})""",
    re.IGNORECASE,
)


class _Element(Protocol):
    tag: Any
    text: str | None
    tail: str | None
    sourceline: int | None

    def get(self, name: str) -> str | None: ...
    def __iter__(self) -> Iterator["_Element"]: ...


def load_html(path: str, data: bytes) -> Document:
    source, remark = decode(data, declared=_declared_encoding(data))
    root = _parse(source)
    flow = Flow()
    if root is not None:
        _walk(root, flow)
    text, headings, lines = flow.finish()
    known = source.count("\n") < HIGHEST_LINE - 1
    return Document(
        path=path,
        text=text,
        title=_title(root),
        sections=sections_from(headings, len(text)),
        line_numbers=lines if known else None,
        remarks=(remark,) if remark else (),
    )


def _declared_encoding(data: bytes) -> str | None:
    found = _DECLARED.search(data[:4096])
    if not found:
        return None
    name = (found[1] or found[2]).decode("ascii", errors="replace")
    try:
        codec = codecs.lookup(name)
    except LookupError:
        return None
    # browsers read the one as the other; UTF-16 cannot have been declared in ASCII
    return {"iso8859-1": "cp1252", "ascii": "cp1252", "utf-16": None, "utf-8": None}.get(codec.name, codec.name)


def _parse(source: str) -> _Element | None:
    from lxml import etree  # 30 ms

    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root: _Element | None = etree.fromstring(source.encode(), parser)
    except etree.XMLSyntaxError as error:
        if not source.strip():
            return None
        if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from error
        raise DocumentError(f"not HTML: {error.msg}", code="corrupt") from error
    return root


def _title(root: _Element | None) -> str:
    for child in root if root is not None else ():
        if child.tag == "head":
            for element in child:
                if element.tag == "title":
                    return clean_heading(element.text or "")
    return ""


def _walk(element: _Element, flow: Flow) -> None:
    tag = element.tag
    if not isinstance(tag, str) or tag in _DROPPED or _is_hidden(element):
        return
    line = element.sourceline or 1
    _open(tag, flow, line)
    flow.add(element.text or "", line)
    for child in element:
        _walk(child, flow)
        flow.add(child.tail or "", None)
    _close(tag, flow)


def _open(tag: str, flow: Flow, line: int) -> None:
    if tag in _BLOCKS:
        flow.end_block(tight=tag in _TIGHT)
    if tag in _HEADINGS:
        flow.open_heading(_HEADINGS[tag])
    elif tag == "pre":
        flow.preformatted += 1
    elif tag == "li":
        flow.mark("- ")
    elif tag == "tr":
        flow.open_row()
    elif tag in {"td", "th"}:
        flow.open_cell()
    elif tag == "br":
        flow.end_line(line)


def _close(tag: str, flow: Flow) -> None:
    if tag == "tr":
        flow.close_row()
    if tag in _BLOCKS:
        flow.end_block(tight=tag in _TIGHT)
    if tag == "pre":
        flow.preformatted -= 1
    elif tag in _HEADINGS:
        flow.close_heading()


def _is_hidden(element: _Element) -> bool:
    if element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    style = element.get("style")
    return style is not None and _HIDDEN_STYLE.search(style) is not None
