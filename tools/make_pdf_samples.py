"""Creates the PDF files in tests/documents/samples with common programs: `python -m tools.make_pdf_samples`.

Needs `chromium`, and `groff` with its PDF device, on the PATH. The files are committed, so that tests do not need these
programs.
"""

import random
import subprocess
import tempfile
from pathlib import Path

SAMPLES = Path(__file__).parent.parent / "tests" / "documents" / "samples"
SENTENCES = 75
WORDS = (
    "ferry winch lamp crew mate gate harbour engine passengers bicycles administration handbook responsibility rope "
    "inspection timetable cargo manifest customs evening morning international anchor channel"
).split()


def paragraphs() -> list[str]:
    chance = random.Random(11)
    sentences = [
        f"Sentence {number} says {' '.join(chance.choices(WORDS, k=chance.randint(6, 18)))}, and that was {number}."
        for number in range(1, SENTENCES + 1)
    ]
    result = []
    while sentences:
        count = chance.randint(2, 6)
        result.append(" ".join(sentences[:count]))
        del sentences[:count]
    return result


def chromium(target: Path) -> None:
    style = "@page{size:A5;margin:15mm} body{font:9pt serif} main{columns:2;column-gap:14px;text-align:justify}"
    body = "".join(f"<p>{each}</p>" for each in paragraphs())
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(f"<!DOCTYPE html><title></title><style>{style}</style><main>{body}</main>", encoding="utf-8")
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--no-pdf-header-footer", f"--print-to-pdf={target}", page],
            check=True,
            capture_output=True,
        )


def groff(target: Path) -> None:
    source = ".ds CH Ferry handbook\n.nr PO 1.5c\n.nr LL 11.8c\n.nr PS 9\n.nr VS 10.5\n.2C\n" + "".join(
        f".PP\n{each}\n" for each in paragraphs()
    )
    made = subprocess.run(
        ["groff", "-ms", "-Tpdf", "-dpaper=a5", "-P-pa5"], input=source.encode(), check=True, capture_output=True
    )
    target.write_bytes(made.stdout)


if __name__ == "__main__":
    chromium(SAMPLES / "columns-chromium.pdf")
    groff(SAMPLES / "columns-groff.pdf")
