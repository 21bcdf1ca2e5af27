"""From a file's bytes to a `Document`, by the format that its name selects.

`load` runs in this process: `sandbox.Loader` sends formats whose parsers are C code, or unpack archives, and large
files to a process of their own.
"""

from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

from streamrag_cli.documents.formats import format_for
from streamrag_cli.documents.read import RawFile, decode
from streamrag_cli.model import Document


def load(path: Path, raw: RawFile) -> Document:
    """Load what was read from `path`; a name that selects no format is text. Raises `DocumentError`."""
    entry = format_for(path, raw.data)
    return load_with(entry.loader, entry.input_type, path, raw)


def load_with(loader: str, input_type: str, path: Path, raw: RawFile) -> Document:
    """The same with the loader of an entry of the registry, and what it `takes`."""
    text, note = (raw.data, "") if input_type == "bytes" else decode(raw.data)
    document: Document = resolve_name(loader)(str(path), text)
    notes = [*filter(None, [note]), *document.notes]
    if not document.text.strip():
        notes.append("contains no text")
    return replace(document, notes=tuple(notes))
