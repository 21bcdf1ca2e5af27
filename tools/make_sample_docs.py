# /// script
# requires-python = ">=3.11"
# dependencies = ["python-docx>=1.1.2", "reportlab>=4.2"]
# ///
"""Creates the PDF and the Word file of `sample_docs/` from the Markdown in `tools/sample_docs`.

Their text is kept as Markdown, so that changes can be reviewed. The same source produces the same bytes. Only the
markup of the two sources is supported: three levels of headings, paragraphs, one-line or indented bullets, pipe tables
and indented formulas.

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
    """One block. Only tables have `rows`, and only headings have a `level` (1 to 3)."""

    kind: str  # heading, paragraph, bullet, formula, table
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
        elif part.startswith("    "):
            blocks.append(Block(kind="formula", text=part.strip()))
        elif part.startswith("- "):
            items = "\n".join(lines)[2:].split("\n- ")
            blocks.extend(Block(kind="bullet", text=" ".join(item.split())) for item in items)
        else:
            blocks.append(Block(kind="paragraph", text=" ".join(part.split())))
    return blocks


def pdf(blocks: list[Block]) -> bytes:
    """Render the blocks on A4 pages with page numbers, with standard fonts, so that no font is embedded."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
    from reportlab.lib.units import cm
    from reportlab.platypus import CondPageBreak, Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    sheet = getSampleStyleSheet()
    body = ParagraphStyle(
        "body", parent=sheet["Normal"], fontName="Times-Roman", fontSize=10.5, leading=13, spaceAfter=6
    )
    cell = ParagraphStyle("cell", parent=body, fontSize=9.5, leading=11, spaceAfter=0)
    formula = ParagraphStyle("formula", parent=body, fontName="Courier", fontSize=9, leftIndent=18)
    bullet = ParagraphStyle("bullet", parent=body, leftIndent=14, bulletIndent=2)
    grid = TableStyle([("LINEBELOW", (0, 0), (-1, 0), 0.8, "black"), ("LINEBELOW", (0, 1), (-1, -1), 0.2, "grey")])

    def flowable(block: Block) -> Flowable:
        match block.kind:
            case "heading":
                return Paragraph(block.text, sheet["Title" if block.level == 1 else f"Heading{block.level}"])
            case "table":
                return Table([[Paragraph(text, cell) for text in row] for row in block.rows], style=grid)
            case "formula":
                return Paragraph(block.text, formula)
            case "bullet":
                return Paragraph(block.text, bullet, bulletText="-")
            case _:
                return Paragraph(block.text.replace("*how much*", "<i>how much</i>"), body)

    def number(canvas: Any, document: Any) -> None:
        canvas.setFont("Times-Roman", 9)
        canvas.drawCentredString(A4[0] / 2, 1.2 * cm, f"Page {document.page}")

    story: list[Flowable] = []
    for block in blocks:
        if block.kind == "heading":
            story.append(CondPageBreak(3 * cm))
        story.append(flowable(block))
        if block.kind == "table":
            story.append(Spacer(1, 8))
    buffer = io.BytesIO()
    template = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=2.2 * cm,
        rightMargin=2.2 * cm,
        title=blocks[0].text,
        author="streamrag",
        invariant=1,
    )
    template.build(story, onFirstPage=number, onLaterPages=number)
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
    """Write both documents into `sample_docs/`."""
    for name, make in (("finding-passages.pdf", pdf), ("timeouts-and-retries.docx", docx)):
        source = SOURCES / Path(name).with_suffix(".md").name
        (TARGETS / name).write_bytes(make(parse(source.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
