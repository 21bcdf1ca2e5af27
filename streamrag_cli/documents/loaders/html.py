"""Loads HTML: the visible text as blocks, with the line numbers of the file.

Only the page's main content is read (`html_content`). A row of a table with header cells becomes a line with the column
names (`html_tables`). Nothing is fetched, and only HTML's own entities are expanded. libxml2 limits nesting to 255
levels. A page with deeper nesting is cut off there and gets a note.
"""

import re
from itertools import zip_longest
from typing import Final

from streamrag_cli.documents.loaders.flow import Flow
from streamrag_cli.documents.loaders.front_matter import front_matter
from streamrag_cli.documents.loaders.html_content import Content, Element, Visibility
from streamrag_cli.documents.loaders.html_tables import table_kind, table_lines
from streamrag_cli.documents.outline import clean_heading, sections_from
from streamrag_cli.documents.read import codec_of_web_charset, decode
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document

MAX_LINE: Final = 65535
"""The maximum number of lines in a file with line numbers, because libxml2 stores line numbers in 16 bits."""

TOO_DEEP: Final = "elements are nested more than 255 levels deep: the text after that point is missing"
_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl",
     "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
     "html", "legend", "li", "main", "menu", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot",
     "thead", "tr", "ul"}
)  # fmt: skip
_TIGHT: Final = frozenset({"li", "dt", "dd", "tr", "thead", "tbody", "tfoot", "caption"})
_AFTER_TERM: Final = frozenset({"dd", "p", "div", "section"})
"""The tags of blocks that begin on the line of the term that they define."""
_AFTER: Final = {("dt", "dd"): ":", ("dt", "dt"): ","}
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_TITLE_PARTS: Final = re.compile(r"\s+[-–—:·•/]\s+|\s*[|»«]\s*")
_LANGUAGE: Final = re.compile(r"(?:^|\s)lang(?:uage)?-([\w+#-]{1,20})(?=\s|$)")
_RUNNING_TEXT: Final = re.compile(r"\s*(?:[A-Za-z(\"'\u201c][\w'\u2019.,;:)\"\u201d-]*\s+){5,}\S+\s*$")
_DECLARED: Final = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w.:-]{1,40})|\A\s*<\?xml[^>]{0,100}encoding\s*=\s*["']([\w.:-]{1,40})""",
    re.IGNORECASE,
)


def load_html(path: str, data: bytes) -> Document:
    source, note = decode(data, declared=declared_encoding(data))
    matter = front_matter(source)  # of the templates of static site generators
    source = "\n" * source.count("\n", 0, matter.length) + source[matter.length :]
    root, is_complete = parse_html(source)
    flow = Flow()
    if root is not None:
        content = Content(root)
        for each in content.roots:
            walk(each, flow, content)
            flow.end_block(tight=False)
    text, headings, lines = flow.finish()
    has_line_numbers = source.count("\n") < MAX_LINE - 1
    return Document(
        path=path,
        text=text,
        title=_title(root, [heading.text for heading in headings if heading.level == 1]) or matter.title,
        summary=matter.summary,
        sections=sections_from(headings, len(text)),
        line_numbers=lines if has_line_numbers else None,
        notes=tuple(each for each in (note, "" if is_complete else TOO_DEEP) if each),
    )


def declared_encoding(data: bytes) -> str | None:
    """Return the encoding that the page declares, as a name for `decode`; None if it is missing or invalid."""
    match = _DECLARED.search(data[:4096])
    if not match:
        return None
    codec = codec_of_web_charset((match[1] or match[2]).decode("ascii", errors="replace"))
    return None if codec in {"utf-16", "utf-8"} else codec  # UTF-16 cannot be declared in an ASCII-compatible header


def parse_html(source: str) -> tuple[Element | None, bool]:
    """Parse a page. Returns the root element, and whether the parser read the whole page."""
    from lxml import etree  # imports in about 30 ms

    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root: Element | None = etree.fromstring(source.encode(), parser)
    except etree.XMLSyntaxError as error:
        if not source.strip():
            return None, True
        if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from error
        raise DocumentError(f"the page cannot be parsed as HTML: {error.msg}", code="corrupt") from error
    return root, all(each.type != etree.ErrorTypes.ERR_RESOURCE_LIMIT for each in parser.error_log)


def _title(root: Element | None, top_headings: list[str]) -> str:
    """Return the page's title, or its only `<h1>` if the title is missing or combines the `<h1>` with other parts."""
    title = og_title = ""
    for child in root if root is not None else ():
        for element in child if child.tag == "head" else ():
            if element.tag == "title":
                title = title or clean_heading(element.text or "")
            elif element.tag == "meta" and element.get("property") == "og:title":
                og_title = og_title or clean_heading(element.get("content") or "")
    title = title or og_title
    if len(top_headings) == 1 and (not title or top_headings[0].casefold() in _TITLE_PARTS.split(title.casefold())):
        return top_headings[0]
    return title


def walk(element: Element, flow: Flow, content: Visibility, after_term: str = "") -> None:
    """Add `element` to `flow`. `after_term` is the separator after the terms of a definition list, or ""."""
    if not content.is_shown(element):
        flow.skip_to(_last_line(element))
        return
    tag = element.tag
    if tag == "table":
        _walk_table(element, flow, content)
        return
    line = element.sourceline or 1
    if tag == "pre":
        flow.begin_block(tight=False, follows_term=False)
        flow.open_preformatted(is_code=not _is_prose(element), language=_language(element))
    else:
        _open(tag, flow, line)
    flow.add(element.text or "", line)
    children = list(element)
    for child, following in zip_longest(children, children[1:]):
        walk(child, flow, content, _AFTER.get((child.tag, following.tag), "") if following is not None else "")
        flow.add(child.tail or "", None)
    if after_term:
        flow.close_term(after_term)
    else:
        _close(tag, flow)


def _language(pre: Element) -> str:
    """Return the language of code, from the class that highlighters and Markdown renderers set, or ""."""
    for element in (pre, *pre):
        if match := _LANGUAGE.search(element.get("class") or ""):
            return match[1]
    return ""


def _is_prose(pre: Element) -> bool:
    """Whether preformatted text is mostly prose, as in RFCs and mail archives."""
    if pre.get("class") or any(child.tag == "code" for child in pre):
        return False
    lines = [line for line in "".join(pre.itertext()).split("\n") if line.strip()]
    return 2 * sum(1 for line in lines if _RUNNING_TEXT.match(line)) > len(lines)


def _last_line(element: Element) -> int:
    return (element.sourceline or 0) + sum(text.count("\n") for text in element.itertext())


def _walk_table(table: Element, flow: Flow, content: Visibility) -> None:
    """Add a table. If it has header cells, each row has the column names; else it becomes rows of cells or blocks."""
    flow.begin_block(tight=False, follows_term=False)
    kind = table_kind(table, content)
    if kind == "data":
        for child in table:
            if child.tag == "caption":
                walk(child, flow, content)
        for text, line in table_lines(table, content):
            flow.end_block(tight=True)
            flow.add(text, line)
        flow.skip_to(_last_line(table))
    else:
        flow.open_table(in_blocks=kind == "blocks")
        for child in table:
            walk(child, flow, content)
        flow.close_table()
    flow.end_block(tight=False)


def _open(tag: str, flow: Flow, line: int) -> None:
    if tag in _BLOCKS:
        flow.begin_block(tight=tag in _TIGHT, follows_term=tag in _AFTER_TERM)
    if tag in _HEADINGS:
        flow.open_heading(_HEADINGS[tag])
    elif tag in {"li", "dt"}:
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
        flow.close_preformatted()
    elif tag in _HEADINGS:
        flow.close_heading()
