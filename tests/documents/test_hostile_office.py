"""Hostile presentations and OpenDocument files fail within limits, and cause no other file to be read."""

import io
import zipfile
from pathlib import Path

import pytest

from streamrag_cli.documents.load import load
from streamrag_cli.documents.loaders.xml_archive import ENTRIES
from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.errors import DocumentError
from tests.support.loading import loaded, raw_file
from tests.support.office_files import (
    OPEN_DOCUMENT,
    flat_odf,
    graphic,
    odf_bytes,
    odf_content,
    paragraphs,
    pptx_bytes,
    pptx_entries,
    shape,
    slide,
    zip_bytes,
)

SUFFIXES = ["pptx", "odt", "odp"]
PARAGRAPH = "<text:p>A buoy.</text:p>"
PAGE = f"<draw:page><draw:frame><draw:text-box>{PARAGRAPH}</draw:text-box></draw:frame></draw:page>"
FILES = {
    "pptx": pptx_bytes(slide(shape("A buoy."))),
    "odt": odf_bytes("text", PARAGRAPH),
    "odp": odf_bytes("presentation", PAGE),
    "docx": zip_bytes({"[Content_Types].xml": "<Types/>", "word/document.xml": "<x/>"}),
    "zip": zip_bytes({"readme.txt": "words"}),
}
KINDS = {"odt": "text", "odp": "presentation"}


def with_entries(suffix: str, entries: dict[str, bytes]) -> bytes:
    """Return a readable file in this format with additional archive entries."""
    with zipfile.ZipFile(io.BytesIO(FILES[suffix])) as archive:
        return zip_bytes({name: archive.read(name) for name in archive.namelist()} | entries)


def with_xml(suffix: str, head: str, text: str) -> bytes:
    """Return a file whose main part has this document type declaration and text."""
    if suffix == "pptx":
        entries = pptx_entries(slide(shape(text)))
        return zip_bytes(entries | {"ppt/slides/slide1.xml": head + str(entries["ppt/slides/slide1.xml"])})
    body = {"odt": PARAGRAPH, "odp": PAGE}[suffix].replace("A buoy.", text)
    return odf_bytes(KINDS[suffix], body, parts={"content.xml": head + odf_content(KINDS[suffix], body)})


def code_of(suffix: str, data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        load(Path(f"/docs/a.{suffix}"), raw_file(data))
    return caught.value.code


@pytest.mark.fault("hostile-office-files")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_zip_bomb_is_rejected(suffix: str) -> None:
    assert code_of(suffix, with_entries(suffix, {"Pictures/a.png": bytes(40 << 20)})) == "zip_bomb"
    assert code_of(suffix, with_entries(suffix, {f"{number}": b"" for number in range(ENTRIES + 1)})) == "zip_bomb"


@pytest.mark.fault("hostile-office-files")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("other", ["docx", "zip", "pptx", "odt", "odp", "cut off", "noise", "empty"])
def test_truncated_files_and_files_of_another_format_are_corrupt(suffix: str, other: str) -> None:
    broken = {"cut off": FILES[suffix][:-60], "noise": b"PK\3\4 noise", "empty": b""}

    if other == suffix:
        assert "A buoy." in loaded(f"a.{suffix}", FILES[other]).text
    else:
        assert code_of(suffix, broken[other] if other in broken else FILES[other]) == "corrupt"


def encrypted_zip(data: bytes) -> bytes:
    """Return the archive with the encryption flag set on each of its entries."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + offset] |= 1
            at = changed.find(signature, at + 4)
    return bytes(changed)


@pytest.mark.fault("hostile-office-files")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_encrypted_file_is_reported_as_encrypted(suffix: str) -> None:
    manifest = b'<manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/>'

    assert code_of(suffix, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)) == "encrypted"
    assert code_of(suffix, encrypted_zip(FILES[suffix])) == "encrypted"
    if suffix != "pptx":
        scrambled = {"META-INF/manifest.xml": manifest, "content.xml": b"\x93\xff"}
        assert code_of(suffix, with_entries(suffix, scrambled)) == "encrypted"
        assert code_of(suffix, zip_bytes({"encrypted-package": b"\x93", "mimetype": b"x"})) == "encrypted"


@pytest.mark.fault("hostile-office-files")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_entities_are_neither_expanded_nor_loaded(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("The key is under the mat.", encoding="utf-8")
    laughs = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    for declared in (f'<!ENTITY e11 SYSTEM "file://{tmp_path}/secret.txt">', f'<!ENTITY e0 "lol">{laughs}'):
        data = with_xml(suffix, f"<!DOCTYPE x [{declared}]>", "Harmless. &e11;")
        try:
            text = load(Path(f"/docs/a.{suffix}"), raw_file(data)).text
        except DocumentError as error:
            text = error.message

        assert ("key" in text, "lol" in text) == (False, False)


@pytest.mark.fault("hostile-office-files")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nested_archives_and_names_outside_the_archive_are_ignored(suffix: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.xml"
    more = {f"../../..{outside}": b"<x/>", "/etc/passwd": b"x", "inner.zip": FILES[suffix], "inner.pptx": FILES["pptx"]}

    document = loaded(f"a.{suffix}", with_entries(suffix, more))

    assert (document.text.count("A buoy."), outside.exists()) == (1, False)


@pytest.mark.fault("hostile-office-files")
@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../etc/passwd", "file:///etc/passwd", "", ".", "\0"])
def test_a_link_to_a_file_outside_the_archive_is_not_followed(target: str) -> None:
    reference = f'<draw:frame><draw:object xlink:href="{target}"/></draw:frame>'.replace("\0", "%00")
    links = {1: [("rId1", "chart", target.replace("\0", "%00"))]}

    assert loaded("a.odt", odf_bytes("text", f"<text:p>Here.{reference}</text:p>")).text == "Here.\n\n"
    data = pptx_bytes(slide(graphic('<c:chart r:id="rId1"/>'), shape("Here.")), links=links)
    assert loaded("a.pptx", data).text == "# Slide 1\n\nHere.\n\n"


@pytest.mark.fault("hostile-office-files")
def test_huge_repeat_counts_do_not_enlarge_the_text() -> None:
    cell = '<table:table-cell table:number-columns-repeated="99999999" table:number-rows-spanned="99999999"/>'
    row = (
        f'<table:table-row table:number-rows-repeated="99999999">{cell}<table:table-cell>{PARAGRAPH}</table:table-cell>'
    )
    body = f'<text:p>a<text:s text:c="999999999"/>b</text:p><table:table>{f"{row}</table:table-row>" * 2}</table:table>'
    spans = '<a:tc gridSpan="999999999" rowSpan="999999999"><a:txBody><a:p/></a:txBody></a:tc>'

    assert len(loaded("a.odt", odf_bytes("text", body)).text) < 5000
    assert loaded("a.pptx", pptx_bytes(slide(graphic(f"<a:tbl><a:tr>{spans * 2}</a:tr></a:tbl>")))).text == ""


@pytest.mark.fault("hostile-office-files")
def test_a_part_with_many_references_is_read_once() -> None:
    reference = '<draw:frame><draw:object xlink:href="Object 1"/></draw:frame>'
    inner = odf_content("text", f"{PARAGRAPH}<text:p>{reference}</text:p>")
    data = odf_bytes("text", f"<text:p>{reference * 1000}</text:p>", parts={"Object 1/content.xml": inner})
    entries = pptx_entries(slide(shape("A buoy.")))
    presentation = str(entries["ppt/presentation.xml"])
    entries["ppt/presentation.xml"] = presentation.replace(
        '<p:sldId id="256" r:id="rId0"/>', '<p:sldId r:id="rId0"/>' * 1000
    )

    assert loaded("a.odt", data).text == "A buoy.\n\n"
    assert loaded("a.pptx", zip_bytes(entries)).text == "# Slide 1\n\nA buoy.\n\n"


NESTED = {
    "groups.pptx": pptx_bytes(slide(f"{'<p:grpSp>' * 5000}{shape('x')}{'</p:grpSp>' * 5000}")),
    "open.pptx": pptx_bytes(f"<p:sld {'<a>' * 200_000}"),
    "groups-200.pptx": pptx_bytes(slide(f"{'<p:grpSp>' * 200}{shape('Deep.')}{'</p:grpSp>' * 200}")),
    "lists.odt": odf_bytes("text", f"{'<text:list><text:list-item>' * 5000}"),
    "lists-100.odt": odf_bytes(
        "text", f"{'<text:list><text:list-item>' * 100}<text:p>Deep.</text:p>{'</text:list-item></text:list>' * 100}"
    ),
    "spans-200.odt": odf_bytes("text", f"<text:p>{'<text:span>' * 200}Deep.{'</text:span>' * 200}</text:p>"),
    "tables-50.odt": odf_bytes(
        "text",
        f"{'<table:table><table:table-row><table:table-cell>' * 50}<text:p>Deep.</text:p>"
        f"{'</table:table-cell></table:table-row></table:table>' * 50}",
    ),
    "flat.fodt": flat_odf("text", "<text:section>" * 100_000).encode(),
    "groups.odp": odf_bytes("presentation", f"<draw:page>{'<draw:g>' * 3000}{'</draw:g>' * 3000}</draw:page>"),
}


@pytest.mark.fault("hostile-office-files")
@pytest.mark.parametrize("name", NESTED)
def test_deeply_nested_files_are_read_or_reported(name: str) -> None:
    if "-" in name:
        assert "Deep." in loaded(name, NESTED[name]).text
    else:
        assert code_of(name.rpartition(".")[2], NESTED[name]) == "corrupt"


@pytest.mark.fault("hostile-office-files")
def test_a_file_with_very_many_rows_is_read_within_the_sandbox_limits() -> None:
    cells = f"<a:tc><a:txBody>{paragraphs('7')}</a:txBody></a:tc>" * 2
    wide = pptx_bytes(slide(graphic(f"<a:tbl>{f'<a:tr>{cells}</a:tr>' * 8_000}</a:tbl>")))
    cell = "<table:table-cell><text:p>7</text:p></table:table-cell>" * 2
    rows = f"<table:table {OPEN_DOCUMENT}>{f'<table:table-row>{cell}</table:table-row>' * 8_000}</table:table>"

    with Loader() as loader:
        for name, data in (("a.pptx", wide), ("a.odt", odf_bytes("text", rows))):
            assert loader.load(Path("/docs", name), raw_file(data)).text.count("7 | 7") == 8_000
