# /// script
# requires-python = ">=3.11"
# dependencies = ["python-docx>=1.1.2", "reportlab>=4.2"]
# ///
"""Creates the PDF and the Word files of `sample_docs/` from the Markdown in `tools/sample_docs`.

Their text is kept as Markdown, so that changes can be reviewed. The same source produces the same bytes. Only the
markup of the sources is supported: two levels of headings, paragraphs, one-line or indented bullets and pipe tables.

    uv run tools/make_sample_docs.py
"""

import datetime
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "sample_docs"
TARGETS = Path(__file__).parent.parent / "sample_docs"
CREATED = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block. Only tables have `rows`, and only headings have a `level` (1 or 2)."""

    kind: str  # heading, paragraph, bullet, table
    text: str = ""
    level: int = 0
    rows: tuple[tuple[str, ...], ...] = ()


def parse(source: str) -> list[Block]:
    """Split Markdown into blocks at blank lines; each bullet of a list is a separate block."""
    blocks: list[Block] = []
    for part in source.strip().split("\n\n"):
        lines = part.split("\n")
        if part.startswith("#"):
            marks, _, title = part.partition(" ")
            blocks.append(Block(kind="heading", text=title, level=len(marks)))
        elif part.startswith("|"):
            cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
            blocks.append(Block(kind="table", rows=(cells[0], *cells[2:])))
        elif part.startswith("- "):
            items = "\n".join(lines)[2:].split("\n- ")
            blocks.extend(Block(kind="bullet", text=" ".join(item.split())) for item in items)
        else:
            blocks.append(Block(kind="paragraph", text=" ".join(part.split())))
    return blocks


def pdf(blocks: list[Block]) -> bytes:
    """Render headings and paragraphs in two columns on A4 pages, with standard fonts, so that no font is embedded."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import cm
    from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph

    body = ParagraphStyle("body", fontName="Times-Roman", fontSize=10, leading=12.5, spaceAfter=5)
    title = ParagraphStyle("title", fontName="Times-Bold", fontSize=15, leading=18, spaceAfter=8)
    heading = ParagraphStyle(
        "heading", fontName="Times-Bold", fontSize=11.5, leading=14, spaceBefore=6, spaceAfter=3, keepWithNext=True
    )

    def flowable(block: Block) -> Flowable:
        if block.kind == "heading":
            return Paragraph(block.text, title if block.level == 1 else heading)
        return Paragraph(block.text, body)

    def number(canvas: Any, document: Any) -> None:
        canvas.setFont("Times-Roman", 9)
        canvas.drawCentredString(A4[0] / 2, 1.2 * cm, f"Page {document.page}")

    margin, gap = 2 * cm, 0.8 * cm
    width, height = (A4[0] - 2 * margin - gap) / 2, A4[1] - 2 * margin
    columns = [Frame(left, margin, width, height, 0, 0, 0, 0) for left in (margin, margin + width + gap)]
    buffer = io.BytesIO()
    template = BaseDocTemplate(buffer, pagesize=A4, title=blocks[0].text, author="streamrag", invariant=1)
    template.addPageTemplates(PageTemplate(frames=columns, onPage=number))
    template.build([flowable(block) for block in blocks])
    return buffer.getvalue()


def docx(blocks: list[Block]) -> bytes:
    """Write the blocks with Word's own heading, list and table styles."""
    from docx import Document

    document = Document()
    properties = document.core_properties
    properties.title, properties.author, properties.comments = blocks[0].text, "streamrag", ""
    properties.created = properties.modified = CREATED
    for block in blocks:
        match block.kind:
            case "heading":
                document.add_heading(block.text, level=block.level - 1)
            case "table":
                table = document.add_table(rows=0, cols=len(block.rows[0]), style="Light Grid Accent 1")
                for row in block.rows:
                    for target, text in zip(table.add_row().cells, row, strict=True):
                        target.text = text
            case "bullet":
                document.add_paragraph(block.text, style="List Bullet")
            case _:
                document.add_paragraph(block.text)
    buffer = io.BytesIO()
    document.save(buffer)
    return without_dates(buffer.getvalue())


def without_dates(archive: bytes) -> bytes:
    """Repack a zip archive with fixed dates."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, ZIP_DATE), old.read(name), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def main() -> None:
    """Write the documents into `sample_docs/`."""
    for name, make in (("lease.pdf", pdf), ("handover-record.docx", docx), ("mietvertrag-garage.docx", docx)):
        source = SOURCES / Path(name).with_suffix(".md").name
        (TARGETS / name).write_bytes(make(parse(source.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
