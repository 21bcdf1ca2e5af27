"""From a file's bytes to a `Document`, by the format that its name stands for.

`load` runs in this process. The parsers of `RISKY_FORMATS` are C code, or unpack archives, or take minutes on some
texts: `sandbox.Loader` sends these to a process of their own.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from streamrag_cli.documents.formats import FormatName, format_of, is_of_its_format
from streamrag_cli.documents.loaders.asciidoc import load_asciidoc
from streamrag_cli.documents.loaders.code import load_code
from streamrag_cli.documents.loaders.config import load_config
from streamrag_cli.documents.loaders.docx import load_docx
from streamrag_cli.documents.loaders.html import load_html
from streamrag_cli.documents.loaders.json_text import load_json, load_json_lines
from streamrag_cli.documents.loaders.latex import load_latex
from streamrag_cli.documents.loaders.mail import load_mail, load_mailbox
from streamrag_cli.documents.loaders.man import load_man
from streamrag_cli.documents.loaders.markdown import load_markdown
from streamrag_cli.documents.loaders.mdx import load_mdx
from streamrag_cli.documents.loaders.notebook import load_notebook
from streamrag_cli.documents.loaders.org import load_org
from streamrag_cli.documents.loaders.pdf import load_pdf
from streamrag_cli.documents.loaders.plain import load_plain
from streamrag_cli.documents.loaders.python_source import load_python
from streamrag_cli.documents.loaders.rst import load_rst
from streamrag_cli.documents.loaders.subtitles import load_subtitles
from streamrag_cli.documents.loaders.table import load_table
from streamrag_cli.documents.loaders.toml_text import load_toml
from streamrag_cli.documents.loaders.xml_text import load_xml
from streamrag_cli.documents.loaders.yaml_text import load_yaml
from streamrag_cli.documents.read import RawFile, decode
from streamrag_cli.model import Document

RISKY_FORMATS: Final[frozenset[FormatName]] = frozenset(
    {"pdf", "docx", "html", "rst", "notebook", "asciidoc", "org", "man", "latex", "mail", "mailbox", "xml"}
)

_FROM_BYTES: Final[dict[FormatName, Callable[[str, bytes], Document]]] = {
    "pdf": load_pdf,
    "docx": load_docx,
    "html": load_html,
    "mail": load_mail,
    "mailbox": load_mailbox,
    "xml": load_xml,
}
_FROM_TEXT: Final[dict[FormatName, Callable[[str, str], Document]]] = {
    "markdown": load_markdown,
    "mdx": load_mdx,
    "rst": load_rst,
    "notebook": load_notebook,
    "table": load_table,
    "json": load_json,
    "json_lines": load_json_lines,
    "yaml": load_yaml,
    "toml": load_toml,
    "config": load_config,
    "asciidoc": load_asciidoc,
    "org": load_org,
    "man": load_man,
    "latex": load_latex,
    "subtitles": load_subtitles,
    "python": load_python,
    "code": load_code,
    "text": load_plain,
}


def load(path: Path, raw: RawFile) -> Document:
    """Load what was read from `path`; a name that no format claims is text. Raises `DocumentError`."""
    name = format_of(path) if is_of_its_format(path, raw.data) else None
    name = name or "text"
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
