"""Folders of documents for benchmarks, generated from a data set in BEIR layout outside the repository."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamrag_cli.settings import Settings


def write_pages(corpus: Path, folder: Path, pages: int) -> int:
    """Write `pages` Markdown files from the entries of a `corpus.jsonl`, and return the number of bytes written.

    Entries are repeated if there are too few. Each file ends with its page number, so no two files are equal.
    """
    entries = read_lines(corpus)
    written = 0
    for number in range(pages):
        entry = entries[number % len(entries)]
        path = folder / f"{number // 500:04d}" / f"{number:06d}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        written += path.write_bytes(f"{entry['text']}\n\nPage {number}.\n".encode())
    return written


def ingest_all(folder: Path, settings: "Settings") -> None:
    """Ingest all documents in `folder`. Raises StreamragError."""
    from streamrag_cli.ingest.pipeline import IngestRequest, ingest_or_raise

    for _ in ingest_or_raise(IngestRequest(paths=(folder,), working_directory=folder), settings):
        pass


def read_lines(file: Path) -> list[dict[str, str]]:
    """The objects of a JSON Lines file. Does not use `splitlines`, because JSON may contain some of its separators
    unescaped.
    """
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
