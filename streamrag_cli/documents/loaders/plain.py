"""Loads plain text: the text of the file, unchanged."""

from streamrag_cli.model import Document, Section


def load_plain(path: str, text: str) -> Document:
    return plain_document(path, text, (Section(start=0, end=len(text)),) if text else ())


def plain_document(path: str, text: str, sections: tuple[Section, ...]) -> Document:
    """Return a document without a title, whose text is the unchanged file."""
    return Document(path=path, text=text, title="", sections=sections, line_numbers=range(1, text.count("\n") + 2))
