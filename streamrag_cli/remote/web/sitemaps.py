"""Reads sitemaps: lists of the pages on a site, in XML or text, which may be compressed or split into parts."""

import zlib
from typing import Final

from streamrag_cli.documents.formats import Format
from streamrag_cli.documents.read import RawFile
from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document

MAX_BYTES: Final = 50_000_000
_MOST_ADDRESSES: Final = 50_000
_SITEMAP: Final = Format(name="sitemap", loader="streamrag_cli.remote.web.sitemaps:load_sitemap", input_type="bytes")


def addresses_in(body: bytes, loader: Loader) -> tuple[list[str], list[str]]:
    """The pages and sitemaps that a sitemap lists; empty if the sitemap is not valid."""
    from pathlib import Path

    raw = RawFile(data=_decompressed(body), size=len(body), mtime_ns=0, read_at_ns=0, sha256="")
    try:
        lines = loader.load(Path("sitemap.xml"), raw, _SITEMAP).text.split("\n")
    except DocumentError:
        return [], []
    pages = [each.removeprefix("page ") for each in lines if each.startswith("page ")]
    return pages, [each.removeprefix("sitemap ") for each in lines if each.startswith("sitemap ")]


def load_sitemap(path: str, data: bytes) -> Document:
    """A document with one line per address: `page ADDRESS` or `sitemap ADDRESS`."""
    from lxml import etree

    lines: list[str] = []
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, recover=True)
    root = etree.fromstring(data, parser) if data.lstrip()[:1] == b"<" else None
    if root is None:
        texts = data.decode("utf-8", "replace").split()
        lines = [f"page {each}" for each in texts if each.startswith(("http://", "https://"))]
    else:
        for element in root.iter("{*}loc"):
            parent = element.getparent()
            kind = "sitemap" if parent is not None and etree.QName(parent).localname == "sitemap" else "page"
            address = "".join((element.text or "").split())
            if address:
                lines.append(f"{kind} {address}")
    return Document(path=path, text="\n".join(lines[:_MOST_ADDRESSES]), title="", sections=(), line_numbers=None)


def _decompressed(body: bytes) -> bytes:
    """The body, decompressed if it is a gzip file; at most `MAX_BYTES` of it."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        return zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(body, MAX_BYTES)
    except zlib.error:
        return b""
