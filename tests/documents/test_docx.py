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
from streamrag_cli.documents.loaders.xml_archive import ENTRIES
from streamrag_cli.errors import DocumentError
from tests.support.loading import loaded, outline


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
        ("Use", "# Use\n\nFirst.\tTabbed.\n\n- Name: Ada L.; Age: 36"),
        ("Use > Deep", "## Deep\n\nLast."),
    ]


def test_a_title_paragraph_names_the_document() -> None:
    document = loaded("a.docx", docx_bytes(lambda document: document.add_heading("Named", level=0)))

    assert (document.title, document.text) == ("Named", "# Named\n\n")


def test_a_style_based_on_a_heading_is_a_heading() -> None:
    def write(document: Any) -> None:
        style = document.styles.add_style("Chapter", WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = document.styles["Heading 2"]
        document.add_paragraph("One", style="Chapter")
        document.add_paragraph("x")

    assert outline(loaded("a.docx", docx_bytes(write))) == [("One", "## One\n\nx")]


def test_inserted_text_and_content_controls_are_read_but_deleted_text_is_not() -> None:
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


def test_characters_of_the_symbol_font_become_unicode() -> None:
    symbols = "".join(
        f'<w:sym w:font="{font}" w:char="{code}"/>'
        for font, code in (("Symbol", "F06D"), ("symbol", "0057"), ("Wingdings", "F0FE"), ("Symbol", "x"))
    )

    def write(document: Any) -> None:
        xml = f"<w:p {nsdecls('w')}><w:r><w:t>5 </w:t>{symbols}<w:t>m</w:t></w:r></w:p>"
        document.element.body.insert(0, parse_xml(xml))

    assert loaded("a.docx", docx_bytes(write)).text == "5 μΩm\n\n"


MATH = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def m(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.fault("docx-and-notebook-parts")
@pytest.mark.parametrize(
    ("equation", "text"),
    [
        (m("F=0.04 R"), "F=0.04 R"),
        (f"<m:f><m:num>{m('a+b')}</m:num><m:den>{m('2')}</m:den></m:f>", "(a+b)/2"),
        (f"<m:sSup><m:e>{m('x')}</m:e><m:sup>{m('n+1')}</m:sup></m:sSup>", "x^(n+1)"),
        (f"<m:sSubSup><m:e>{m('x')}</m:e><m:sub>{m('i')}</m:sub><m:sup>{m('2')}</m:sup></m:sSubSup>", "x_i^2"),
        (f"<m:rad><m:deg/><m:e>{m('2gh')}</m:e></m:rad>", "√2gh"),
        (
            f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{m("i=1")}</m:sub><m:sup>{m("n")}</m:sup>'
            f"<m:e>{m('i')}</m:e></m:nary>",
            "∑_(i=1)^n i",
        ),
        (f'<m:d><m:dPr><m:begChr m:val="["/><m:endChr m:val="]"/></m:dPr><m:e>{m("a")}</m:e></m:d>', "[a]"),
        (f"<m:m><m:mr><m:e>{m('1')}</m:e><m:e>{m('0')}</m:e></m:mr></m:m>", "[1, 0]"),
    ],
)
def test_equations_become_linear_text(equation: str, text: str) -> None:
    xml = (
        f"<w:p {nsdecls('w')} {MATH}><w:r><w:t>The fee is</w:t></w:r><m:oMath>{equation}</m:oMath>"
        "<w:r><w:t>, each week.</w:t></w:r></w:p>"
    )

    assert text_of_body(xml) == f"The fee is {text}, each week.\n\n"


def text_of_body(*xml: str, change: Callable[[bytes], bytes] = bytes, parts: dict[str, bytes] | None = None) -> str:
    """Return the text of a document with these elements. `change` is applied to each part of the file."""

    def write(document: Any) -> None:
        for index, each in enumerate(xml):
            document.element.body.insert(index, parse_xml(each))

    with zipfile.ZipFile(io.BytesIO(docx_bytes(write))) as archive:
        entries = {name: change(archive.read(name)) for name in archive.namelist()}
    return loaded("a.docx", zip_bytes(entries | (parts or {}))).text


def test_strict_open_xml_is_read() -> None:
    def strict(part: bytes) -> bytes:
        return part.replace(
            b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
            b"http://purl.oclc.org/ooxml/wordprocessingml/main",
        ).replace(
            b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
            b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        )

    assert text_of_body(f"<w:p {nsdecls('w')}><w:r><w:t>Strictly.</w:t></w:r></w:p>", change=strict) == "Strictly.\n\n"


@pytest.mark.parametrize("suffix", ["docm", "dotx", "dotm"])
def test_templates_and_macro_files_are_loaded_as_word_documents(suffix: str) -> None:
    assert loaded(f"a.{suffix}", docx_bytes(lambda document: document.add_paragraph("x"))).text == "x\n\n"


def test_text_boxes_follow_their_paragraph_but_links_stay_inside_it() -> None:
    box = f"<w:txbxContent {nsdecls('w')}><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent>"
    xml = (
        f'<w:p {nsdecls("w")} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<w:r><w:t>See </w:t></w:r><w:r><mc:AlternateContent><mc:Choice Requires='wps'>{box}</mc:Choice>"
        f"<mc:Fallback>{box}</mc:Fallback>"
        "</mc:AlternateContent></w:r><w:hyperlink><w:r><w:t>the log</w:t></w:r></w:hyperlink>"
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> REF x </w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t> of May</w:t></w:r></w:p>'
    )

    assert text_of_body(xml) == "See the log of May\n\nIn a box.\n\n"


@pytest.mark.fault("docx-and-notebook-parts")
def test_a_footnote_follows_its_paragraph() -> None:
    notes = (
        f'<w:footnotes {nsdecls("w")}><w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:t>-</w:t></w:r></w:p>'
        '</w:footnote><w:footnote w:id="2"><w:p><w:r><w:t>Not in winter.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    ).encode()
    relationship = (
        b'<Relationship Id="rId99" Target="footnotes.xml" '
        b'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"/></Relationships>'
    )
    xml = (
        f'<w:p {nsdecls("w")}><w:r><w:t>The ferry leaves</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r>'
        "<w:r><w:t> at six.</w:t></w:r></w:p>"
    )

    text = text_of_body(
        xml,
        change=lambda part: part.replace(b"</Relationships>", relationship) if b"/settings" in part[:3000] else part,
        parts={"word/footnotes.xml": notes},
    )

    assert text == "The ferry leaves at six.\n\nNot in winter.\n\n"


def test_a_word_table_without_a_header_becomes_rows_without_column_names() -> None:
    def write(document: Any) -> None:
        for rows in ([("Master", "Ada Lovelace"), ("Mate", "Sam Hill")], [("First.",), ("Second.",)]):
            table = document.add_table(rows=0, cols=len(rows[0]))
            for row in rows:
                for cell, words in zip(table.add_row().cells, row, strict=True):
                    cell.text = words

    assert loaded("a.docx", docx_bytes(write)).text == "Master | Ada Lovelace\nMate | Sam Hill\n\nFirst.\n\nSecond.\n\n"


def test_merged_cells_are_repeated_in_each_row_they_span() -> None:
    def write(document: Any) -> None:
        table = document.add_table(rows=3, cols=3)
        for row, words in zip(
            table.rows, (("Part", "Year", "Price"), ("cleat", "2023", "4"), ("", "2024", "5")), strict=True
        ):
            for cell, word in zip(row.cells, words, strict=True):
                cell.text = word
        table.cell(1, 0).merge(table.cell(2, 0))

    assert loaded("a.docx", docx_bytes(write)).text == (
        "- Part: cleat; Year: 2023; Price: 4\n- Part: cleat; Year: 2024; Price: 5\n\n"
    )


def test_a_document_without_text_gets_a_note() -> None:
    assert loaded("a.docx", docx_bytes(lambda _: None)).notes == ("the document contains no text",)


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
def test_a_file_that_is_not_a_word_document_is_reported_as_corrupt(data: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        load_docx("/docs/a.docx", data)

    assert caught.value.code == "corrupt"


def test_an_encrypted_document_is_reported_as_encrypted() -> None:
    with pytest.raises(DocumentError) as caught:
        load_docx("/docs/a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))

    assert caught.value.code == "encrypted"


@pytest.mark.fault("oversized-files")
@pytest.mark.parametrize(
    "entries",
    [{"word/document.xml": bytes(64 << 20)}, {f"{number}": b"" for number in range(ENTRIES + 1)}],
    ids=["ratio", "entries"],
)
def test_a_zip_bomb_is_rejected(entries: dict[str, bytes]) -> None:
    data = zip_bytes(entries)

    with pytest.raises(DocumentError) as caught:
        load_docx("/docs/a.docx", data)

    assert caught.value.code == "zip_bomb"


def test_the_unpacked_size_of_a_zip_bomb_is_reported_in_megabytes() -> None:
    data = zip_bytes({"word/document.xml": bytes(64_000_000)})

    with pytest.raises(DocumentError, match=r"^the archive would unpack to 64 MB \(possibly a zip bomb\)$"):
        load_docx("/docs/a.docx", data)
