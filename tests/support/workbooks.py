"""Makes Excel workbooks and OpenDocument spreadsheets from the XML of their rows."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Final

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_OASIS: Final = "urn:oasis:names:tc:opendocument:xmlns"
Value = str | int | float | bool | None


def zip_bytes(entries: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return packed.getvalue()


def xlsx_bytes(
    sheets: Mapping[str, str],
    *,
    formats: Sequence[str] = (),
    texts: Sequence[str] = (),
    hidden: Sequence[str] = (),
    properties: str = "",
    parts: Mapping[str, str] | None = None,
) -> bytes:
    """A workbook with the XML of each sheet: its `sheetData`, or the elements around it as well.

    `formats` are the format codes for styles 1, 2 and so on; style 0 is General and the last style, after those of
    `formats`, is General and bold. `texts` are the XML of shared strings, `properties` attributes of the workbook.
    """
    names = [*sheets]
    entries: dict[str, str | bytes] = {
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><workbookPr {properties}/><sheets>'
        + "".join(
            f'<sheet name="{name}" sheetId="{n}" r:id="r{n}" state="{"hidden" if name in hidden else "visible"}"/>'
            for n, name in enumerate(names, 1)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(
            [
                *(("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(names) + 1)),
                ("styles", "styles.xml"),
                ("sharedStrings", "sharedStrings.xml"),
            ]
        ),
        "xl/styles.xml": _styles(formats),
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}">' + "".join(f"<si>{text}</si>" for text in texts) + "</sst>",
    }
    for number, xml in enumerate(sheets.values(), 1):
        body = xml if "<sheetData" in xml else f"<sheetData>{xml}</sheetData>"
        entries[f"xl/worksheets/sheet{number}.xml"] = f'<worksheet xmlns="{_MAIN}">{body}</worksheet>'
    return zip_bytes({**entries, **(parts or {})})


def row(number: int, *cells: Value | tuple[float, int], attributes: str = "") -> str:
    """The XML of a row. A number in a pair with its style has that style; None is an empty cell."""
    written = "".join(_cell(f"{_letters(at)}{number}", value) for at, value in enumerate(cells) if value is not None)
    return f'<row r="{number}" {attributes}>{written}</row>'


def ods_bytes(tables: str, *, styles: str = "", parts: Mapping[str, str] | None = None) -> bytes:
    content = ods_content(tables, styles=styles)
    return zip_bytes(
        {"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": content, **(parts or {})}
    )


def ods_content(tables: str, *, styles: str = "") -> str:
    names = "".join(f' xmlns:{name}="{_OASIS}:{name}:1.0"' for name in ("office", "table", "text", "style", "draw"))
    return (
        f'<office:document-content{names} xmlns:fo="{_OASIS}:xsl-fo-compatible:1.0">'
        f"<office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    )


def ods_row(*texts: str, attributes: str = "") -> str:
    """The XML of a row whose cells have these texts."""
    cells = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'
        if text
        else "<table:table-cell/>"
        for text in texts
    )
    return f"<table:table-row {attributes}>{cells}</table:table-row>"


def _cell(reference: str, value: Value | tuple[float, int]) -> str:
    if isinstance(value, tuple):
        return f'<c r="{reference}" s="{value[1]}"><v>{value[0]}</v></c>'
    if isinstance(value, bool):
        return f'<c r="{reference}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        if value.startswith("<"):
            return value
        return f'<c r="{reference}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{reference}"><v>{value}</v></c>'


def _letters(column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _relations(targets: Sequence[tuple[str, str]]) -> str:
    return (
        f'<Relationships xmlns="{_PACKAGE}">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
            for n, (kind, target) in enumerate(targets, 1)
        )
        + "</Relationships>"
    )


def _styles(formats: Sequence[str]) -> str:
    codes = "".join(
        f'<numFmt numFmtId="{n}" formatCode="{code.replace(chr(34), "&quot;")}"/>'
        for n, code in enumerate(formats, 200)
    )
    cells = "".join(f'<xf numFmtId="{n}" fontId="0"/>' for n in (0, *range(200, 200 + len(formats))))
    return (
        f'<styleSheet xmlns="{_MAIN}"><numFmts>{codes}</numFmts><fonts><font/><font><b/></font></fonts>'
        f'<cellXfs>{cells}<xf numFmtId="0" fontId="1"/></cellXfs></styleSheet>'
    )
