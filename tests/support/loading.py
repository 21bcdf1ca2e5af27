"""Loads bytes as the content of a named file, and lists the sections of a document."""

from itertools import pairwise
from pathlib import Path

from streamrag_cli.documents.load import load
from streamrag_cli.documents.read import RawFile
from streamrag_cli.model import Document


def raw_file(data: bytes) -> RawFile:
    return RawFile(data=data, size=len(data), mtime_ns=0, read_at_ns=0, sha256="")


def loaded(name: str, content: str | bytes) -> Document:
    """Load a document and check the invariants of `Document`."""
    data = content.encode() if isinstance(content, str) else content
    document = load(Path("/docs", name), raw_file(data))
    assert document.path == f"/docs/{name}"
    check_promises(document)
    return document


def check_promises(document: Document) -> None:
    sections = document.sections
    assert [section.start for section in sections[:1]] == ([0] if document.text else [])
    assert [section.end for section in sections[-1:]] == ([len(document.text)] if document.text else [])
    assert all(before.end == after.start for before, after in pairwise(sections))
    assert all(section.start < section.end for section in sections)
    if document.line_numbers is not None:
        assert len(document.line_numbers) == document.text.count("\n") + 1


def outline(document: Document) -> list[tuple[str, str]]:
    """The sections of a document as (heading path, text without surrounding blank lines)."""
    return [
        (" > ".join(section.headings), document.text[section.start : section.end].strip())
        for section in document.sections
    ]
