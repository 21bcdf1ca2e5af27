"""Loads reStructuredText: docutils finds the sections, and `rst_text` writes the visible text.

Directives that read files or pass through raw text are disabled. Only block structure is parsed: inline markup does not
affect sections, and parsing it would take longer.
"""

import re
from typing import TYPE_CHECKING, Any, Final

from streamrag_cli.documents.loaders.plain import load_plain
from streamrag_cli.documents.loaders.rst_text import Title, inline_text, write_rst
from streamrag_cli.model import Document

if TYPE_CHECKING:
    from docutils import nodes

OUTLINED_CHARS: Final = 4_000_000
"""The maximum length of a text that is parsed, which takes about 4 s. Longer files are loaded as plain text."""

# docutils would also break lines at these characters. Each is replaced by one space, so that offsets do not change.
_NO_LINE_ENDS: Final = dict.fromkeys(map(ord, "\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")


_REPLACEMENT: Final = re.compile(r"^\.\.[ \t]+\|([^|\n]{1,80})\|[ \t]+replace::[ \t]+(\S.{0,200})$", re.MULTILINE)
_REFERENCE: Final = re.compile(r"(?<!`)\|([^|\s][^|\n]{0,79})\|(?![\w`]| +replace::)")


def load_rst(path: str, text: str) -> Document:
    notes: tuple[str, ...] = ()
    titles: dict[int, Title] = {}
    if len(text) > OUTLINED_CHARS:
        return load_plain(path, text)
    try:
        titles = _find_titles(text)
    except RecursionError:
        notes = ("the document is nested too deeply, so it was read without headings",)
    except Exception as error:  # noqa: BLE001 - docutils may raise anything; the text can be read without it
        notes = (f"docutils cannot parse the document ({type(error).__name__}), so it was read without headings",)
    return write_rst(_with_substitutions(text), titles).document(path, notes=notes)


def _with_substitutions(text: str) -> str:
    """Replace references such as `|version|` with the text that the document defines for them on one line."""
    replacements = {name: value.strip() for name, value in _REPLACEMENT.findall(text)} if "replace::" in text else {}
    return _REFERENCE.sub(lambda match: replacements.get(match[1], match[0]), text) if replacements else text


def _find_titles(text: str) -> dict[int, Title]:
    """Return the headings by the index of their first line."""
    from docutils import nodes  # imports in about 55 ms, with the parser

    text = text.translate(_NO_LINE_ENDS)
    lines = text.split("\n")
    titles: dict[int, Title] = {}
    for section in _parse(text).findall(nodes.section):
        title = section[0]
        at = (title.line or 0) - 2  # docutils returns the line of the underline, counted from 1
        source = title.astext()
        if at < 0 or lines[at].strip() != source.strip():
            continue
        has_overline = at > 0 and lines[at - 1].strip() == lines[at + 1].strip()
        match = Title(level=_depth(section), text=inline_text(source[:1000]), lines=3 if has_overline else 2)
        titles[at - has_overline] = match
    return titles


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
            """Do nothing, because no inline patterns are used."""

        def adjust_uri(self, uri: str) -> str:
            return uri

        def parse(self, text: str, *_: Any) -> tuple[list[nodes.Node], list[nodes.Node]]:
            return [nodes.Text(text)], []

    settings = get_default_settings(Parser)
    settings.file_insertion_enabled = False
    settings.raw_enabled = False
    settings.report_level = settings.halt_level = 5  # report nothing and never stop
    settings.warning_stream = ""
    document = new_document("", settings)
    Parser(inliner=WithoutInlineMarkup()).parse(text, document)
    return document
