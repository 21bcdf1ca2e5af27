import os
import re
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.documents.image_header import dimensions, is_camera_photo, tiff_pages
from streamrag_cli.documents.ocr import find_ocr
from streamrag_cli.documents.ocr_cache import OcrCache
from streamrag_cli.documents.ocr_text import text_of
from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.errors import ConfigurationError, DocumentError
from streamrag_cli.model import Document
from tests.documents.test_sandbox import command_of, is_running
from tests.support.http_client import wait_until
from tests.support.loading import check_promises, loaded, raw_file
from tests.support.page_images import (
    blank_picture,
    bmp,
    camera_jpeg,
    picture_of,
    placed_picture,
    png,
    require_tesseract,
    scanned_pdf,
    tiff,
)

LETTER = ("The harbour crane lifts eleven tonnes", "from March until the end of October.")
REPLY = ("The slipway is closed every Monday", "while the rails are being cleaned.")


@pytest.fixture
def loader() -> Iterator[Loader]:
    require_tesseract()
    ocr = find_ocr("eng", os.environ)
    assert ocr is not None
    with Loader(find_ocr=lambda: (ocr, OcrCache("", ocr.recipe))) as loader:
        yield loader


def load_with(loader: Loader, name: str, data: bytes) -> Document:
    document = loader.load(Path("/docs", name), raw_file(data))
    check_promises(document)
    return document


def pages(document: Document) -> list[tuple[int | None, str]]:
    return [
        (section.page, " ".join(document.text[section.start : section.end].split())) for section in document.sections
    ]


@pytest.mark.fault("scanned-pages")
def test_scanned_pages_and_pages_with_text_are_read_in_order(loader: Loader) -> None:
    data = scanned_pdf(["Typed on the first page.", picture_of(LETTER), blank_picture(), picture_of(REPLY).turned()])

    document = load_with(loader, "a.pdf", data)

    assert pages(document) == [(1, "Typed on the first page."), (2, " ".join(LETTER)), (4, " ".join(REPLY))]
    assert document.notes == ("1 of 4 pages has no text (OCR found no text)",)


@pytest.mark.fault("scanned-pages")
def test_columns_of_a_scanned_page_are_read_one_after_the_other(loader: Loader) -> None:
    left = [
        f"On the left the crane lifts {word}" for word in ("stones", "barrels", "timber", "sails", "boats", "ropes")
    ]
    right = [
        f"On the right the gate lets {word}" for word in ("ferries", "barges", "yachts", "tugs", "skiffs", "rafts")
    ]
    texts = [
        (x, 700.0 - 16 * row, text) for x, column in ((50.0, left), (330.0, right)) for row, text in enumerate(column)
    ]

    document = load_with(loader, "a.pdf", scanned_pdf([placed_picture(texts)]))

    assert pages(document) == [(1, " ".join([*left, *right]))]


@pytest.mark.fault("scanned-pages")
@pytest.mark.parametrize("make", [png, bmp, lambda picture: tiff([picture])], ids=["png", "bmp", "tiff"])
def test_an_image_is_one_section_without_a_page_number(make: Callable[[object], bytes], loader: Loader) -> None:
    assert pages(load_with(loader, "a.png", make(picture_of(LETTER)))) == [(None, " ".join(LETTER))]


@pytest.mark.fault("scanned-pages")
def test_the_pages_of_a_tiff_are_numbered(loader: Loader) -> None:
    data = tiff([picture_of(LETTER), blank_picture(), picture_of(REPLY)])

    assert pages(load_with(loader, "a.tif", data)) == [(1, " ".join(LETTER)), (3, " ".join(REPLY))]


def test_a_blank_page_gets_a_note(loader: Loader) -> None:
    assert load_with(loader, "a.png", png(blank_picture())).notes == ("the document contains no text",)
    assert load_with(loader, "a.pdf", scanned_pdf([blank_picture()])).notes == ("the document contains no text",)


@pytest.mark.fault("ocr-limits")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x89PNG\r\n\x1a\n damaged", "corrupt"),
        (b"", "corrupt"),
        (png(blank_picture(), size=(60_000, 60_000)), "too_large"),
    ],
    ids=["damaged", "empty", "huge"],
)
def test_an_unreadable_image_does_not_affect_the_next_one(data: bytes, code: str, loader: Loader) -> None:
    with pytest.raises(DocumentError) as caught:
        load_with(loader, "a.png", data)

    assert caught.value.code == code
    assert pages(load_with(loader, "b.png", png(picture_of(LETTER)))) == [(None, " ".join(LETTER))]


@pytest.mark.fault("scanned-pages")
def test_without_ocr_a_scan_fails_with_a_command_that_installs_tesseract() -> None:
    for name, data in (("a.pdf", scanned_pdf([picture_of(LETTER)])), ("a.png", png(picture_of(LETTER)))):
        with pytest.raises(DocumentError) as caught:
            loaded(name, data)
        assert caught.value.hint == "apt install tesseract-ocr"


def fake_tesseract(folder: Path, body: str) -> dict[str, str]:
    """Return an environment in which tesseract is a shell script that supports English and runs `body`."""
    program = folder / "tesseract"
    program.write_text(
        '#!/bin/sh\ncase "$1" in --list-langs) printf "List (2):\\neng\\nosd\\n"; exit;;\n'
        "--version) echo fake 1; exit;; esac\n" + body
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def ocr_children() -> set[int]:
    """Return the processes that run the fake tesseract. They are children of the parser process."""
    pids = set()
    for each in Path("/proc").glob("[0-9]*"):
        if b"tessedit_page_number" in command_of(int(each.name)) and is_running(int(each.name)):
            pids.add(int(each.name))
    return pids


WORDS = "5\\t1\\t1\\t1\\t1\\t1\\t0\\t0\\t9\\t9\\t95\\tSeven\\n5\\t1\\t1\\t1\\t1\\t2\\t0\\t0\\t9\\t9\\t95\\tgulls\\n"


def interrupt_main_thread() -> None:
    wait_until(lambda: bool(ocr_children()))
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.fault("ocr-limits")
@pytest.mark.parametrize("how", ["limit", "interrupt"])
def test_no_process_is_left_after_a_page_takes_too_long(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamrag_cli.documents.sandbox.WALL_LIMIT_S", -4 if how == "limit" else 60)
    ocr = find_ocr(
        "auto", fake_tesseract(tmp_path, "cat >/dev/null; while :; do sleep 0.1; done # tessedit_page_number\n")
    )
    assert ocr is not None
    with Loader(find_ocr=lambda: (ocr, OcrCache("", ocr.recipe))) as loader:
        if how == "interrupt":
            interrupt = threading.Thread(target=interrupt_main_thread)
            interrupt.start()
        with pytest.raises((DocumentError, KeyboardInterrupt)):
            loader.load(Path("/a.png"), raw_file(png(blank_picture())))

    assert wait_until(lambda: not ocr_children())


@pytest.mark.fault("ocr-limits")
def test_a_page_that_fails_does_not_affect_the_other_pages(tmp_path: Path) -> None:
    body = f"mkdir {tmp_path}/first 2>/dev/null && exit 3; cat >/dev/null; printf '{WORDS}'\n"
    ocr = find_ocr("auto", fake_tesseract(tmp_path, body))
    assert ocr is not None
    with Loader(find_ocr=lambda: (ocr, OcrCache("", ocr.recipe))) as loader:
        document = loader.load(Path("/a.pdf"), raw_file(scanned_pdf([picture_of(LETTER), picture_of(LETTER).turned()])))

    assert pages(document) == [(2, "Seven gulls")]
    assert document.notes == ("1 of 2 pages has no text (possibly scanned)",)


@pytest.mark.fault("ocr-limits")
@pytest.mark.parametrize("name", ["a.pdf", "a.tif"])
def test_a_file_with_many_slow_pages_is_read_in_several_ingests(name: str, tmp_path: Path) -> None:
    ocr = find_ocr("auto", fake_tesseract(tmp_path, f"cat >/dev/null; sleep 0.3; printf '{WORDS}'\n"))
    assert ocr is not None
    limited = replace(ocr, file_limit_s=0.5)
    scans = [picture_of(LETTER)] * 5
    raw = replace(raw_file(scanned_pdf(scans) if name == "a.pdf" else tiff(scans)), sha256="digest")
    failures: list[DocumentError] = []
    document = None
    while document is None:
        with Loader(find_ocr=lambda: (limited, OcrCache(str(tmp_path / "state"), ocr.recipe))) as loader:
            try:
                document = loader.load(Path("/", name), raw)
            except DocumentError as error:
                failures.append(error)

    assert pages(document) == [(number, "Seven gulls") for number in range(1, 6)]
    assert {each.code for each in failures} == {"timed_out"}
    assert re.search(r" ([12]) pages? of the file (was|were) read", failures[0].message)
    assert len(failures) in {2, 3, 4}


def test_recognised_pages_are_cached_for_the_next_ingest(tmp_path: Path) -> None:
    ocr = find_ocr("auto", fake_tesseract(tmp_path, f"cat >/dev/null; printf '{WORDS}'\n"))
    assert ocr is not None
    raw = replace(raw_file(tiff([blank_picture()] * 2)), sha256="digest")
    state = tmp_path / "state"

    def read() -> str:
        with Loader(find_ocr=lambda: (ocr, OcrCache(str(state), ocr.recipe))) as loader:
            return loader.load(Path("/a.tif"), raw).text

    first = read()
    fake_tesseract(tmp_path, "exit 3\n")

    assert first == read() == "Seven gulls\n\n" * 2
    assert OcrCache(str(state), ocr.recipe).pages("digest") == {"0": "Seven gulls", "1": "Seven gulls"}
    assert OcrCache(str(state), "another recipe").pages("digest") == {}
    assert [each.stat().st_mode & 0o777 for each in (state / "ocr").iterdir()] == [0o600]


def test_the_readable_entries_of_a_damaged_cache_are_used(tmp_path: Path) -> None:
    cache = OcrCache(str(tmp_path), "r")
    cache.add("d", "0", "kept")
    (file,) = (tmp_path / "ocr").iterdir()
    file.write_bytes(file.read_bytes() + b'["1", "cut o')

    assert cache.pages("d") == {"0": "kept"}


@pytest.mark.parametrize(
    ("installed", "environment", "mode", "languages"),
    [
        ("eng deu osd", {}, "auto", "eng+deu"),
        ("eng deu fra spa osd", {"LANG": "fr_FR.UTF-8"}, "auto", "fra+eng"),
        ("eng deu fra spa osd", {"LANG": "C.UTF-8"}, "auto", "eng"),
        ("eng deu fra spa osd", {}, "spa+deu", "spa+deu"),
        ("osd", {}, "auto", None),
        ("eng", {}, "off", None),
    ],
)
def test_the_installed_languages_are_used(
    installed: str, environment: dict[str, str], mode: str, languages: str | None, tmp_path: Path
) -> None:
    path = fake_tesseract(tmp_path, "")["PATH"]
    program = tmp_path / "tesseract"
    program.write_text(program.read_text().replace("eng\\nosd", installed.replace(" ", "\\n")))

    ocr = find_ocr(mode, {"PATH": path, **environment})

    assert (ocr and ocr.languages) == languages


def test_a_missing_language_is_reported_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_ocr("chi_sim", fake_tesseract(tmp_path, ""))
    assert (caught.value.code, caught.value.hint) == ("no_ocr", "apt install tesseract-ocr-chi-sim")

    with pytest.raises(ConfigurationError) as caught:
        find_ocr("eng", {"PATH": str(tmp_path / "empty")})
    assert (caught.value.code, caught.value.hint) == ("no_ocr", "apt install tesseract-ocr")


def test_noise_in_a_picture_is_not_read_as_text() -> None:
    def row(confidence: int, text: str, *, line: int = 1) -> str:
        return f"5\t1\t1\t1\t{line}\t1\t0\t0\t9\t9\t{confidence}\t{text}\n"

    sure = row(96, "Seven") + row(93, "gulls")

    assert text_of(sure + row(12, "~|", line=2) + row(91, "rest.", line=3)) == "Seven gulls\nrest."
    assert text_of(row(31, "ae") + row(22, "|") + row(96, "x")) == ""
    assert text_of("level\tpage_num\nnot a row\n") == ""


@pytest.mark.fault("ocr-limits")
def test_a_photo_is_recognised_by_its_header() -> None:
    photo = camera_jpeg()

    assert is_camera_photo(photo)
    assert not any(
        map(is_camera_photo, (png(blank_picture()), tiff([blank_picture()]), b"", b"\xff\xd8\xff", photo[:30]))
    )
    assert not any(is_camera_photo(photo[:length]) for length in range(36))


def test_the_size_and_page_count_of_an_image_are_read_from_its_header() -> None:
    assert dimensions(png(blank_picture())) == dimensions(bmp(blank_picture())) == (800, 400)
    assert dimensions(b"GIF89a\x05\0\x07\0") == (5, 7)
    assert dimensions(b"\x89PNG\r\n\x1a\n") is None
    assert tiff_pages(tiff([blank_picture()] * 3)) == 3
    assert tiff_pages(b"II*\0\x08\0\0\0\0\0\x08\0\0\0") == 1
    assert tiff_pages(b"MM\0*\xff\xff\xff\xff") == 1


def test_ocr_is_not_used_for_a_page_with_text(tmp_path: Path) -> None:
    ocr = find_ocr("auto", fake_tesseract(tmp_path, "exit 3\n"))
    assert ocr is not None
    with Loader(find_ocr=lambda: (ocr, OcrCache("", ocr.recipe))) as loader:
        document = load_with(loader, "a.pdf", scanned_pdf(["Typed words only."]))

    assert (pages(document), document.notes) == ([(1, "Typed words only.")], ())
