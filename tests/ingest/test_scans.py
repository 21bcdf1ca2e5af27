"""Images and scanned pages in ingested folders, and books."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.events import DocumentSeen, IngestDone, IngestEvent, Notice
from streamrag_cli.ingest.pipeline import ingest
from tests.documents.test_epub import book, nav, package, page
from tests.documents.test_ocr import WORDS, fake_tesseract
from tests.support.command_line import CommandLine
from tests.support.ingests import Ingests
from tests.support.page_images import blank_picture, camera_jpeg, picture_of, png, require_tesseract, scanned_pdf, tiff

MORE = "".join(
    f"<p>Paragraph {number} is about ropes, lamps, sails and the people who look after them.</p>"
    for number in range(20)
)


def events_of(ingests: Ingests, *paths: str, environment: Mapping[str, str], ocr: str = "auto") -> list[IngestEvent]:
    request = replace(ingests.request(*paths), environment=environment)
    return list(ingest(request, replace(ingests.settings, ocr=ocr), ingests.embedder))


def reasons(events: list[IngestEvent]) -> dict[str, tuple[str, str]]:
    return {each.source: (each.action, each.reason) for each in events if isinstance(each, DocumentSeen)}


@pytest.mark.fault("ocr-limits")
def test_photos_in_a_folder_are_skipped_and_counted_unless_they_are_named(ingests: Ingests, tmp_path: Path) -> None:
    environment = fake_tesseract(tmp_path, f"cat >/dev/null; printf '{WORDS}'\n")
    ingests.put("album/sea.jpg", camera_jpeg())
    ingests.put("album/receipt.png", png(blank_picture()))

    events = events_of(ingests, "album", environment=environment)
    named = events_of(ingests, "album/sea.jpg", environment=environment)

    assert reasons(events) == {
        "album/receipt.png": ("added", ""),
        "album/sea.jpg": ("skipped", "photo; pass its path to ingest it"),
    }
    assert [each.skipped for each in events if isinstance(each, IngestDone)] == [{"photo": 1}]
    assert reasons(named) == {"album/sea.jpg": ("added", "")}


@pytest.mark.fault("scanned-pages")
@pytest.mark.parametrize(
    ("has_tesseract", "hint"), [(False, "apt install tesseract-ocr"), (True, "--ocr auto")], ids=["missing", "off"]
)
def test_without_ocr_images_are_skipped_and_scans_fail_with_a_hint(
    has_tesseract: bool, hint: str, ingests: Ingests, tmp_path: Path
) -> None:
    environment = fake_tesseract(tmp_path, "") if has_tesseract else {}
    ingests.put("a/scan.pdf", scanned_pdf([blank_picture()]))
    ingests.put("a/picture.png", png(blank_picture()))

    in_folder = reasons(events_of(ingests, "a", environment=environment, ocr="off"))
    named = reasons(events_of(ingests, "a/picture.png", environment=environment, ocr="off"))

    assert in_folder == {
        "a/picture.png": ("skipped", "images can be read only with OCR"),
        "a/scan.pdf": ("failed", f"the document contains no text; it may be scanned; for OCR: {hint}"),
    }
    assert named == {"a/picture.png": ("failed", f"images can be read only with OCR; for OCR: {hint}")}


def test_the_time_for_many_images_is_estimated_before_they_are_read(ingests: Ingests, tmp_path: Path) -> None:
    environment = fake_tesseract(tmp_path, f"cat >/dev/null; printf '{WORDS}'\n")
    for number in range(20):
        ingests.put(f"a/{number}.tif", tiff([blank_picture()]))

    first, again = (events_of(ingests, "a", environment=environment) for _ in range(2))

    assert [each.message for each in first if isinstance(each, Notice)] == [
        "reading 20 images with OCR takes about 1 min; --ocr off skips them"
    ]
    assert [each for each in again if isinstance(each, Notice)] == []


@pytest.mark.fault("scanned-pages")
def test_questions_about_books_and_scans_are_answered_with_the_chapter_or_page(tmp_path: Path) -> None:
    require_tesseract()
    user = CommandLine(home=tmp_path / "home", directory=tmp_path, variables={"STREAMRAG_OCR": "eng"})
    folder = tmp_path / "papers"
    folder.mkdir()
    opf = package({"one.xhtml": "", "two.xhtml": ""}, manifest='<item id="n" href="nav.xhtml" properties="nav"/>')
    pages = {
        "nav.xhtml": nav('<li><a href="one.xhtml">Spring tide</a></li><li><a href="two.xhtml">The weir</a></li>'),
        "one.xhtml": page(f"<p>A spring tide follows the full moon by two days.</p>{MORE}"),
        "two.xhtml": page(f"<p>The weir at Holm was rebuilt in 1931 with oak from Jutland.</p>{MORE}"),
    }
    (folder / "tides.epub").write_bytes(book(pages, opf=opf))
    scan = scanned_pdf([picture_of(["Rules of the slipway"]), picture_of(["The slipway is closed every Monday."])])
    (folder / "rules.pdf").write_bytes(scan)
    assert user.run("ingest", "papers").code == 0

    hits = [
        json.loads(user.run("search", "-k", "1", "--json", question).stdout)["hits"][0]
        for question in (
            "When was the weir at Holm rebuilt?",
            "What follows the full moon?",
            "When is the slipway closed?",
        )
    ]

    assert [(each["source"], each["title"], each["page"]) for each in hits] == [
        ("papers/tides.epub", "Tides & Locks > The weir", None),
        ("papers/tides.epub", "Tides & Locks > Spring tide", None),
        ("papers/rules.pdf", "rules", 2),
    ]
