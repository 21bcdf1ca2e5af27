import pytest

from streamrag_cli.documents.loaders.pdf import load_pdf
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document, Section
from tests.support.loading import loaded
from tests.support.pdf_bytes import pdf_bytes


def test_each_page_with_text_is_a_section() -> None:
    pages = [["First page (one),", "second line."], [], ["Third page."]]

    assert loaded("a.pdf", pdf_bytes(pages, title="The Guide")) == Document(
        path="/docs/a.pdf",
        text="First page (one),\nsecond line.\n\nThird page.\n\n",
        title="The Guide",
        sections=(Section(start=0, end=32, page=1), Section(start=32, end=45, page=3)),
        line_numbers=None,
    )


def test_words_divided_at_line_ends_are_rejoined_and_compounds_keep_hyphens() -> None:
    pages = [["This is an impor-", "tant and well-", "known matter.", "It is well-known."]]

    assert (
        loaded("a.pdf", pdf_bytes(pages)).text == "This is an important and well-known matter.\nIt is well-known.\n\n"
    )


@pytest.mark.parametrize("title", ["", "Microsoft Word - report.docx", "Untitled", "paper.dvi"])
def test_a_meaningless_pdf_title_is_ignored(title: str) -> None:
    assert loaded("a.pdf", pdf_bytes([["x"]], title=title)).title == ""


@pytest.mark.fault("unreadable-files")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (pdf_bytes([["x"]], encrypted=True), "encrypted"),
        (pdf_bytes([[], []]), "no_text"),
        (pdf_bytes([]), "corrupt"),
        (pdf_bytes([["x"]])[:60], "corrupt"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 20, "corrupt"),
        (b"", "corrupt"),
    ],
    ids=["encrypted", "blank pages", "no pages", "cut off", "noise", "empty"],
)
def test_unreadable_pdfs_are_reported_with_a_code(data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load_pdf("/docs/a.pdf", data)

    assert caught.value.code == code
