"""Builds the document for a word processor file from its blocks: paragraphs, tables and headings in reading order."""

from collections.abc import Iterable

from streamrag_cli.documents.outline import Heading, clean_heading, sections_from
from streamrag_cli.model import Document


def document_of_blocks(path: str, title: str, blocks: Iterable[tuple[int, str]]) -> Document:
    """Build a document from blocks. A block is a heading level (0 for the title, -1 for other text) and a text.

    If `title` is "", the first block of level 0 is the title.
    """
    pieces: list[str] = []
    headings: list[Heading] = []
    length = 0
    for level, text in blocks:
        if level == 0:
            title = title or clean_heading(text)
        elif level > 0:
            headings.append(Heading(start=length, level=level, text=clean_heading(text)))
        mark = f"{'#' * min(max(level, 1), 6)} " if level >= 0 and text.strip() else ""
        pieces.append(f"{mark}{text}\n\n")
        length += len(pieces[-1])
    return Document(
        path=path,
        text="".join(pieces),
        title=title,
        sections=sections_from(headings, length),
        line_numbers=None,
    )
