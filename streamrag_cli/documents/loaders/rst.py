"""reStructuredText: the text is the file's; docutils says where its sections begin.

Directives that read files or pass raw text through are off. Only block structure is parsed: inline markup is half the
time and none of the sections.
"""

import re
from typing import TYPE_CHECKING, Any, Final

from streamrag_cli.documents.outline import Heading, clean_heading, line_starts, only_top_heading, sections_from
from streamrag_cli.model import Document

if TYPE_CHECKING:
    from docutils import nodes

OUTLINED_CHARS: Final = 4_000_000
"""Beyond this (about 4 s of parsing) a file is data, not prose, and goes without sections."""

_ROLE: Final = re.compile(r":[\w:.+-]+:`([^`]*)`|`([^`]*)`__?")
_TARGET: Final = re.compile(r"\s*<[^<>]*>$")
# docutils ends lines at these, too; each becomes one space, so that offsets stay.
_NO_LINE_ENDS: Final = dict.fromkeys(map(ord, "\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")
_MARKUP: Final = re.compile(r"\*\*?|``?|\\(?=\S)")


def load_rst(path: str, text: str) -> Document:
    remarks: tuple[str, ...] = ()
    headings: list[Heading] = []
    if len(text) <= OUTLINED_CHARS:
        try:
            headings = _find_headings(text)
        except RecursionError:
            remarks = ("nested too deeply: read without its headings",)
    return Document(
        path=path,
        text=text,
        title=only_top_heading(headings),
        sections=sections_from(headings, len(text)),
        line_numbers=range(1, text.count("\n") + 2),
        remarks=remarks,
    )


def _find_headings(text: str) -> list[Heading]:
    from docutils import nodes  # 55 ms with the parser

    text = text.translate(_NO_LINE_ENDS)
    lines = text.split("\n")
    starts = line_starts(text)
    headings: list[Heading] = []
    for section in _parse(text).findall(nodes.section):
        title = section[0]
        at = (title.line or 0) - 2  # docutils gives the underline's line, from 1
        source = title.astext()
        if at < 0 or lines[at].strip() != source.strip():
            continue
        if at > 0 and lines[at - 1].strip() == lines[at + 1].strip():
            at -= 1  # the overline
        headings.append(Heading(start=starts[at], level=_depth(section), text=_without_markup(source[:1000])))
    return headings


def _depth(section: "nodes.section") -> int:
    depth = 0
    node: Any = section
    while node is not None:
        depth += node.tagname == "section"
        node = node.parent
    return depth


def _parse(text: str) -> "nodes.document":
    from docutils import nodes
    from docutils.frontend import get_default_settings
    from docutils.parsers.rst import Parser, states
    from docutils.utils import new_document

    class WithoutInlineMarkup(states.Inliner):  # type: ignore[misc]
        def init_customizations(self, settings: Any) -> None:
            """Nothing to customise: no pattern is used."""

        def parse(self, text: str, *_: Any) -> tuple[list[nodes.Node], list[nodes.Node]]:
            return [nodes.Text(text)], []

    settings = get_default_settings(Parser)
    settings.file_insertion_enabled = False
    settings.raw_enabled = False
    settings.report_level = settings.halt_level = 5  # nothing is reported, nothing stops the parser
    settings.warning_stream = ""
    document = new_document("", settings)
    Parser(inliner=WithoutInlineMarkup()).parse(text, document)
    return document


def _without_markup(title: str) -> str:
    shown = _ROLE.sub(lambda found: _TARGET.sub("", found[1] or found[2] or ""), title)
    return clean_heading(_MARKUP.sub("", shown))
