import pytest

from streamrag_cli.documents.loaders.ods import load_flat_ods, load_ods
from streamrag_cli.errors import DocumentError
from tests.support.loading import loaded, outline
from tests.support.workbooks import ods_bytes, ods_content, ods_row, zip_bytes

HEADER = ods_row("Bird", "Seen", "Place")


def table(rows: str, name: str = "Log", attributes: str = "") -> str:
    return f'<table:table table:name="{name}" {attributes}>{rows}</table:table>'


def cell(kind: str, value: str, text: str = "") -> str:
    attribute = {"float": "value", "percentage": "value", "currency": "value"}.get(kind, f"{kind}-value")
    shown = f"<text:p>{text}</text:p>" if text else ""
    return f'<table:table-cell office:value-type="{kind}" office:{attribute}="{value}">{shown}</table:table-cell>'


@pytest.mark.fault("spreadsheets")
def test_rows_contain_the_stored_cell_texts_and_name_their_sheet() -> None:
    cells = cell("string", "", "heron") + cell("date", "2024-05-01", "1 May") + cell("float", "3", "3,0")
    seen = f"<table:table-row>{cells}</table:table-row>"
    tables = table(HEADER + seen) + table(ods_row("Who", "Where", "Until") + ods_row("Ida", "Lund", "noon"), "People")

    assert outline(loaded("a.ods", ods_bytes(tables))) == [
        ("sheet Log, row 2", "- Bird: heron; Seen: 1 May; Place: 3,0"),
        ("sheet People, row 2", "- Who: Ida; Where: Lund; Until: noon"),
    ]


def test_cells_without_a_stored_text_show_their_value() -> None:
    cells = (
        cell("percentage", "0.19")
        + '<table:table-cell office:value-type="currency" office:value="4.5" office:currency="EUR"/>'
        + cell("boolean", "true")
        + cell("date", "2024-05-01T00:00:00")
        + cell("time", "PT26H05M00S")
    )

    assert loaded("a.ods", ods_bytes(table(f"<table:table-row>{cells}</table:table-row>"))).text == (
        "- 19%; 4.5 EUR; TRUE; 2024-05-01; 26:05:00\n"
    )


def test_cells_with_empty_text_show_their_value_unless_it_is_zero() -> None:
    cells = "".join(
        f'<table:table-cell table:formula="of:=A1" office:value-type="{kind}" office:value="{value}"><text:p/>'
        "</table:table-cell>"
        for kind, value in (("float", "7"), ("float", "0"), ("percentage", "0.25"))
    )

    document = loaded("a.ods", ods_bytes(table(f"<table:table-row>{cells}</table:table-row>")))

    assert (document.text, document.notes) == ("- 7; 25%\n", ())


@pytest.mark.fault("spreadsheets")
def test_hidden_sheets_rows_and_columns_are_omitted_and_reported() -> None:
    hidden = '<style:table-properties table:display="false"/>'
    styles = f'<style:style style:name="off" style:family="table">{hidden}</style:style>'
    collapsed = 'table:visibility="collapse"'
    columns = '<table:table-column/><table:table-column table:visibility="collapse"/><table:table-column/>'
    rows = (
        HEADER
        + ods_row("heron", "May", "pond")
        + ods_row("crane", "June", "marsh", attributes=collapsed)
        + ods_row("stork", "July", "roof", attributes='table:visibility="filter"')
        + f"<table:table-row-group>{ods_row('swift', 'June', 'barn', attributes=collapsed)}</table:table-row-group>"
    )
    tables = table(columns + rows) + table(ods_row("x"), "Off", 'table:style-name="off"')
    tables += table(ods_row("y"), "'file:///b.ods'#Log")

    document = loaded("a.ods", ods_bytes(tables, styles=styles))

    assert document.text == "- Bird; Place\n- heron; pond\n- stork; roof\n- swift; barn\n"
    assert document.notes == ("hidden content was not read: 1 sheet, 1 row, 1 column",)


def test_comments_and_drawings_of_a_cell_are_omitted_and_spaces_are_kept() -> None:
    inner = (
        "<office:annotation><text:p>a comment</text:p></office:annotation>"
        "<draw:frame><text:p>drawn</text:p></draw:frame>"
        '<text:p>wing<text:s text:c="2"/>span<text:span> in<text:tab/>cm</text:span></text:p><text:p>below</text:p>'
    )
    filled = f'<table:table-cell office:value-type="string">{inner}</table:table-cell>'

    assert (
        loaded("a.ods", ods_bytes(table(f"<table:table-row>{filled}</table:table-row>"))).text
        == "- wing span in cm below\n"
    )


@pytest.mark.fault("spreadsheets")
@pytest.mark.timeout(60)
def test_repeated_rows_and_cells_are_read_quickly() -> None:
    cells = '<table:table-cell table:number-columns-repeated="999999999"/>'
    empty = f'<table:table-row table:number-rows-repeated="999999999">{cells}</table:table-row>'
    same = ods_row("owl", attributes='table:number-rows-repeated="1048576"')

    document = loaded("a.ods", ods_bytes(table(same) + table(empty, "Empty")))

    assert (document.text.count("owl"), document.notes) == (1000, ())


@pytest.mark.fault("spreadsheets")
def test_repeated_text_does_not_make_a_small_file_large() -> None:
    wide = '<table:table-cell table:number-columns-repeated="900" office:value-type="string"><text:p>owl</text:p>'
    row = f'<table:table-row table:number-rows-repeated="900">{wide}</table:table-cell></table:table-row>'

    document = loaded("a.ods", ods_bytes(table(ods_row("heron") + row * 40 + ods_row("teal"))))

    assert len(document.text) < 500_000
    assert (document.text.count("heron"), document.text.count("teal")) == (1, 1)
    (note,) = document.notes
    assert note.startswith("left out ")
    assert note.endswith(" copies of repeated rows and cells")


def test_a_merged_cell_is_repeated_in_its_rows() -> None:
    spanned = cell("string", "", "pond").replace("<table:table-cell", '<table:table-cell table:number-rows-spanned="2"')
    below = f"<table:covered-table-cell/>{cell('string', '', 'teal')}"
    rows = f"<table:table-row>{spanned}{cell('string', '', 'heron')}</table:table-row>"
    rows += f"<table:table-row>{below}</table:table-row>"

    assert loaded("a.ods", ods_bytes(table(rows))).text == "- pond; heron\n- pond; teal\n"


def test_a_flat_spreadsheet_is_loaded() -> None:
    assert loaded("a.fods", ods_content(table(ods_row("wren")))).text == "- wren\n"


@pytest.mark.fault("spreadsheets")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PK\x03\x04", "corrupt"),
        (ods_bytes(table(HEADER))[:-200], "corrupt"),
        (zip_bytes({"content.xml": "<office/>"}), "corrupt"),
        (ods_bytes("", parts={"META-INF/manifest.xml": "<m><encryption-data/></m>"}), "encrypted"),
        (zip_bytes({"content.xml": bytes(64 << 20)}), "zip_bomb"),
    ],
    ids=["noise", "cut off", "no spreadsheet", "encrypted", "bomb"],
)
def test_a_broken_spreadsheet_is_reported_with_a_code(data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load_ods("/docs/a.ods", data)

    assert caught.value.code == code


def test_a_broken_flat_spreadsheet_is_reported_as_corrupt() -> None:
    for data in (b"", b"<a>", b"<a/>"):
        with pytest.raises(DocumentError) as caught:
            load_flat_ods("/docs/a.fods", data)
        assert caught.value.code == "corrupt"
