"""Compression, encoding and format of fetched web pages."""

import gzip
import time
import zlib
from collections.abc import Callable

import pytest

from streamrag_cli.remote.web.results import (
    Fetched,
)
from tests.support.crawls import crawl, failure, only
from tests.support.pdf_bytes import pdf_bytes
from tests.support.web_site import (
    Answer,
    Site,
    article,
    gzipped,
    html,
)


def test_compressed_pages_are_read(serve: Callable[..., Site]) -> None:
    page = article("kettle").encode()
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    site = serve({
        "/gzip": gzipped(page),
        "/members": Answer(gzip.compress(page[:50]) + gzip.compress(page[50:]), headers={"Content-Encoding": "gzip"}),
        "/zlib": Answer(zlib.compress(page), headers={"Content-Encoding": "deflate"}),
        "/raw": Answer(raw.compress(page) + raw.flush(), headers={"Content-Encoding": "deflate"}),
    })  # fmt: skip

    for path in ("/gzip", "/members", "/zlib", "/raw"):
        result = only(crawl(f"{site.url}{path}"))
        assert isinstance(result, Fetched)
        assert result.content.removeprefix(b"\xef\xbb\xbf") == page
    assert site.requests[-1].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.fault("hostile-web-server")
def test_unrequested_incomplete_or_damaged_compression_is_an_error(serve: Callable[..., Site]) -> None:
    whole = gzip.compress(article("kettle").encode())
    site = serve({
        "/br": Answer(b"\x0b\x02\x80", headers={"Content-Encoding": "br"}),
        "/cut": Answer(whole[:-20], headers={"Content-Encoding": "gzip"}),
        "/damaged": Answer(b"\x1f\x8bnot gzip", headers={"Content-Encoding": "gzip"}),
        "/short": Answer("abc", headers={"Content-Length": "5000", "Connection": "close"}),
    })  # fmt: skip

    assert [failure(crawl(f"{site.url}{path}", timeout_s=2)) for path in ("/br", "/cut", "/damaged")] == [
        ("malformed", "the server used compression that was not requested: 'br'"),
        ("malformed", "the compressed reply is incomplete"),
        ("malformed", "the compressed reply is damaged"),
    ]
    assert failure(crawl(f"{site.url}/short", timeout_s=1))[0] in {"malformed", "timed_out"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html; charset=ISO-8859-1", "Käse für Zoë".encode("cp1252")),
        ("text/html; charset=iso-8859-1", "Käse für Zoë".encode()),
        ("text/html; charset=utf-8", '<meta charset="koi8-r">Käse für Zoë'.encode()),
        ("text/html", '<meta charset="cp1250">Käse für Zoë'.encode("cp1250")),
        ("text/html; charset=koi8-r", "\ufeffKäse für Zoë".encode()),
        ("text/html; charset=utf-8", '<meta charset="cp1250">Käse für Zoë'.encode("cp1250")),
        ("text/html; charset=no-such", '<meta charset="cp1250">Käse für Zoë'.encode("cp1250")),
        ("text/html; charset=hex", "Käse für Zoë".encode()),
        ("text/html; charset=utf-16-le", "<p>Käse für Zoë".encode("utf-16-le")),
        ("text/html; charset=iso-2022-jp", "<p>日本語 Käse für Zoë".encode("iso-2022-jp", "ignore") + b"Zo"),
    ],
    ids=range(10),
)
@pytest.mark.fault("wrong-charset")
def test_the_header_the_page_or_its_bytes_determine_the_encoding(
    serve: Callable[..., Site], content_type: str, body: bytes
) -> None:
    from streamrag_cli.documents.loaders.html import load_html

    site = serve({"/a": Answer(b"<html><body>" + body if b"\0" not in body else body, content_type=content_type)})

    result = only(crawl(f"{site.url}/a"))

    assert isinstance(result, Fetched)
    text = load_html("a", result.content).text
    assert "日本語" in text if "jp" in content_type else "Käse für Zoë" in text


@pytest.mark.fault("wrong-charset")
@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape"])
def test_a_charset_that_is_not_used_for_web_pages_is_ignored(serve: Callable[..., Site], charset: str) -> None:
    body = b"<html><body>A kettle.\\x41" + b"a" * 300_000  # Python decodes this as punycode in ten seconds
    site = serve({"/a": Answer(body, content_type=f"text/html; charset={charset}")})
    since_s = time.process_time()

    result = only(crawl(f"{site.url}/a"))

    assert isinstance(result, Fetched)
    assert (result.content, time.process_time() - since_s < 2) == (body, True)


@pytest.mark.parametrize(
    ("path", "content_type", "body", "suffix"),
    [
        ("/a", "application/pdf", pdf_bytes([["Hello kettle"]]), ".pdf"),
        ("/a", "text/html", pdf_bytes([["Hello kettle"]]), ".pdf"),
        ("/a", None, html("<p>Hello kettle</p>").encode(), ".html"),
        ("/a.pdf", "application/pdf", html("<p>Please log in</p>").encode(), ".html"),
        ("/a.md", "text/plain", b"# Kettle", ".md"),
        ("/a.md", "application/octet-stream", b"# Kettle", ".md"),
        ("/a", "text/plain; charset=utf-8", b"Kettle", ".txt"),
        ("/a", "text/markdown", b"# Kettle", ".md"),
        ("/a", "application/json", b"{}", ".json"),
        ("/table", "text/csv", b"a,b", ".csv"),
        ("/v1.0", "text/html", html("<p>Release</p>").encode(), ".html"),
    ],
)
def test_the_content_determines_the_format(
    serve: Callable[..., Site], path: str, content_type: str | None, body: bytes, suffix: str
) -> None:
    site = serve({path: Answer(body, content_type=content_type)})

    result = only(crawl(f"{site.url}{path}"))

    assert isinstance(result, Fetched)
    assert result.record.suffix == suffix


@pytest.mark.parametrize(("content_type", "body"), [("image/png", b"\x89PNG"), ("font/woff2", b"x"), (None, b"\0\1")])
def test_a_named_page_in_an_unsupported_format_fails(
    serve: Callable[..., Site], content_type: str | None, body: bytes
) -> None:
    site = serve({"/a": Answer(body, content_type=content_type)})

    assert failure(crawl(f"{site.url}/a"))[0] == "unsupported"


@pytest.mark.parametrize(
    "page",
    [
        html('<div id="root"></div><script src="/app.js"></script>'),
        html('<div id="app">Loading...</div><script>start()</script>'),
        html("<noscript>You need to enable JavaScript to run this app.</noscript><div></div><script></script>"),
        html("<p>Please turn on JavaScript in your browser to continue.</p><script></script>"),
    ],
)
@pytest.mark.fault("needs-javascript")
def test_a_page_whose_text_needs_javascript_fails(serve: Callable[..., Site], page: str) -> None:
    site = serve({"/a": page})

    assert failure(crawl(f"{site.url}/a")) == (
        "needs_javascript",
        "the page needs JavaScript to show its text, and streamrag does not run JavaScript",
    )


@pytest.mark.parametrize(
    "page",
    [
        html("<h1>Hello</h1><p>A short note.</p><script src='/count.js'></script>"),
        html("<p>A note.</p><script></script><noscript>Please enable JavaScript to view the comments.</noscript>"),
        html(
            "<main><h1>Enable JavaScript</h1>" + "<p>How to enable it in every browser there is.</p>" * 20 + "</main>"
        ),
    ],
)
def test_a_page_that_contains_text_does_not_need_javascript(serve: Callable[..., Site], page: str) -> None:
    site = serve({"/a": page})

    assert [type(each) for each in crawl(f"{site.url}/a")] == [Fetched]
