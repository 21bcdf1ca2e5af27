"""Loads a file's bytes into a `Document`, with the loader registered for its name.

`load` runs in this process. `sandbox.Loader` loads large files and risky formats in a separate process.
"""

from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

from streamrag_cli.documents.formats import format_for
from streamrag_cli.documents.ocr import PageReader
from streamrag_cli.documents.read import RawFile, decode
from streamrag_cli.model import Document


def load(path: Path, raw: RawFile) -> Document:
    """Load the content of `path`. If no format is registered for its name, load plain text. Raises `DocumentError`."""
    entry = format_for(path, raw.data)
    return load_with(entry.loader, entry.input_type, path, raw)


def load_with(loader: str, input_type: str, path: Path, raw: RawFile, ocr: PageReader | None = None) -> Document:
    """Load `raw` with the function that `loader` names as `module:function`.

    `input_type` is the type of its argument, "text" or "bytes". `ocr` is passed to it unless it is None.
    Raises `DocumentError`.
    """
    text, note = (raw.data, "") if input_type == "bytes" else decode(raw.data)
    document: Document = resolve_name(loader)(str(path), text, *([ocr] if ocr else []))
    notes = [*filter(None, [note]), *document.notes]
    if not document.text.strip():
        notes.append("the document contains no text")
    return replace(document, notes=tuple(notes))
