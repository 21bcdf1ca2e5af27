"""Measures precision and recall of the text read from web pages and PDFs, compared with a reference.

    python -m benchmarks.page_content pages REFERENCE.json     [[path of a page, text of its content], ...]
    python -m benchmarks.page_content articles FOLDER          a checkout of article-extraction-benchmark
    python -m benchmarks.page_content pdfs FILE...             compared with `pdftotext`, which separates columns

Prints the mean precision and recall of groups of four words (three for PDFs) and the CPU time per page.
"""

import gzip
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from streamrag_cli.documents.loaders.html import load_html
from streamrag_cli.documents.loaders.pdf import load_pdf

Case = tuple[str, str, int, float]
"""The extracted text, the reference text, the number of pages and the CPU time in seconds."""


def groups(text: str, size: int) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text.replace("-\n", ""))
    return Counter(zip(*(words[index:] for index in range(size)), strict=False))


def pages(reference: Path) -> Iterator[Case]:
    for path, content in json.loads(reference.read_text(encoding="utf-8")):
        yield read_page(Path(path).read_bytes(), content)


def articles(folder: Path) -> Iterator[Case]:
    truth = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    for name, article in sorted(truth.items()):
        yield read_page(gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes()), article["articleBody"])


def read_page(page: bytes, content: str) -> Case:
    started = time.process_time()
    text = load_html("page.html", page).text
    return text, content, 1, time.process_time() - started


def pdfs(files: Iterable[Path]) -> Iterator[Case]:
    for file in files:
        started = time.process_time()
        document = load_pdf(str(file), file.read_bytes())
        seconds = time.process_time() - started
        reference = subprocess.run(["pdftotext", file, "-"], capture_output=True, check=True)
        yield document.text, reference.stdout.decode(errors="replace"), len(document.sections), seconds


def report(cases: Iterable[Case], size: int) -> None:
    precisions, recalls, page_count, seconds = [], [], 0, 0.0
    for text, reference, count, spent in cases:
        actual, expected = groups(text, size), groups(reference, size)
        shared = (actual & expected).total()
        precisions.append(shared / actual.total() if actual else 1.0)
        recalls.append(shared / expected.total() if expected else 1.0)
        page_count, seconds = page_count + count, seconds + spent
    number = max(1, len(precisions))
    print(
        f"{len(precisions)} files: precision {sum(precisions) / number:.3f}, recall {sum(recalls) / number:.3f}, "
        f"{1000 * seconds / max(1, page_count):.1f} ms per page"
    )


def main(kind: str, *arguments: str) -> None:
    if kind == "pdfs":
        report(pdfs(map(Path, arguments)), 3)
    else:
        report({"pages": pages, "articles": articles}[kind](Path(arguments[0])), 4)


if __name__ == "__main__":
    main(*sys.argv[1:])
