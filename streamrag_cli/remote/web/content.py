"""Decompresses the body of a reply within a limit, and determines its format and text encoding."""

import codecs
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from streamrag_cli.documents.formats import suffix_of_media_type
from streamrag_cli.documents.read import codec_of_web_charset
from streamrag_cli.remote.web.results import FetchError

ACCEPTED_ENCODINGS: Final = "gzip, deflate"
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_MOST_LAYERS: Final = 2
"""The maximum number of encodings of a reply. Each of them needs memory for a whole body."""
_UNSPECIFIC: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "text/plain", "text/x-unknown"})
_XML: Final = frozenset({"application/xml", "text/xml"})
_HTML: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--[^>]{0,500}-->\s*)?<(?:!doctype html|html|head)\b",
    re.IGNORECASE,
)
_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_DECLARED_AS_TEXT: Final = re.compile(r"text/|application/(?:xhtml\+xml|json|yaml|toml|x-ndjson|ld\+json)")


def read_body(pieces: Iterable[bytes], encodings: str, max_bytes: int) -> bytes:
    """Join and decompress the `pieces` of a body according to its Content-Encoding, within `max_bytes` of memory.

    Raises FetchError `too_large`, `malformed`.
    """
    layers = [each.strip().lower() for each in encodings.split(",")]
    if len(layers) > _MOST_LAYERS:
        raise FetchError(f"the reply is compressed more than {_MOST_LAYERS} times", "malformed")
    for encoding in reversed(layers):
        if encoding in {"gzip", "x-gzip", "deflate"}:
            pieces = _decompressed(pieces, max_bytes)
        elif encoding not in {"", "identity"}:
            raise FetchError(f"the server used compression that was not requested: {encoding[:20]!r}", "malformed")
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > max_bytes:
            raise too_large(max_bytes)
    return bytes(body)


def _decompressed(pieces: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield the decompressed pieces, each of at most `max_bytes + 1` bytes."""
    decoder = None
    is_complete = False
    for piece in pieces:
        data = piece
        while data:
            if decoder is None:
                is_raw = not is_complete and not _has_header(data)
                decoder = zlib.decompressobj(_RAW if is_raw else _GZIP_OR_ZLIB)
            try:
                part = decoder.decompress(data, max_bytes + 1)
            except zlib.error as error:
                if is_complete:  # padding after the last member
                    return
                raise FetchError("the compressed reply is damaged", "malformed") from error
            if part:
                yield part
            if decoder.eof:
                data, decoder, is_complete = decoder.unused_data, None, True
            else:
                data = decoder.unconsumed_tail
                is_complete = False
    if not is_complete and decoder is not None:
        raise FetchError("the compressed reply is incomplete", "malformed")


def _has_header(data: bytes) -> bool:
    """Whether compressed data begins with a gzip or zlib header; some servers send "deflate" without one."""
    return data[:1] == b"\x1f" or (len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0)


def too_large(max_bytes: int) -> FetchError:
    return FetchError(f"the page is larger than {max_bytes / 1e6:,.4g} MB", "too_large")


def format_suffix(content_type: str, url: str, body: bytes, known_suffixes: frozenset[str]) -> str:
    """The suffix for a body's format, or "" if it is not supported.

    The body overrides a wrong Content-Type, because PDF files and HTML pages are recognised by their first bytes.
    """
    declared = content_type.partition(";")[0].strip().lower()
    of_address = PurePosixPath(unquote(urlsplit(url).path)).suffix.casefold()
    if body.startswith(b"%PDF-"):
        suffix = ".pdf"
    elif _HTML.match(body[:4096]) and not (declared.startswith("text/") and declared not in _UNSPECIFIC | _XML):
        suffix = ".html"
    elif suffix_of_type := suffix_of_media_type(declared):
        suffix = suffix_of_type if declared != "application/pdf" else ""  # it does not begin like one
    elif declared in _UNSPECIFIC or (declared.startswith("text/") and of_address in known_suffixes):
        suffix = of_address if of_address in known_suffixes else ".txt" if declared == "text/plain" else ""
    elif declared in _XML:
        suffix = ".xml"
    else:
        suffix = ".txt" if declared.startswith("text/") and declared not in {"text/css", "text/javascript"} else ""
    return suffix if suffix in known_suffixes else ""


def as_utf_8(body: bytes, content_type: str) -> bytes:
    """Convert the body to UTF-8 with a byte order mark if its Content-Type declares a charset.

    A byte order mark takes precedence over the header. So does valid UTF-8, because text in another encoding is
    hardly ever valid UTF-8.
    """
    match = re.search(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", content_type, re.IGNORECASE)
    if not match or body.startswith(_MARKS) or not _DECLARED_AS_TEXT.match(content_type.lower()):
        return body
    try:
        text = body.decode()
        is_utf_8 = not body.isascii()
    except UnicodeDecodeError:
        is_utf_8 = False
    if not is_utf_8:
        codec = codec_of_web_charset(match[1])
        if codec is None:
            return body  # the header is wrong: the loader decides
        try:
            text = body.decode(codec)
        except (LookupError, UnicodeError, ValueError):
            return body
    return codecs.BOM_UTF8 + text.encode("utf-8", "replace")
