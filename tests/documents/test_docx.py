import io
import zipfile
from collections.abc import Callable
from typing import Any

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from streamrag_cli.documents.loaders.docx import load_docx
from streamrag_cli.documents.loaders.docx_package import ENTRIES
from streamrag_cli.errors import DocumentError
from tests.documents.loading import loaded, outline


def docx_bytes(write: Callable[[Any], None]) -> bytes:
    document = docx.Document()
    write(document)
    saved = io.BytesIO()
    document.save(saved)
    return saved.getvalue()


def zip_bytes(entries: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_paragraphs_and_tables_come_in_reading_order_under_their_headings() -> None:
    def write(document: Any) -> None:
        document.core_properties.title = "The Guide"
        document.add_heading("Use", level=1)
        document.add_paragraph("First.\tTabbed.")
        table = document.add_table(rows=2, cols=2)
        for row, names in zip(table.rows, (("Name", "Age"), ("Ada\nL.", "36")), strict=True):
            for cell, name in zip(row.cells, names, strict=True):
                cell.text = name
        document.add_paragraph("")
        document.add_heading("Deep", level=2)
        document.add_paragraph("Last.")

    document = loaded("a.docx", docx_bytes(write))

    assert (document.title, document.line_numbers) == ("The Guide", None)
    assert outline(document) == [
        ("Use", "Use\n\nFirst.\tTabbed.\n\n- Name: Ada L.; Age: 36"),
        ("Use > Deep", "Deep\n\nLast."),
    ]


def test_a_title_paragraph_names_the_document() -> None:
    document = loaded("a.docx", docx_bytes(lambda document: document.add_heading("Named", level=0)))

    assert (document.title, document.text) == ("Named", "Named\n\n")


def test_a_style_based_on_a_heading_is_one() -> None:
    def write(document: Any) -> None:
        style = document.styles.add_style("Chapter", WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = document.styles["Heading 2"]
        document.add_paragraph("One", style="Chapter")
        document.add_paragraph("x")

    assert outline(loaded("a.docx", docx_bytes(write))) == [("One", "One\n\nx")]


def test_inserted_text_is_read_deleted_text_is_not_and_content_controls_are_looked_into() -> None:
    def write(document: Any) -> None:
        body = document.element.body
        body.insert(
            0,
            parse_xml(
                f"<w:p {nsdecls('w')}><w:r><w:t>kept </w:t></w:r><w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
                "<w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>"
            ),
        )
        body.insert(
            1,
            parse_xml(
                f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p>"
                "</w:sdtContent></w:sdt>"
            ),
        )

    assert loaded("a.docx", docx_bytes(write)).text == "kept new\n\ncontrolled\n\n"


def test_a_document_without_text_is_noted() -> None:
    assert loaded("a.docx", docx_bytes(lambda _: None)).remarks == ("no text in it",)


@pytest.mark.parametrize(
    "data",
    [
        docx_bytes(lambda document: document.add_paragraph("x"))[:-400],
        b"",
        b"PK\x03\x04 no zip",
        zip_bytes({"readme.txt": b"a zip, but not Word's"}),
        zip_bytes({"[Content_Types].xml": b"<Types", "_rels/.rels": b"<"}),
    ],
    ids=["cut off", "empty", "noise", "another zip", "broken xml"],
)
def test_what_is_no_word_document_is_corrupt(data: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        load_docx("/docs/a.docx", data)

    assert caught.value.code == "corrupt"


def test_an_encrypted_document_is_named_so() -> None:
    with pytest.raises(DocumentError) as caught:
        load_docx("/docs/a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))

    assert caught.value.code == "encrypted"


@pytest.mark.parametrize(
    "data",
    [
        zip_bytes({"word/document.xml": bytes(64 << 20)}),
        zip_bytes({f"{number}": b"" for number in range(ENTRIES + 1)}),
    ],
    ids=["ratio", "entries"],
)
def test_a_zip_bomb_is_refused_before_it_is_unpacked(data: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        load_docx("/docs/a.docx", data)

    assert caught.value.code == "zip_bomb"
