"""Loads Jupyter notebooks in formats 3 and 4: Markdown cells, and code cells in fences with their outputs.

Notebooks are parsed as plain JSON. `nbformat` is not used, because it imports a JSON schema validator, warns about
missing cell ids and rejects notebooks whose text is readable.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from streamrag_cli.documents.loaders.markdown import find_headings
from streamrag_cli.documents.loaders.notebook_outputs import joined, output_texts
from streamrag_cli.documents.outline import Heading, clean_heading, only_top_heading, sections_from
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document
from streamrag_cli.text import NOT_TEXT, REPLACEMENT

_BACKTICKS: Final = re.compile(r"`{3,}")


def load_notebook(path: str, source: str) -> Document:
    try:
        notebook = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise DocumentError("the notebook is corrupt: its content is not JSON", code="corrupt") from error
    cells = _cells(notebook)
    if cells is None:
        raise DocumentError("the file is corrupt or is not a notebook", code="corrupt")
    language = _language(notebook)
    pieces: list[str] = []
    headings: list[Heading] = []
    length = 0
    for cell in cells:
        for is_markdown, text in _rendered(cell, language):
            if is_markdown:
                headings.extend(
                    Heading(start=length + heading.start, level=heading.level, text=heading.text)
                    for heading in find_headings(text)
                )
            pieces.append(text + "\n\n")
            length += len(text) + 2
    return Document(
        path=path,
        text="".join(pieces),
        title=_title(notebook) or only_top_heading(headings),
        sections=sections_from(headings, length),
        line_numbers=None,
    )


def _cells(notebook: Any) -> list[dict[str, Any]] | None:
    """Return the cells of a notebook (in format 3, of all its worksheets); None if it is not a notebook."""
    match notebook:
        case {"cells": list(cells)}:
            pass
        case {"worksheets": list(sheets)}:
            cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in _list(sheet.get("cells"))]
        case _:
            return None
    return [cell for cell in cells if isinstance(cell, dict)]


def _rendered(cell: dict[str, Any], language: str) -> Iterator[tuple[bool, str]]:
    """Yield the source and the useful outputs of a cell that are not blank, as (is Markdown, text) pairs."""
    kind = cell.get("cell_type")
    source = joined(cell.get("source", cell.get("input")))
    if not source:
        return
    if kind == "markdown":
        yield True, source
    elif kind == "heading":
        level = cell.get("level")
        yield True, "#" * (level if isinstance(level, int) and 1 <= level <= 6 else 1) + " " + " ".join(source.split())
    elif kind == "code":
        yield False, _fenced(source, language)
        for is_table, text in output_texts(cell.get("outputs")):
            yield False, text if is_table else _fenced(text, "output")
    else:
        yield False, source


def _list(value: Any) -> list[Any]:
    """Return `value` if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, *(len(run) + 1 for run in _BACKTICKS.findall(text)), 3)
    return f"{fence}{language}\n{text}\n{fence}"


def _metadata(notebook: Any, *path: str) -> str:
    value = notebook
    for name in ("metadata", *path):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _language(notebook: Any) -> str:
    language = _metadata(notebook, "kernelspec", "language") or _metadata(notebook, "language_info", "name")
    return language if re.fullmatch(r"[\w+#.-]{1,20}", language) else ""


def _title(notebook: Any) -> str:
    return clean_heading(NOT_TEXT.sub(REPLACEMENT, _metadata(notebook, "title")))
