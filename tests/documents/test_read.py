import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.documents.read import RawFile, decode, read_file
from streamrag_cli.errors import DocumentError


def test_a_file_is_read_with_its_size_times_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"text")
    os.utime(path, ns=(0, 1_700_000_000_000_000_001))

    assert read_file(path, limit_bytes=4, now_ns=lambda: 7) == RawFile(
        data=b"text",
        size=4,
        mtime_ns=1_700_000_000_000_000_001,
        read_at_ns=7,
        sha256=hashlib.sha256(b"text").hexdigest(),
    )


@pytest.mark.fault("oversized-files")
def test_a_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"x" * 50_000_001)

    assert failure(tmp_path / "a.md", limit_bytes=50_000_000) == ("too_large", "the file is larger than 50 MB")


@pytest.mark.timeout(10)
def test_non_regular_files_are_rejected_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero"), Path("/dev/tty")):
        assert failure(path)[0] == "not_a_regular_file", path


@pytest.mark.fault("unreadable-files")
def test_a_missing_file_is_reported_as_vanished(tmp_path: Path) -> None:
    assert failure(tmp_path / "a.md") == ("vanished", "the file no longer exists")
    assert failure(tmp_path / "a" / "b.md") == ("vanished", "the file no longer exists")


def test_links_are_followed_unless_forbidden(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")

    assert read_file(tmp_path / "b", limit_bytes=9).data == b"x"
    with pytest.raises(DocumentError, match="replaced by a symbolic link"):
        read_file(tmp_path / "b", limit_bytes=9, follow_links=False)


@pytest.mark.fault("unreadable-files")
@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits do not stop root")
def test_missing_permission_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"x")
    (tmp_path / "a.md").chmod(0)

    assert failure(tmp_path / "a.md") == ("permission_denied", "permission denied")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(13, "Permission denied"), ("permission_denied", "permission denied")),
        (OSError(5, "Input/output error"), ("unreadable", "the file cannot be read: Input/output error")),
    ],
)
def test_system_errors_become_document_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, expected: tuple[str, str]
) -> None:
    (tmp_path / "a.md").write_bytes(b"x")

    def refuse(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(os, "read", refuse)

    assert failure(tmp_path / "a.md") == expected


@pytest.mark.fault("unreadable-files")
@pytest.mark.parametrize("change", ["grown", "shrunk", "rewritten", "grown past the limit"])
def test_a_change_during_reading_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"before")
    os.utime(path, ns=(0, 0))
    read = os.read

    def reading_while_it_changes(descriptor: int, size: int) -> bytes:
        if path.stat().st_mtime_ns == 0:
            path.write_bytes(
                {"grown": b"before and after", "shrunk": b"be", "rewritten": b"behind"}.get(change, b"x" * 99)
            )
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", reading_while_it_changes)

    expected = "too_large" if change == "grown past the limit" else "changed_while_reading"
    assert failure(path, limit_bytes=20)[0] == expected


@pytest.mark.fault("text-encodings")
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-32-le", b"\xff\xfe\0\0"),
        ("utf-32-be", b"\0\0\xfe\xff"),
    ],
)
def test_unicode_is_decoded_without_a_note(encoding: str, mark: bytes) -> None:
    assert decode(mark + "Käse 🧀\n".encode(encoding)) == ("Käse 🧀\n", None)


@pytest.mark.fault("text-encodings")
@pytest.mark.parametrize(
    "text",
    [
        "Le café est très bon, déjà vu.",
        "café",
        "Straße und Größe, schöne Grüße aus München",
        "naïve — “quoted” text",
        "El niño comió piñas mañana",
        "Übung macht den Meister",
    ],
)
def test_single_byte_western_text_is_decoded(text: str) -> None:
    assert decode(text.encode("cp1252")) == (text, "the text is not UTF-8 and was read as cp1252")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Klíče leží pod květináčem. Schůzka je ve čtvrtek."),
        ("cp1254", "Çilingir şubatta gelir. Işıklar akşam söner. Öğle yemeği"),
        ("cp874", "ร้านเปิดเวลาแปดโมงเช้าทุกวัน"),
    ],
)
def test_encodings_of_other_languages_are_guessed(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == (text, f"the text is not UTF-8 and was read as {encoding}")


def test_cyrillic_and_japanese_encodings_are_guessed() -> None:
    russian = "Привет, как дела? Это русский текст для проверки кодировки."
    short = "Пароль от калитки: сорок два. Почтальон приходит по четвергам. Кот ест дважды в день."
    japanese = "これは日本語のテキストです。文字コードの判定を確認します。"

    assert decode(russian.encode("cp1251")) == (russian, "the text is not UTF-8 and was read as cp1251")
    assert decode(short.encode("cp1251")) == (short, "the text is not UTF-8 and was read as cp1251")
    assert decode(japanese.encode("shift_jis")) == (japanese, "the text is not UTF-8 and was read as cp932")


def test_invalid_characters_are_replaced_and_reported() -> None:
    assert decode("naïve café déjà".encode() + b"\xff vu") == (
        "naïve café déjà\N{REPLACEMENT CHARACTER} vu",
        "the text is not valid utf-8; characters that cannot be decoded were replaced",
    )
    assert decode(b"\xff\xfea\0b") == (
        "a\N{REPLACEMENT CHARACTER}",
        "the text is not valid utf-16-le; characters that cannot be decoded were replaced",
    )


def test_a_nul_near_the_start_means_binary_and_later_nuls_are_replaced() -> None:
    with pytest.raises(DocumentError) as caught:
        decode(b"text\0more")

    assert caught.value.code == "binary"
    assert decode(b"x" * 8192 + b"\0") == ("x" * 8192 + "\N{REPLACEMENT CHARACTER}", None)


def test_every_line_break_becomes_a_newline() -> None:
    assert decode(b"a\r\nb\rc\nd\r\r\n") == ("a\nb\nc\nd\n\n", None)


def test_a_declared_encoding_is_used_if_it_fits() -> None:
    assert decode("Привет".encode("koi8-r"), declared="koi8-r") == ("Привет", None)
    assert decode("é".encode(), declared="ascii") == ("é", None)
    assert decode("é".encode(), declared="no such encoding") == ("é", None)


@given(st.binary(max_size=200))
def test_decoded_text_has_no_nul_no_lone_surrogate_and_no_carriage_return(data: bytes) -> None:
    try:
        text, _ = decode(data)
    except DocumentError:
        return
    assert not {"\0", "\r"} & set(text)
    text.encode()


def failure(path: Path, *, limit_bytes: int = 1 << 20) -> tuple[str, str]:
    with pytest.raises(DocumentError) as caught:
        read_file(path, limit_bytes=limit_bytes)
    return caught.value.code, caught.value.message
