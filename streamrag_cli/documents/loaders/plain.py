"""Plain text: the text is the file, and nothing in it is markup."""

from streamrag_cli.model import Document, Section


def load_plain(path: str, text: str) -> Document:
    return of_sections(path, text, (Section(start=0, end=len(text)),) if text else ())


def of_sections(path: str, text: str, sections: tuple[Section, ...]) -> Document:
    """A document without a title whose text is the file itself."""
    return Document(path=path, text=text, title="", sections=sections, line_numbers=range(1, text.count("\n") + 2))
