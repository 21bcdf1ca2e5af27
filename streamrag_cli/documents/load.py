"""From a file's bytes to a `Document`, by the format that its name stands for.

`load` runs in this process. The parsers of `RISKY_FORMATS` are C code, or unpack archives, or take minutes on some
texts: `sandbox.Loader` sends these to a process of their own.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from streamrag_cli.documents.formats import FormatName, format_of
from streamrag_cli.documents.loaders.docx import load_docx
from streamrag_cli.documents.loaders.html import load_html
from streamrag_cli.documents.loaders.markdown import load_markdown
from streamrag_cli.documents.loaders.notebook import load_notebook
from streamrag_cli.documents.loaders.pdf import load_pdf
from streamrag_cli.documents.loaders.plain import load_asciidoc, load_org, load_plain
from streamrag_cli.documents.loaders.python_source import load_python
from streamrag_cli.documents.loaders.records import load_json_lines, load_table
from streamrag_cli.documents.loaders.rst import load_rst
from streamrag_cli.documents.read import RawFile, decode
from streamrag_cli.model import Document

RISKY_FORMATS: Final[frozenset[FormatName]] = frozenset({"pdf", "docx", "html", "rst", "notebook"})

_FROM_BYTES: Final[dict[FormatName, Callable[[str, bytes], Document]]] = {
    "pdf": load_pdf,
    "docx": load_docx,
    "html": load_html,
}
_FROM_TEXT: Final[dict[FormatName, Callable[[str, str], Document]]] = {
    "markdown": load_markdown,
    "rst": load_rst,
    "notebook": load_notebook,
    "table": load_table,
    "json_lines": load_json_lines,
    "asciidoc": load_asciidoc,
    "org": load_org,
    "python": load_python,
    **dict.fromkeys(("text", "json", "config", "code"), load_plain),
}


def load(path: Path, raw: RawFile) -> Document:
    """Load what was read from `path`; a name that no format claims is text. Raises `DocumentError`."""
    name = format_of(path) or "text"
    if name in _FROM_BYTES:
        document = _FROM_BYTES[name](str(path), raw.data)
    else:
        text, remark = decode(raw.data)
        document = _FROM_TEXT[name](str(path), text)
        if remark:
            document = replace(document, remarks=(remark, *document.remarks))
    if not document.text.strip():
        document = replace(document, remarks=(*document.remarks, "no text in it"))
    return document
