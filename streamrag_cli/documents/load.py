"""Loads a file's bytes into a `Document`, with the loader registered for its name.

`load` runs in this process. `sandbox.Loader` loads large files and risky formats in a separate process.
"""

from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Final

from streamrag_cli.documents.formats import format_for
from streamrag_cli.documents.ocr import PageReader
from streamrag_cli.documents.read import RawFile, decode
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document

_MAX_TEXT_CHARS: Final = 1 << 26
_MAX_GROWTH: Final = 2
"""A text of more than `_MAX_TEXT_CHARS` may be at most `_MAX_GROWTH` times as long as its file. Otherwise a small file
that repeats text could exhaust the memory and keep the embedder busy for hours."""


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
    if len(document.text) > max(_MAX_TEXT_CHARS, _MAX_GROWTH * raw.size):
        raise DocumentError("the text is many times as large as the file", code="too_large")
    notes = [*filter(None, [note]), *document.notes]
    if not document.text.strip():
        notes.append("the document contains no text")
    return replace(document, notes=tuple(notes))
