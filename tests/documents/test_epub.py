import base64
import io
import zipfile
from collections.abc import Mapping

import pytest

from streamrag_cli.documents.loaders.epub import load_epub
from streamrag_cli.documents.loaders.xml_archive import ENTRIES
from streamrag_cli.errors import DocumentError
from tests.support.loading import loaded, outline

CONTAINER = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>{}</rootfiles></container>'
ROOTFILE = '<rootfile full-path="{}" media-type="application/oebps-package+xml"/>'
XHTML = 'xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"'


def page(body: str, head: str = "") -> str:
    return f"<html {XHTML}><head><title>Page</title>{head}</head><body>{body}</body></html>"


def package(pages: Mapping[str, str], *, manifest: str = "", spine: str = "", more: str = "") -> str:
    """Return a package document. `pages` maps the name of each page to the attributes of its manifest item."""
    items = "".join(
        f'<item id="p{number}" href="{name}" media-type="application/xhtml+xml" {attributes}/>'
        for number, (name, attributes) in enumerate(pages.items())
    )
    references = "".join(f'<itemref idref="p{number}"/>' for number in range(len(pages)))
    return (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        "<dc:title>Tides &amp; Locks</dc:title><dc:creator>Ines Roth</dc:creator><dc:creator>Bo Lund</dc:creator>"
        f"</metadata><manifest>{items}{manifest}</manifest><spine {spine}>{references}</spine>{more}</package>"
    )


def archive(files: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return packed.getvalue()


def book(pages: Mapping[str, str | bytes], *, opf: str = "", files: Mapping[str, str | bytes] | None = None) -> bytes:
    return archive(
        {
            "META-INF/container.xml": CONTAINER.format(ROOTFILE.format("OPS/book.opf")),
            "OPS/book.opf": opf or package(dict.fromkeys(pages, "")),
            **{f"OPS/{name}": content for name, content in pages.items()},
            **(files or {}),
        }
    )


def nav(entries: str) -> str:
    return page(f'<h1>Contents</h1><nav epub:type="toc"><ol>{entries}</ol></nav>')


def error_of(data: bytes) -> tuple[str, str]:
    with pytest.raises(DocumentError) as caught:
        load_epub("/docs/a.epub", data)
    return caught.value.code, caught.value.message


def test_a_book_is_divided_into_the_chapters_of_its_table_of_contents() -> None:
    opf = package({"nav.xhtml": 'properties="nav"', "one.xhtml": "", "two.xhtml": ""})
    entries = (
        '<li><span>Part I</span><ol><li><a href="one.xhtml">1. Spring tide</a></li></ol></li>'
        '<li><a href="two.xhtml#n">2. Neap tide</a></li>'
    )
    pages = {
        "nav.xhtml": nav(entries),
        "one.xhtml": page("<h1>1</h1><h2>Spring tide</h2><p>Water rises.</p><h2>Signs</h2><p>Foam.</p>"),
        "two.xhtml": page('<p>An interlude.</p><section id="n"><h1>Neap tide</h1><p>Water rests.</p></section>'),
    }

    document = loaded("a.epub", book(pages, opf=opf))

    assert (document.title, document.summary, document.line_numbers) == (
        "Tides & Locks", "by Ines Roth, Bo Lund", None
    )  # fmt: skip
    assert outline(document) == [
        ("Contents", "# Contents"),
        ("Part I > 1. Spring tide", "# 1\n\n## Spring tide\n\nWater rises."),
        ("Part I > 1. Spring tide > Signs", "## Signs\n\nFoam.\n\nAn interlude."),
        ("2. Neap tide", "# Neap tide\n\nWater rests."),
    ]


def test_the_table_of_contents_of_an_epub_2_book_names_its_chapters() -> None:
    ncx = (
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Locks</text></navLabel>'
        '<content src="text/a%20b.html"/><navPoint><navLabel><text>Gates</text></navLabel>'
        '<content src="text/a%20b.html#g"/></navPoint></navPoint></navMap></ncx>'
    )
    opf = package(
        {"text/a%20b.html": ""},
        manifest='<item id="toc" href="toc.ncx" media-type="application/x-dtbncx+xml"/>',
        spine='toc="toc"',
    )
    pages = {"text/a b.html": page('<p>A lock lifts.</p><p id="g">Gates turn.</p>'), "toc.ncx": ncx}

    assert outline(loaded("a.epub", book(pages, opf=opf))) == [
        ("Locks", "A lock lifts."), ("Locks > Gates", "Gates turn."),
    ]  # fmt: skip


def test_headings_divide_a_book_without_a_table_of_contents() -> None:
    pages = {"a.xhtml": page("<h1>One</h1><p>x</p><h2>Deep</h2><p>y</p>"), "b.xhtml": page("<h1>Two</h1><p>z</p>")}

    assert [path for path, _ in outline(loaded("a.epub", book(pages)))] == ["One", "One > Deep", "Two"]


def test_pages_are_read_in_spine_order_and_unlisted_pages_are_omitted() -> None:
    pages = {"b.xhtml": page("<p>first</p>"), "a.xhtml": page("<p>second</p>"), "c.xhtml": page("<p>never</p>")}
    opf = package({"b.xhtml": "", "a.xhtml": ""})

    assert loaded("a.epub", book(pages, opf=opf)).text == "first\n\nsecond"


def test_tables_of_contents_page_numbers_note_marks_and_ruby_are_omitted() -> None:
    body = (
        '<nav epub:type="landmarks"><ol><li><a href="#x">Start</a></li></ol></nav>'
        '<p>The weir<a epub:type="noteref" href="#n1">1</a> holds<span epub:type="pagebreak" title="12">12</span>'
        " water.</p><p><ruby>堰<rt>せき</rt></ruby>です</p>"
        '<aside epub:type="footnote" id="n1"><p>1. Built in 1802.</p></aside><footer>The end.</footer>'
    )

    assert loaded("a.epub", book({"a.xhtml": page(body)})).text == (
        "The weir holds water.\n\n堰です\n\n1. Built in 1802.\n\nThe end."
    )


def test_the_links_on_a_contents_page_are_omitted() -> None:
    opf = package(
        {"toc.html": "", "a.html": ""}, more='<guide><reference type="toc" href="toc.html" title="Contents"/></guide>'
    )
    pages = {
        "toc.html": page('<p>Printed in Kiel.</p><p><a href="a.html">Chapter the First</a></p>'),
        "a.html": page("<p>Text.</p>"),
    }

    assert loaded("a.epub", book(pages, opf=opf)).text == "Printed in Kiel.\n\nText."


@pytest.mark.fault("epub-broken")
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (page("<p>a&nbsp;&mdash; b &amp; c &unknown; d</p>").encode(), "a\xa0— b & c &unknown; d"),
        (f'<!DOCTYPE html [<!ENTITY boat "<b>Nixe</b>">]>{page("<p>the &boat;</p>")}'.encode(), "the Nixe"),
        (f'<?xml version="1.0" encoding="koi8-r"?>{page("<p>вода</p>")}'.encode("koi8-r"), "вода"),
        (f'<?xml version="1.0" encoding="utf-16"?>{page("<p>wody</p>")}'.encode("utf-16"), "wody"),
        (page("<p>fish & chips<br>not <i>closed</p><p>after").encode(), "fish & chips\nnot closed\n\nafter"),
        (f"<html {XHTML}><head><title/><script/></head><body><p>kept<br></p></body></html>".encode(), "kept"),
        (page('<svg xmlns="http://www.w3.org/2000/svg"><title>t</title><text>In a picture</text></svg>').encode(),
         "In a picture"),
        (b"", ""),
    ],
    ids=["entities", "declared", "koi8", "utf-16", "not well-formed", "self-closed", "svg", "empty"],
)  # fmt: skip
def test_malformed_pages_are_read_as_e_book_readers_show_them(content: bytes, text: str) -> None:
    assert loaded("a.epub", book({"a.xhtml": content})).text == text


@pytest.mark.fault("epub-broken")
def test_missing_and_damaged_pages_are_counted_in_a_note() -> None:
    opf = package(dict.fromkeys(("gone.xhtml", "A.XHTML", "../../etc/passwd", "b.xhtml"), ""))
    data = bytearray(book({"a.xhtml": page("<p>kept</p>"), "b.xhtml": page("<p>damaged</p>")}, opf=opf))
    at = data.index(b"OPS/b.xhtml") + len("OPS/b.xhtml")
    data[at : at + 20] = bytes(20)

    document = loaded("a.epub", bytes(data))

    assert (document.text, document.notes) == ("kept", ("3 of 4 pages could not be read",))


@pytest.mark.fault("epub-broken")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        book({"a.xhtml": page("x")})[:-60],
        archive({"readme.txt": "a zip, but no book"}),
        book({}, opf=package({"a.xhtml": ""})),
        book({}, opf="<package"),
    ],
    ids=["empty", "cut off", "another zip", "no page", "broken package"],
)
def test_a_file_that_is_not_a_book_is_reported_as_corrupt(data: bytes) -> None:
    assert error_of(data)[0] == "corrupt"


def test_a_book_with_a_broken_package_and_no_container_is_read() -> None:
    opf = package({"a.xhtml": ""}).replace("&amp;", "&")

    document = loaded("a.epub", archive({"book.opf": opf, "a.xhtml": page("<p>x</p>")}))

    assert (document.title, document.text) == ("Tides & Locks", "x")


def test_the_first_rendition_with_text_is_read() -> None:
    pictures = package({"p.xhtml": ""})
    files = {
        "META-INF/container.xml": CONTAINER.format(ROOTFILE.format("fixed.opf") + ROOTFILE.format("OPS/book.opf")),
        "fixed.opf": pictures,
        "p.xhtml": page('<img src="p.png"/>'),
    }

    assert loaded("a.epub", book({"a.xhtml": page("<p>x</p>")}, files=files)).text == "x"


def encryption(algorithm: str, name: str) -> str:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>'
        f'<e:EncryptionMethod Algorithm="{algorithm}"/><e:CipherData><e:CipherReference URI="{name}"/></e:CipherData>'
        "</e:EncryptedData></encryption>"
    )


AES = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"


@pytest.mark.fault("epub-encrypted")
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "the book is encrypted with copy protection (DRM)"),
        ({"META-INF/rights.xml": "<r/>"}, "the book is encrypted with Adobe's copy protection"),
        ({"META-INF/license.lcpl": "{}"}, "the book is encrypted with LCP copy protection"),
    ],
    ids=["unknown", "adobe", "lcp"],
)
def test_a_book_with_copy_protection_is_reported_as_encrypted(files: dict[str, str], message: str) -> None:
    files["META-INF/encryption.xml"] = encryption(AES, "OPS/a.xhtml")

    assert error_of(book({"a.xhtml": bytes(range(256))}, files=files)) == ("encrypted", message)


@pytest.mark.fault("epub-encrypted")
@pytest.mark.parametrize(
    ("algorithm", "name"),
    [("http://www.idpf.org/2008/embedding", "OPS/a.otf"), ("http://ns.adobe.com/pdf/enc#RC", "OPS/a.xhtml"),
     (AES, "OPS/film.mp4")],
)  # fmt: skip
def test_a_book_with_obfuscated_fonts_and_encrypted_media_is_read(algorithm: str, name: str) -> None:
    files = {"META-INF/encryption.xml": encryption(algorithm, name)}

    assert loaded("a.epub", book({"a.xhtml": page("<p>x</p>")}, files=files)).text == "x"


@pytest.mark.fault("epub-encrypted")
def test_an_archive_with_a_password_is_reported_as_encrypted() -> None:
    data = book({"a.xhtml": page("x")}).replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0")

    assert error_of(data) == ("encrypted", "the file is password-protected")


@pytest.mark.fault("epub-broken")
@pytest.mark.parametrize(
    "files",
    [
        {"OPS/a.xhtml": b" " * (64 << 20)},
        {f"{number}": b"" for number in range(ENTRIES + 1)},
        {
            "OPS/a.xhtml": "<!DOCTYPE html [<!ENTITY a0 'haha'>"
            + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 30}'>" for n in range(1, 9))
            + f"]>{page('<p>&a8;</p>' * 200)}"
        },
    ],
    ids=["ratio", "entries", "entities"],
)
def test_a_zip_bomb_or_entity_bomb_is_rejected(files: dict[str, str | bytes]) -> None:
    assert error_of(book({}, opf=package({"a.xhtml": ""}), files=files))[0] == "zip_bomb"


def test_external_entities_are_not_read() -> None:
    content = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/hostname">]>{page("<p>a &x; b</p>")}'

    assert loaded("a.epub", book({"a.xhtml": content})).text == "a &x; b"


def test_text_that_is_nested_too_deeply_is_omitted_with_a_note() -> None:
    document = loaded("a.epub", book({"a.xhtml": page(f"<p>kept</p>{'<div>' * 5000}x")}))

    assert (document.text.strip(), len(document.notes)) == ("kept", 1)


def test_a_page_that_a_book_lists_many_times_is_read_once() -> None:
    opf = package({"a.xhtml": ""}).replace("</spine>", '<itemref idref="p0"/>' * 1000 + "</spine>")

    assert loaded("a.epub", book({"a.xhtml": page("<p>x</p>")}, opf=opf)).text == "x"


def test_a_book_that_contains_only_pictures_gets_a_note() -> None:
    picture = base64.b64decode("R0lGODlhAQABAAAAACw=")
    data = book({"a.xhtml": page('<img src="a.gif" alt="A weir"/>')}, files={"OPS/a.gif": picture})

    assert loaded("a.epub", data).notes == ("the document contains no text",)
