"""Folders of documents to measure on, made from a set in BEIR layout that lies outside the project."""

import json
from pathlib import Path


def write_pages(corpus: Path, folder: Path, pages: int) -> int:
    """Write `pages` Markdown files from a `corpus.jsonl`, its entries again and again with a line of their own.

    Returns the bytes written. The line keeps equal pages from being equal files.
    """
    entries = read_lines(corpus)
    written = 0
    for number in range(pages):
        entry = entries[number % len(entries)]
        path = folder / f"{number // 500:04d}" / f"{number:06d}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        written += path.write_bytes(f"{entry['text']}\n\nPage {number}.\n".encode())
    return written


def read_lines(file: Path) -> list[dict[str, str]]:
    """The objects of a JSON Lines file. Not `splitlines`: JSON leaves other line separators as they are."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
