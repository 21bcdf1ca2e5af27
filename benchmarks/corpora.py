"""Folders of documents for benchmarks, generated from a data set in BEIR layout outside the repository."""

import json
from pathlib import Path


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


def read_lines(file: Path) -> list[dict[str, str]]:
    """The objects of a JSON Lines file. Does not use `splitlines`, because JSON may contain some of its separators
    unescaped.
    """
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
