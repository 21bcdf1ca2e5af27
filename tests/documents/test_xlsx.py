import io
import re
import zipfile

import pytest

from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.loaders.number_formats import shown_number, shown_text
from streamrag_cli.documents.loaders.xlsx import load_xlsx
from streamrag_cli.documents.row_places import place_of_line
from streamrag_cli.errors import DocumentError
from tests.support.loading import loaded, outline
from tests.support.workbooks import row, xlsx_bytes, zip_bytes

PRICES = row(1, "Tool", "Price", "Stock") + row(2, "adze", (14.5, 1), 3) + row(3, "froe", (1200, 1), 0)


@pytest.mark.fault("spreadsheets")
def test_rows_repeat_the_column_names_and_name_their_sheet() -> None:
    data = xlsx_bytes(
        {"Shop": PRICES, "Staff": row(1, "Who", "Since", "Room") + row(2, "Ida", 2019, 4)}, formats=["0.00 €"]
    )

    assert outline(loaded("a.xlsx", data)) == [
        ("sheet Shop, rows 2–3", "- Tool: adze; Price: 14.50 €; Stock: 3\n- Tool: froe; Price: 1200.00 €; Stock: 0"),
        ("sheet Staff, row 2", "- Who: Ida; Since: 2019; Room: 4"),
    ]


@pytest.mark.fault("spreadsheets")
@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (0.0725, "0.0%", "7.3%"),
        (2.675, "0.00", "2.68"),
        (-1234.5, "#,##0.00", "-1,234.50"),
        (-1234.5, "#,##0;[Red](#,##0)", "(1,235)"),
        (9.9, "[$£-809]#,##0.00", "£9.90"),
        (1_250_000, '0.0,,"M"', "1.3M"),
        (0, '0;-0;"none"', "none"),
        (45_000.75, "dd/mm/yyyy hh:mm", "15/03/2023 18:00"),
        (45_000.75, "[$-407]d. mmmm yyyy", "15. März 2023"),
        (45_000.75, "ddd d mmm yy, h AM/PM", "Wed 15 Mar 23, 6 PM"),
        (1.25, "[h]:mm", "30:00"),
        (0.000_579, "mm:ss.0", "00:50.0"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (12_345, "0.00E+00", "1.23E+04"),
        (2.75, "# ?/?", "2 3/4"),
        (5_550_123, "000-0000", "555-0123"),
        (3, 'General" boxes"', "3 boxes"),
        (4_006_381_333_931, "General", "4006381333931"),
        (0.1 + 0.2, "General", "0.3"),
        (1e300, "0.00", "1E+300"),
        (-5, "yyyy-mm-dd", "-5"),
    ],
)
def test_numbers_are_shown_in_their_format(value: float, code: str, shown: str) -> None:
    assert shown_number(value, code).strip() == shown


def test_a_text_cell_may_have_a_number_format() -> None:
    assert shown_text("Birch", '0;-0;0;@" Ltd"') == "Birch Ltd"


def test_dates_may_count_from_1904() -> None:
    data = xlsx_bytes(
        {"S": row(1, "Day", "Note") + row(2, (0, 1), "first")}, formats=["yyyy-mm-dd"], properties='date1904="1"'
    )

    assert "1904-01-01" in loaded("a.xlsx", data).text


def test_texts_booleans_and_errors_are_shown_as_in_excel() -> None:
    rich = "<r><t>two </t></r><r><rPr><b/></rPr><t>runs</t></r><rPh><t>hint</t></rPh>"
    cells = (
        '<c r="A1" t="s"><v>0</v></c><c r="B1" t="e"><v>#DIV/0!</v></c><c r="C1" t="b"><v>1</v></c>'
        '<c r="D1" t="str"><f>1+1</f><v>a_x000D_b</v></c><c r="E1" t="s"><v>77</v></c>'
        '<c r="F1" t="d"><v>2024-02-03T00:00:00</v></c>'
    )
    data = xlsx_bytes({"S": f'<row r="1">{cells}</row>'}, texts=[rich])

    assert loaded("a.xlsx", data).text == "- two runs; #DIV/0!; TRUE; a b; 2024-02-03\n"


@pytest.mark.fault("spreadsheets")
def test_formulas_without_a_saved_result_are_reported() -> None:
    cells = '<c r="A1"><f>2*3</f><v>6</v></c><c r="B1"><f>2*4</f></c><c r="C1"><f>2*5</f><v/></c>'

    document = loaded("a.xlsx", xlsx_bytes({"S": f'<row r="1">{cells}</row>'}))

    assert document.text == "- 6\n"
    assert document.notes == ("2 formulas have no saved result; open the file in a spreadsheet program and save it",)


@pytest.mark.fault("spreadsheets")
def test_hidden_sheets_rows_and_columns_are_omitted_and_reported() -> None:
    rows = (
        '<cols><col min="2" max="2" hidden="1"/></cols><sheetData>'
        + row(1, "Tool", "Cost", "Stock", "Place")
        + row(2, "adze", 9, 3, "bench")
        + row(3, "froe", 8, 0, "wall", attributes='hidden="1"')
        + row(4, "maul", 7, 5, "wall", attributes='hidden="1" outlineLevel="1"')
        + "</sheetData>"
    )
    document = loaded("a.xlsx", xlsx_bytes({"S": rows, "Lists": row(1, "x")}, hidden=["Lists"]))

    assert document.text == "- Tool: adze; Stock: 3; Place: bench\n- Tool: maul; Stock: 5; Place: wall\n"
    assert document.notes == ("hidden content was not read: 1 sheet, 1 row, 1 column",)


def test_rows_that_a_filter_hides_are_included() -> None:
    rows = row(1, "Tool", "Stock") + row(2, "adze", 3, attributes='hidden="1"')
    sheet = f'<sheetData>{rows}</sheetData><autoFilter ref="A1:B2"><filterColumn colId="0"/></autoFilter>'

    assert loaded("a.xlsx", xlsx_bytes({"S": sheet})).text == "- Tool: adze; Stock: 3\n"


def test_merged_cells_apply_to_all_their_rows_and_columns() -> None:
    rows = (
        row(1, "Yard", "2023", None, "2024", None)
        + row(2, None, "Spring", "Autumn", "Spring", "Autumn")
        + row(3, "North", 1, 2, 3, 4)
        + row(4, None, 5, 6, 7, 8)
    )
    merged = "".join(f'<mergeCell ref="{each}"/>' for each in ("A1:A2", "B1:C1", "D1:E1", "A3:A4"))
    data = xlsx_bytes({"S": f"<sheetData>{rows}</sheetData><mergeCells>{merged}</mergeCells>"})

    assert loaded("a.xlsx", data).text == (
        "- Yard: North; 2023 Spring: 1; 2023 Autumn: 2; 2024 Spring: 3; 2024 Autumn: 4\n"
        "- Yard: North; 2023 Spring: 5; 2023 Autumn: 6; 2024 Spring: 7; 2024 Autumn: 8\n"
    )


@pytest.mark.fault("spreadsheets")
def test_each_table_of_a_sheet_has_its_own_header_and_title() -> None:
    rows = (
        row(3, None, "Tools in stock")
        + row(4, None, "Tool", "Price", "Stock", None, "Carrier", "Days")
        + row(5, None, "adze", 14, 3, None, "Lund", 2)
        + row(8, None, "Opening hours")
        + row(10, None, "Day", "From", "To")
        + row(11, None, "Monday", 8, 17)
        + row(13, None, "Friday", 8, 12)
    )

    assert outline(loaded("a.xlsx", xlsx_bytes({"Main": rows}))) == [
        (
            "Tools in stock > sheet Main, rows 3, 5",
            "- Tools in stock\n- Tool: adze; Price: 14; Stock: 3; Carrier: Lund; Days: 2",
        ),
        (
            "Opening hours > sheet Main, rows 8, 11, 13",
            "- Opening hours\n- Day: Monday; From: 8; To: 17\n- Day: Friday; From: 8; To: 12",
        ),
    ]


def test_names_with_values_and_prose_are_not_treated_as_a_header() -> None:
    pairs = row(1, "Owner", "Ida Lund") + row(2, "State", "approved")
    prose = row(1, "Read me first") + row(2, "All prices are net.") + row(3, "They change in May.")

    document = loaded("a.xlsx", xlsx_bytes({"About": pairs, "Notes": prose}))

    assert document.text == (
        "- Owner; Ida Lund\n- State; approved\n- Read me first\n- All prices are net.\n- They change in May.\n"
    )


def test_a_bold_row_of_dates_is_a_header() -> None:
    bold = [(45_000, 1), (45_031, 1)]
    rows = row(1, *bold).replace('s="1"', 's="3"') + row(2, 7, 8)
    styled = xlsx_bytes({"S": rows}, formats=["0", "0"])

    assert loaded("a.xlsx", styled).text == "- 45000: 7; 45031: 8\n"


def test_a_citation_names_the_row_of_the_cited_line() -> None:
    place = "Tools > sheet Main, rows 3, 5–7"

    assert [place_of_line(place, line, 4) for line in range(4)] == [
        f"Tools > sheet Main, row {number}" for number in (3, 5, 6, 7)
    ]
    assert place_of_line(place, 1, 9) == place
    assert place_of_line("Main", 0, 1) == "Main"


def test_passages_consist_of_whole_rows_with_their_numbers() -> None:
    rows = row(1, "Tool", "Price", "Stock") + "".join(row(n, f"tool number {n}", n * 3, n % 7) for n in range(2, 202))
    chunks = list(chunk(loaded("a.xlsx", xlsx_bytes({"S": rows}))))

    assert chunks[0].headings == ("sheet S, rows 2–23",)
    assert chunks[1].text.startswith("- Tool: tool number 24;")
    assert sum(each.text.count("\n") + 1 for each in chunks) == 200


@pytest.mark.parametrize("suffix", ["xlsm", "xltx", "xltm"])
def test_templates_and_macro_files_are_loaded_as_workbooks(suffix: str) -> None:
    assert loaded(f"a.{suffix}", xlsx_bytes({"S": row(1, "x")})).text == "- x\n"


def test_strict_open_xml_is_loaded() -> None:
    with zipfile.ZipFile(io.BytesIO(xlsx_bytes({"S": PRICES}, formats=["0.00"]))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    usual = (
        b"http://schemas.openxmlformats.org/spreadsheetml/2006",
        b"http://schemas.openxmlformats.org/officeDocument/2006",
    )
    strict = (b"http://purl.oclc.org/ooxml/spreadsheetml", b"http://purl.oclc.org/ooxml/officeDocument")
    for before, after in zip(usual, strict, strict=True):
        parts = {name: part.replace(before, after) for name, part in parts.items()}

    assert loaded("a.xlsx", zip_bytes(parts)).text.startswith("- Tool: adze; Price: 14.50; Stock: 3\n")


def test_an_empty_workbook_gets_a_note() -> None:
    assert loaded("a.xlsx", xlsx_bytes({"S": ""})).notes == ("the document contains no text",)


@pytest.mark.fault("spreadsheets")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "corrupt"),
        (xlsx_bytes({"S": row(1, "x")})[:-300], "corrupt"),
        (zip_bytes({"word/document.xml": "<x/>"}), "corrupt"),
        (xlsx_bytes({"S": "<row><c><is><t>x</is></c></row>"}), "corrupt"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
        (zip_bytes({"xl/worksheets/sheet1.xml": bytes(64 << 20)}), "zip_bomb"),
    ],
    ids=["empty", "cut off", "another archive", "broken xml", "encrypted", "bomb"],
)
def test_a_broken_workbook_is_reported_with_a_code(data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load_xlsx("/docs/a.xlsx", data)

    assert caught.value.code == code


@pytest.mark.fault("spreadsheets")
def test_a_small_file_cannot_become_a_huge_text() -> None:
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 3000))

    with pytest.raises(DocumentError) as caught:
        load_xlsx("/docs/a.xlsx", xlsx_bytes({"S": rows}, texts=[f"<t>{'word ' * 6500}</t>"]))

    assert caught.value.code == "zip_bomb"


@pytest.mark.fault("spreadsheets")
def test_a_part_with_many_sheets_is_read_once() -> None:
    with zipfile.ZipFile(io.BytesIO(xlsx_bytes({"S": row(1, "x")}))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/workbook.xml"] = re.sub(rb"<sheet [^>]*/>", lambda sheet: sheet[0] * 1000, parts["xl/workbook.xml"])

    assert loaded("a.xlsx", zip_bytes(parts)).text == "- x\n"


def test_external_entities_are_not_resolved() -> None:
    entity = '<!DOCTYPE sst [<!ENTITY e SYSTEM "file:///etc/passwd"><!ENTITY f "boom">]>'
    texts = (
        f'{entity}<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>a&e;&f;</t></si></sst>'
    )
    cell = '<row r="1"><c r="A1" t="s"><v>0</v></c></row>'

    assert loaded("a.xlsx", xlsx_bytes({"S": cell}, parts={"xl/sharedStrings.xml": texts})).text == "- a\n"


@pytest.mark.fault("spreadsheets")
def test_a_sheet_with_too_many_cells_is_cut_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamrag_cli.documents.loaders.sheet_rows.CELLS", 7)

    document = loaded("a.xlsx", xlsx_bytes({"S": PRICES}, formats=["0"]))

    assert document.text == "- Tool: adze; Price: 14; Stock: 3\n".replace("14", "15")
    assert document.notes == ("read only up to row 2 of the sheet 'S'; to read all of it, save the sheet as CSV",)


@pytest.mark.timeout(60)
def test_empty_formatted_rows_and_many_merged_ranges_are_read_quickly() -> None:
    empty = "".join(f'<row r="{n}" s="1"><c r="A{n}" s="1"/><c r="B{n}" s="1"></c></row>' for n in range(3, 60_000))
    merged = '<mergeCell ref="A1:XFD1048576"/>' * 50_000
    sheet = (
        f"<sheetData>{row(1, 'Tool', 'Price')}{row(2, 'adze', 4)}{empty}</sheetData><mergeCells>{merged}</mergeCells>"
    )

    assert loaded("a.xlsx", xlsx_bytes({"S": sheet})).text.endswith("adze; Price: 4\n")
