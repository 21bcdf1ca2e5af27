"""Reads a whole file and decodes its bytes into text.

Every problem with a file is raised as a `DocumentError` with one of the codes `permission_denied`, `vanished`,
`too_large`, `not_a_regular_file`, `replaced_by_link`, `changed_while_reading`, `unreadable` and `binary`. Opening a
file never blocks, so an ingest does not hang if a FIFO has replaced the file.
"""

import codecs
import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamrag_cli.documents.safe_open import open_resolved
from streamrag_cli.errors import DocumentError
from streamrag_cli.system_errors import exhausted_resource
from streamrag_cli.text import NOT_TEXT, REPLACEMENT

_BLOCK_BYTES: Final = 1 << 20
_SNIFFED_BYTES: Final = 8192
_DETECTED_BYTES: Final = 1 << 16
_BYTE_ORDER_MARKS: Final = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NOT_WRITING: Final = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff]")
_BINARY_SIGNATURES: Final = (  # small archives, Office files and images may contain no NUL
    b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!\x1a",
    b"\x28\xb5\x2f\xfd", b"\x89PNG", b"\xff\xd8\xff", b"GIF8",
)  # fmt: skip
_NOT_CHARSETS: Final = frozenset({"idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined"})
"""Python codecs that are not document charsets. The first two take time quadratic in the size of the data."""
_GUESSED_ENCODINGS: Final = (
    "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 cp874 koi8_r cp866 cp437 cp850 iso8859_7 "
    "iso8859_15 cp932 euc_jp iso2022_jp gb18030 big5 cp949"
).split()
"""The encodings in which files are still found. Rare ones, such as those of old Macs, fit short texts by accident."""
_TURKISH: Final = re.compile(rb"[\xf0\xfd\xfe]")
_ICELANDIC: Final = re.compile(rb"[\xe1\xe6\xe9\xed\xf3\xfa]")
_CZECH: Final = (re.compile(rb"[\xec\xf8\xf9]"), re.compile(rb"[\xe1\xed\xfd]"))
"""Letters of Windows-1254 and Windows-1250. In Windows-1252, they are letters that few languages use together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """A consistent copy of a file's bytes.

    `mtime_ns` and `read_at_ns` are nanoseconds since the epoch. `read_at_ns` is the time before the first byte was
    read. If `mtime_ns` is well before it, any later change to the file also changes its modification time. `sha256` is
    a hex digest.
    """

    data: bytes
    size: int
    mtime_ns: int
    read_at_ns: int
    sha256: str


def empty_file() -> DocumentError:
    """The error for an empty file whose format requires content."""
    return DocumentError("the file is empty", code="unreadable")


def read_file(
    path: Path,
    *,
    limit_bytes: int,
    follow_links: bool = True,
    directory: int | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> RawFile:
    """Read the regular file at `path`, which may have at most `limit_bytes`. Raises `DocumentError`.

    Without `follow_links`, no component of the absolute `path` may be a link. If `directory`, a file descriptor, is
    given, `path` is a name in that directory and must not be a link.
    """
    read_at_ns = now_ns()
    try:
        descriptor = _open(path, follow_links=follow_links, directory=directory)
        try:
            before = os.fstat(descriptor)
            _check(before, limit_bytes)
            data = _read_at_most(descriptor, limit_bytes)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _translate_error(error) from error
    if len(data) > limit_bytes:
        raise _too_large(limit_bytes)
    if len(data) != after.st_size or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise DocumentError("the file changed while it was being read", code="changed_while_reading", retryable=True)
    return RawFile(
        data=data,
        size=len(data),
        mtime_ns=after.st_mtime_ns,
        read_at_ns=read_at_ns,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def read_start(path: Path, size: int) -> bytes:
    """Return the first `size` bytes of a regular file. Raises `DocumentError`.

    No component of `path` may be a link.
    """
    try:
        descriptor = _open(path, follow_links=False, directory=None)
        try:
            _check(os.fstat(descriptor), 1 << 62)
            return _read_at_most(descriptor, size)[:size]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _translate_error(error) from error


def _open(path: Path, *, follow_links: bool, directory: int | None) -> int:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    if directory is not None:
        return os.open(path, flags | os.O_NOFOLLOW, dir_fd=directory)
    return os.open(path, flags) if follow_links else open_resolved(str(path), flags)


def decode(data: bytes, *, declared: str | None = None) -> tuple[str, str | None]:
    """Decode a file's bytes. Returns the text, and a note if the text may differ from what the author wrote.

    The encoding is that of the byte order mark, the `declared` encoding, UTF-8 or a guess, in this order. If the first
    8 KiB contain NUL, the data is UTF-16 without a mark or binary. Every line break becomes a newline, so that line
    numbers are those of the file. NUL becomes U+FFFD. Raises `DocumentError` `binary` for binary data.
    """
    text, note = _decode(data, declared)
    return text.replace("\r\n", "\n").replace("\r", "\n"), note


def codec_of_charset(charset: str) -> str | None:
    """Return the normal name of the codec for a declared charset; None if there is none.

    >>> codec_of_charset("Latin-1"), codec_of_charset("no-such"), codec_of_charset("punycode")
    ('iso8859-1', None, None)
    """
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):  # an unknown name, or one with NUL
        return None
    return None if name.replace("-", "_") in _NOT_CHARSETS else name


def codec_of_web_charset(charset: str) -> str | None:
    """Like `codec_of_charset`, but returns Windows-1252 for Latin-1 and ASCII, as browsers do."""
    codec = codec_of_charset(charset)
    return "cp1252" if codec in {"iso8859-1", "ascii"} else codec


def unicode_encoding(data: bytes) -> tuple[bytes, str] | None:
    """Return the byte order mark, or b"", and the encoding indicated by it or by a NUL in the first 8 KiB; else None.

    The position of the NULs indicates the byte order: the NUL of an ASCII character is always on the same side.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return mark, encoding
    sniffed = data[:_SNIFFED_BYTES]
    if b"\0" not in sniffed:
        return None
    return b"", "utf-16-le" if sniffed[1::2].count(0) > sniffed[::2].count(0) else "utf-16-be"


def _decode(data: bytes, declared: str | None) -> tuple[str, str | None]:
    mark, encoding = unicode_encoding(data) or (b"", "")
    if mark:
        return _decode_as(data[len(mark) :], encoding)
    if data.startswith(_BINARY_SIGNATURES):
        raise DocumentError("the content is binary, not text", code="binary")
    if encoding:
        return _decode_utf_16_without_mark(data, encoding)
    if declared is not None and (codec := codec_of_charset(declared)):
        try:
            return NOT_TEXT.sub(REPLACEMENT, data.decode(codec)), None
        except (LookupError, UnicodeError, ValueError):
            pass  # ignore a wrong declaration
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _decode_guessing(data)
    return (text.replace("\0", REPLACEMENT) if "\0" in text else text), None


def _decode_utf_16_without_mark(data: bytes, encoding: str) -> tuple[str, str]:
    """Decode UTF-16, and return the text and a note. Raises `DocumentError` `binary` if the data is not UTF-16.

    If most letters are next to each other, the data is single-byte text that contains a NUL.
    """
    sniffed = data[:_SNIFFED_BYTES]
    high_first, low_first = sniffed[::2].count(0), sniffed[1::2].count(0)
    lopsided = min(high_first, low_first) * 10 <= max(high_first, low_first)
    side_by_side = sum(
        1 for pair in zip(sniffed[::2], sniffed[1::2], strict=False) if 32 < min(pair) <= max(pair) < 127
    )
    try:
        text = data.decode(encoding) if lopsided and side_by_side * 4 <= len(sniffed) else "\0"
    except UnicodeDecodeError:
        text = "\0"
    if _NOT_WRITING.search(text):
        raise DocumentError("the content is binary, not text", code="binary")
    return text, f"the text has no byte order mark and was read as {encoding}"


def _decode_as(data: bytes, encoding: str) -> tuple[str, str | None]:
    try:
        return NOT_TEXT.sub(REPLACEMENT, data.decode(encoding)), None
    except UnicodeDecodeError:
        text = data.decode(encoding, errors="replace")
        note = f"the text is not valid {encoding}; characters that cannot be decoded were replaced"
        return NOT_TEXT.sub(REPLACEMENT, text), note


def _decode_guessing(data: bytes) -> tuple[str, str | None]:
    """Decode `data` as damaged UTF-8 if most of its non-ASCII characters are valid, else guess another encoding."""
    text = data.decode(errors="replace")
    invalid_count = text.count(REPLACEMENT)
    if sum(1 for _ in re.finditer(r"[^\x00-\x7f]", text)) - invalid_count > invalid_count:
        return _decode_as(data, "utf-8")
    encoding = _guess(data[:_DETECTED_BYTES])
    text, note = _decode_as(data, encoding)
    return text, note or f"the text is not UTF-8 and was read as {encoding}"


def _guess(data: bytes) -> str:
    """Return the most likely encoding. On a tie, it is Windows-1252, the most common encoding for short texts."""
    from charset_normalizer import from_bytes  # imports in about 30 ms

    matches = from_bytes(data, cp_isolation=_GUESSED_ENCODINGS)
    best = matches.best()
    if best is None:
        return "cp1252"
    for match in matches:
        is_western = not {"cp1252", "latin_1"}.isdisjoint({match.encoding, *match.could_be_from_charset})
        if is_western and (match.chaos, -match.coherence) <= (best.chaos, -best.coherence):
            return _by_letters(data)
    return best.encoding


def _by_letters(data: bytes) -> str:
    """Return the encoding of text that may be in Windows-1252, from letters that are typical of one language."""
    if _TURKISH.search(data) and not _ICELANDIC.search(data):
        return "cp1254"
    return "cp1250" if all(letters.search(data) for letters in _CZECH) else "cp1252"


def _check(status: os.stat_result, limit_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DocumentError("not a regular file", code="not_a_regular_file")
    if status.st_size > limit_bytes:
        raise _too_large(limit_bytes)


def _read_at_most(descriptor: int, limit_bytes: int) -> bytes:
    """Read to the end, but at most one byte past the limit, because the file may grow while it is read."""
    blocks: list[bytes] = []
    left = limit_bytes + 1
    while left and (block := os.read(descriptor, min(left, _BLOCK_BYTES))):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


def _too_large(limit_bytes: int) -> DocumentError:
    return DocumentError(f"the file is larger than {limit_bytes / 1e6:,.4g} MB", code="too_large")


def _translate_error(error: OSError) -> DocumentError:
    """Return the DocumentError for `error`.

    Raises ResourceError if the process has no descriptors or memory left, because then the file is not at fault.
    """
    if (exhausted := exhausted_resource(error)) is not None:
        raise exhausted from error
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return DocumentError("permission denied", code="permission_denied")
        case errno.ENOENT | errno.ENOTDIR:
            return DocumentError("the file no longer exists", code="vanished")
        case errno.ELOOP | errno.ENXIO | errno.ENODEV | errno.EISDIR:  # a link, a socket or device, a directory
            return DocumentError("not a regular file", code="not_a_regular_file")
        case _:
            return DocumentError(f"the file cannot be read: {error.strerror or error}", code="unreadable")
