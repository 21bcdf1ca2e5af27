"""Loads PDF files: one section per page, with the text in reading order.

Columns are read one after the other, and tables row by row. Running headers and page numbers are dropped. Line breaks
are kept, but words hyphenated at the end of a line are rejoined. Scanned pages are read with OCR if it is available.
"""

import re
from dataclasses import replace
from functools import partial
from typing import Any, Final

from streamrag_cli.documents.loaders.pdf_layout import reading_order
from streamrag_cli.documents.loaders.pdf_margins import without_margins
from streamrag_cli.documents.loaders.pdf_sentences import join_sentences
from streamrag_cli.documents.loaders.pdf_text import LINE_BREAK_HYPHEN, NOT_SHOWN, Page, is_unreadable, read_page
from streamrag_cli.documents.ocr import INSTALL, OcrFileLimitError, PageReader
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document, Section

_DIVIDED: Final = re.compile(r"\b(\w+)(?:\ufffe\s*|-\n(?=[a-zß-öø-ÿ]))(\w+)")
_COMPOUND: Final = re.compile(r"\b\w+-\w+")
_FILE_NAME: Final = re.compile(r"\.(?:docx?|pdf|tex|dvi|odt|rtf|indd|pptx?|xlsx?|qxd|ps)$", re.IGNORECASE)
_PROGRAM: Final = re.compile(r"^(?:Microsoft (?:Word|PowerPoint)) - ", re.IGNORECASE)
_DPI: Final = 200
"""The resolution for OCR. 10-point text has the same words as at 300 dpi, which takes twice as long."""
_MAX_PIXELS: Final = 25_000_000
_NO_TITLE: Final = frozenset({"", "untitled", "title", "document", "slide 1", "powerpoint presentation"})


def load_pdf(path: str, data: bytes, ocr: PageReader | None = None) -> Document:
    import pypdfium2  # imports in about 60 ms

    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise _translate_error(error, data) from error
    try:
        title = _title(pdf.get_metadata_dict().get("Title", ""))
        pages = [read_page(pdf, index) for index in range(len(pdf))]
        recognised = _Recognised(pdf, pages, ocr)
    except pypdfium2.PdfiumError as error:
        raise _translate_error(error, data) from error
    finally:
        pdf.close()
    return _document(path, title, pages, recognised)


class _Recognised:
    """The recognised text of scanned pages by index, "" for pages without text. Without OCR, there are no entries."""

    def __init__(self, pdf: Any, pages: list[Page], ocr: PageReader | None) -> None:
        self.texts: dict[int, str] = {}
        self.failed = 0
        for index, page in enumerate(pages):
            if ocr is None or not page.needs_ocr:
                continue
            try:
                self.texts[index] = ocr.read(str(index), partial(_rendered, pdf, index), dpi=_DPI)
            except OcrFileLimitError:
                raise
            except DocumentError:
                self.failed += 1


def _rendered(pdf: Any, index: int) -> bytes:
    """Render a page as a grey image in the PGM format. Very large pages are rendered with fewer pixels per inch."""
    page = pdf[index]
    width, height = page.get_size()
    scale = min(_DPI / 72, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        rows = bitmap.to_numpy()
        header = b"P5 %d %d 255\n" % (rows.shape[1], rows.shape[0])
        return header + bytes(rows.tobytes())
    finally:
        bitmap.close()
        page.close()


def _document(path: str, title: str, pages: list[Page], recognised: _Recognised) -> Document:
    texts = _page_texts(pages)
    for index, text in recognised.texts.items():
        if is_unreadable(texts[index]) or len(text.split()) > len(texts[index].split()):
            texts[index] = text
    compounds = {word.casefold() for text in texts for word in _COMPOUND.findall(text)}
    pieces: list[str] = []
    sections: list[Section] = []
    length = without_text = 0
    for number, (page, page_text) in enumerate(zip(pages, texts, strict=True), start=1):
        text = _joined(page_text, compounds).strip()
        if not text:
            without_text += page.is_picture
            continue
        pieces.append(text + "\n\n")
        sections.append(Section(start=length, end=length + len(text) + 2, page=number))
        length += len(text) + 2
    if not pieces and recognised.failed:
        raise DocumentError("OCR failed on the scanned pages", code="timed_out")
    if not pieces and not recognised.texts:
        raise DocumentError("the document contains no text; it may be scanned", code="no_text", hint=INSTALL)
    return Document(
        path=path,
        text="".join(pieces),
        title=title,
        sections=tuple(sections),
        line_numbers=None,
        notes=(_pages_note(without_text, len(pages), has_ocr=bool(recognised.texts) and not recognised.failed),)
        if without_text and pieces
        else (),
    )


def _page_texts(pages: list[Page]) -> list[str]:
    """Return the text of each page. A sentence that continues on the next page is kept on the page where it begins."""
    lines = [reading_order(replace(page, runs=runs)) for page, runs in zip(pages, without_margins(pages), strict=True)]
    join_sentences(lines)
    return ["\n".join([*(line.text for line in each), *page.sideways]) for each, page in zip(lines, pages, strict=True)]


def _pages_note(without_text: int, pages: int, *, has_ocr: bool) -> str:
    reason = "OCR found no text" if has_ocr else "possibly scanned"
    return f"{without_text:,} of {pages:,} pages {'has' if without_text == 1 else 'have'} no text ({reason})"


def _joined(page: str, compounds: set[str]) -> str:
    """Rejoin words divided at line ends. The hyphen stays if the document uses the hyphenated word elsewhere."""

    def join(match: re.Match[str]) -> str:
        compound = f"{match[1]}-{match[2]}"
        return compound if compound.casefold() in compounds else match[1] + match[2]

    return _DIVIDED.sub(join, page).replace(LINE_BREAK_HYPHEN, "-")


def _title(stored: str) -> str:
    title = _PROGRAM.sub("", NOT_SHOWN.sub("", stored).strip())
    return "" if title.casefold() in _NO_TITLE or _FILE_NAME.search(title) else clean_heading(title)


def _translate_error(error: Exception, data: bytes) -> DocumentError:
    """Translate pdfium's error. Its error number may come from a previous file, so `/Encrypt` is checked as well."""
    from pypdfium2 import raw

    refused = getattr(error, "err_code", None) in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}
    if refused and b"/Encrypt" in data:
        return DocumentError(
            "the PDF is encrypted and requires a password",
            code="encrypted",
            hint="decrypt it first: qpdf --decrypt --password=PASSWORD IN.pdf OUT.pdf",
        )
    return DocumentError("the file is corrupt or is not a PDF", code="corrupt")
