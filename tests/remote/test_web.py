"""Fetching of web pages, from a real server on this machine."""

import gzip
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.remote.web.allowed_addresses import resolve
from streamrag_cli.remote.web.crawl import fetch_pages
from streamrag_cli.remote.web.results import (
    CrawlOptions,
    Failed,
    Fetched,
    Gone,
    LimitReached,
    PageRecord,
    PageResult,
    Skipped,
    Stopped,
    Unchanged,
)
from tests.support.pdf_bytes import pdf_bytes
from tests.support.web_site import (
    Answer,
    Page,
    Request,
    Site,
    article,
    dripping,
    endless_server,
    gzipped,
    html,
    redirect,
    web_site,
    with_etag,
)

PARSER = Loader()  # starting its process takes most of the time of a crawl


@pytest.fixture(scope="module", autouse=True)
def _stop_parser() -> Iterator[None]:
    yield
    PARSER.close()


def crawl(
    root: str,
    known: Mapping[str, PageRecord] | None = None,
    resolver: Callable[[str, int], list[str]] = resolve,
    **options: Any,
) -> list[PageResult]:
    values: dict[str, Any] = {"user_agent": "streamrag/test", "interval_s": 0.0, "timeout_s": 5.0} | options
    settings = CrawlOptions(**values)
    return list(fetch_pages(root, settings, known or {}, resolver=resolver, loader=PARSER))


def records(results: list[PageResult]) -> dict[str, PageRecord]:
    return {each.address: each.record for each in results if isinstance(each, Fetched | Unchanged)}


def outline(results: list[PageResult], site: Site) -> list[tuple[str, str]]:
    """The type of each result and its path."""
    return [
        (type(each).__name__, each.address.removeprefix(site.url))
        for each in results
        if not isinstance(each, LimitReached)
    ]


def only(results: list[PageResult]) -> PageResult:
    (result,) = results
    return result


def failure(results: list[PageResult]) -> tuple[str, str]:
    failed = results[0]
    assert isinstance(failed, Failed)
    return failed.code, failed.reason


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Serves the pages until the test ends."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def serve(pages: Mapping[str, Page], host: str = "127.0.0.1") -> Site:
            return stack.enter_context(web_site(pages, host))

        yield serve


def test_one_page_is_fetched_with_its_links_and_the_ids_of_its_headings(serve: Callable[..., Site]) -> None:
    site = serve({"/guide/": article("kettle", "more", "/elsewhere"), "/guide/more": article("tea")})

    result = only(crawl(f"{site.url}/guide/"))

    assert isinstance(result, Fetched)
    assert result.content.removeprefix(b"\xef\xbb\xbf").decode() == article("kettle", "more", "/elsewhere")
    assert (result.record.suffix, result.record.links) == (".html", (f"{site.url}/guide/more",))
    assert result.record.anchors == (("The kettle", "kettle"),)
    assert site.paths() == ["/guide/"]
    assert site.requests[-1].headers["user-agent"] == "streamrag/test"


def test_an_unchanged_page_costs_one_conditional_request(serve: Callable[..., Site]) -> None:
    site = serve({"/a": with_etag(article("kettle"), '"v1"')})
    known = records(crawl(f"{site.url}/a"))
    del site.requests[:]

    result = only(crawl(f"{site.url}/a", known))

    assert isinstance(result, Unchanged)
    assert [each.headers.get("if-none-match") for each in site.requests if each.path == "/a"] == ['"v1"']


def test_last_modified_is_sent_back(serve: Callable[..., Site]) -> None:
    date = "Tue, 03 Mar 2026 10:00:00 GMT"

    def page(request: Request) -> Answer:
        is_known = request.headers.get("if-modified-since") == date
        return Answer(status=304) if is_known else Answer(article("kettle"), headers={"Last-Modified": date})

    site = serve({"/a": page})
    known = records(crawl(f"{site.url}/a"))

    assert [type(each) for each in crawl(f"{site.url}/a", known)] == [Unchanged]


@pytest.mark.fault("hostile-web-server")
def test_validators_that_are_not_ascii_are_sent_back_unchanged(serve: Callable[..., Site]) -> None:
    site = serve({"/page": Answer(article("kettle"), headers={"ETag": '"é"', "Last-Modified": "août"})})
    first = crawl(f"{site.url}/page")

    second = crawl(f"{site.url}/page", records(first))

    assert outline(second, site) == [("Unchanged", "/page")]
    sent = site.requests[-1].headers
    assert (sent["if-none-match"], sent["if-modified-since"]) == ('"é"', "août")


def test_a_page_without_validators_is_compared_by_its_content_and_its_text(serve: Callable[..., Site]) -> None:
    page = article("kettle").replace("<main>", "<script>nonce = 1</script><main>").replace("detail", "detail " * 40)
    site = serve({"/a": page})
    known = records(crawl(f"{site.url}/a"))

    same = crawl(f"{site.url}/a", known)
    site.set_pages({"/a": page.replace("nonce = 1", "nonce = 2")})
    other_nonce = crawl(f"{site.url}/a", known)
    site.set_pages({"/a": page.replace("at work", "in the garden")})
    other_text = crawl(f"{site.url}/a", known)

    assert [type(only(each)) for each in (same, other_nonce, other_text)] == [Unchanged, Unchanged, Fetched]


@pytest.mark.parametrize("status", [404, 410])
def test_a_page_is_removed_after_two_consecutive_not_found_replies(serve: Callable[..., Site], status: int) -> None:
    site = serve({"/a": article("kettle")})
    known = records(crawl(f"{site.url}/a"))

    site.set_pages({"/a": Answer("missing", status)})
    first = only(crawl(f"{site.url}/a", known))
    assert isinstance(first, Failed)
    assert first.record is not None
    second = only(crawl(f"{site.url}/a", {f"{site.url}/a": first.record}))

    assert (first.code, first.record.missing, type(second)) == ("http_status", 1, Gone)


def test_a_page_that_returns_is_not_counted_as_missing_any_more(serve: Callable[..., Site]) -> None:
    site = serve({"/a": with_etag(article("kettle"), '"v1"')})
    known = {name: replace(record, missing=1) for name, record in records(crawl(f"{site.url}/a")).items()}

    assert [each.missing for each in records(crawl(f"{site.url}/a", known)).values()] == [0]


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_any_other_error_keeps_the_page(serve: Callable[..., Site], status: int) -> None:
    site = serve({"/a": article("kettle")})
    known = records(crawl(f"{site.url}/a"))
    site.set_pages({"/a": Answer("no", status)})

    result = only(crawl(f"{site.url}/a", known))

    assert isinstance(result, Failed)
    assert (result.code, result.record) == ("http_status", known[f"{site.url}/a"])


def test_a_request_is_repeated_after_the_delay_that_a_busy_server_requests(serve: Callable[..., Site]) -> None:
    answers = iter([Answer("busy", 429, {"Retry-After": "0"}), Answer(article("kettle"))])
    site = serve({"/a": lambda _: next(answers)})

    assert [type(each) for each in crawl(f"{site.url}/a")] == [Fetched]


@pytest.mark.fault("hostile-web-server")
@pytest.mark.fault("hostile-web-server")
@pytest.mark.parametrize("delay", ["9" * 5000, "\xb2", "-1", "soon"])
def test_an_unusable_delay_of_a_busy_server_is_ignored(serve: Callable[..., Site], delay: str) -> None:
    site = serve({"/page": Answer("busy", 503, {"Retry-After": delay})})

    (result,) = crawl(f"{site.url}/page")

    assert isinstance(result, Failed)
    assert (result.reason, result.code) == ("HTTP 503", "http_status")
    assert site.paths() == ["/page"]


def test_redirects_are_followed_ten_times(serve: Callable[..., Site]) -> None:
    hops = {f"/{n}": redirect(f"/{n + 1}") for n in range(30)}
    site = serve({**hops, "/10": article("kettle"), "/loop": redirect("/loop")})

    fetched, too_many, loop = (crawl(f"{site.url}{path}") for path in ("/0", "/11", "/loop"))

    assert [type(each) for each in fetched] == [Fetched]
    assert failure(too_many) == failure(loop) == ("too_many_redirects", "the page redirects more than 10 times")


@pytest.mark.parametrize("target", ["ftp://h/x", "file:///etc/passwd", "http://ada:pw@h/", "http://[::1", "data:,x"])
def test_a_redirect_to_an_unsupported_address_fails(serve: Callable[..., Site], target: str) -> None:
    site = serve({"/a": redirect(target)})

    assert failure(crawl(f"{site.url}/a"))[0] == "bad_redirect"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "127.2", "0x7f.0.0.2", "[::ffff:127.0.0.1]", "2130706434"])
@pytest.mark.fault("private-address")
def test_a_redirect_to_a_private_address_is_blocked(serve: Callable[..., Site], host: str) -> None:
    other = serve({"/secret": article("vault")}, "0.0.0.0")
    site = serve({"/a": redirect(other.url.replace("0.0.0.0", host) + "/secret")})

    code, reason = failure(crawl(f"{site.url}/a"))

    assert (code, other.requests) == ("blocked_address", [])
    assert "only an address in the URL itself may be private" in reason


@pytest.mark.fault("private-address")
def test_a_redirect_to_another_service_of_the_same_private_host_is_blocked(serve: Callable[..., Site]) -> None:
    other = serve({"/secret": article("vault")})
    site = serve({"/a": redirect(f"{other.url}/secret")})

    code, reason = failure(crawl(f"{site.url}/a"))

    assert code == "blocked_address"
    assert reason.startswith(f"the page redirects to {other.url}: 127.0.0.1 is not a public address;")
    assert other.requests == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.100.100.200", "::1", "fd00::1"])
@pytest.mark.fault("private-address")
def test_a_name_that_resolves_to_a_private_address_is_blocked(serve: Callable[..., Site], address: str) -> None:
    site = serve({"/a": article("vault")})
    root = site.url.replace("127.0.0.1", "public.example") + "/a"

    code, reason = failure(crawl(root, resolver=lambda _host, _port: [address]))

    assert (code, site.requests) == ("blocked_address", [])
    assert reason.startswith(f"public.example resolves to {address}, which is not a public address")


@pytest.mark.fault("private-address")
def test_the_name_is_resolved_once_and_only_checked_addresses_are_connected_to(serve: Callable[..., Site]) -> None:
    site = serve({"/a": article("vault")})
    resolved: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        resolved.append(host)
        return ["192.0.2.1", "127.0.0.1"]  # the first is for documentation: not public either

    root = site.url.replace("127.0.0.1", "rebind.example") + "/a"

    assert failure(crawl(root, resolver=rebinding))[0] == "blocked_address"
    assert (resolved, site.requests) == (["rebind.example"], [])


def test_localhost_is_allowed_if_the_user_names_it(serve: Callable[..., Site]) -> None:
    site = serve({"/a": article("kettle")})

    assert [type(each) for each in crawl(site.url.replace("127.0.0.1", "localhost") + "/a")] == [Fetched]


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "127.0.0.1", "localhost"])
def test_the_host_header_is_the_host_of_the_address(serve: Callable[..., Site], host: str) -> None:
    site = serve({"/a": article("kettle")})
    root = site.url.replace("127.0.0.1", host)

    assert [type(each) for each in crawl(f"{root}/a")] == [Fetched]
    assert {each.headers["host"] for each in site.requests} == {root.removeprefix("http://")}


@pytest.mark.fault("hostile-web-server")
def test_a_slow_reply_ends_at_the_time_limit(serve: Callable[..., Site]) -> None:
    def stalls(_: Request) -> Answer:
        time.sleep(3)
        return Answer()

    site = serve({"/a": Answer("<p>", pieces=dripping), "/b": stalls})
    began = time.monotonic()

    drips, stalled = (failure(crawl(f"{site.url}{path}", timeout_s=0.5)) for path in ("/a", "/b"))

    assert drips == stalled == ("timed_out", "the reply was not complete within 0.5 s")
    assert time.monotonic() - began < 4


@pytest.mark.fault("hostile-web-server")
def test_a_large_reply_is_not_read(serve: Callable[..., Site]) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    announced = Answer("", headers={"Content-Length": "99999999999"})
    site = serve({"/endless": Answer(pieces=endless), "/announced": announced})

    for path in ("/endless", "/announced"):
        assert failure(crawl(f"{site.url}{path}", max_bytes=1_000_000)) == ("too_large", "the page is larger than 1 MB")


@pytest.mark.fault("hostile-web-server")
@pytest.mark.parametrize("endless", ["interim replies", "long chunk extensions"])
def test_bytes_that_are_not_content_do_not_extend_the_time_limit(endless: str) -> None:
    first, block = {
        "interim replies": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "long chunk extensions": (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n",
            (b"1;" + b"x" * 4000 + b"\r\na\r\n") * 10,
        ),
    }[endless]

    with endless_server(first, block) as url:
        began = time.monotonic()
        result = failure(crawl(f"{url}/a", timeout_s=0.5))

    assert result == ("timed_out", "the reply was not complete within 0.5 s")
    assert time.monotonic() - began < 5


@pytest.mark.fault("hostile-web-server")
def test_compressed_data_without_content_ends_at_the_size_limit(serve: Callable[..., Site]) -> None:
    def empty_members() -> Iterator[bytes]:
        while True:
            yield gzip.compress(b"") * 2000

    site = serve({"/a": Answer(pieces=empty_members, headers={"Content-Encoding": "gzip"})})

    assert failure(crawl(f"{site.url}/a", max_bytes=1_000_000, timeout_s=2.0)) == (
        "too_large",
        "the page is larger than 1 MB",
    )


@pytest.mark.fault("hostile-web-server")
def test_a_decompression_bomb_is_not_expanded(serve: Callable[..., Site]) -> None:
    bomb = gzip.compress(bytes(300_000_000), 1)
    twice = gzip.compress(gzip.compress(bytes(100_000_000)))
    site = serve({
        "/bomb": Answer(bomb, headers={"Content-Encoding": "gzip"}),
        "/twice": Answer(twice, headers={"Content-Encoding": "gzip, gzip"}),
        "/zlib": Answer(zlib.compress(bytes(50_000_000)), headers={"Content-Encoding": "deflate"}),
    })  # fmt: skip
    import tracemalloc

    tracemalloc.start()
    try:
        for path in ("/bomb", "/twice", "/zlib"):
            assert failure(crawl(f"{site.url}{path}", max_bytes=2_000_000))[0] == "too_large"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 20_000_000


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
def test_an_unrequested_incomplete_or_damaged_compression_fails(serve: Callable[..., Site]) -> None:
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
def test_other_formats_fail_if_they_are_named(
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
        "the page shows its text only with JavaScript, which is not run",
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
def test_a_page_with_text_of_its_own_does_not_need_javascript(serve: Callable[..., Site], page: str) -> None:
    site = serve({"/a": page})

    assert [type(each) for each in crawl(f"{site.url}/a")] == [Fetched]


@pytest.mark.fault("web-login")
def test_credentials_come_from_netrc_for_the_named_host_only(serve: Callable[..., Site], tmp_path: Path) -> None:
    other = serve({"/b": article("vault")}, "127.0.0.2")
    site = serve({"/a": article("kettle"), "/away": redirect(f"{other.url}/b")})
    netrc = tmp_path / ".netrc"
    netrc.write_text(
        "machine 127.0.0.1 login ada password pw\nmachine 127.0.0.2 login bob password pw\ndefault login x password y\n"
    )

    crawl(f"{site.url}/a", netrc=netrc)
    crawl(f"{other.url.replace('127.0.0.2', 'localhost')}/b", netrc=netrc)
    crawl(f"{site.url}/away", netrc=netrc)

    assert {each.headers.get("authorization") for each in site.requests} == {"Basic YWRhOnB3"}
    assert {each.headers.get("authorization") for each in other.requests} <= {None}


def test_cookies_are_not_kept(serve: Callable[..., Site]) -> None:
    page = Answer(article("kettle", "b"), headers={"Set-Cookie": "id=1; Path=/"})
    site = serve({"/": page, "/b": article("tea")})

    crawl(f"{site.url}/", follow=True)

    assert "/b" in site.paths()
    assert [each.headers.get("cookie") for each in site.requests] == [None] * len(site.requests)


def test_proxies_of_the_environment_are_not_used(serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, site = serve({}), serve({"/a": article("kettle")})
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)

    assert [type(each) for each in crawl(f"{site.url}/a")] == [Fetched]
    assert proxy.requests == []


def test_a_server_that_cannot_be_reached_keeps_every_page(serve: Callable[..., Site]) -> None:
    with web_site({"/": article("kettle", "b", "c"), "/b": article("tea"), "/c": article("cup")}) as site:
        known = records(crawl(f"{site.url}/", follow=True))

    results = crawl(f"{site.url}/", known, follow=True)

    assert outline(results, site) == [("Failed", "/"), ("Stopped", "/")]
    assert failure(results) == ("unreachable", f"cannot connect to {site.url}")


@pytest.mark.fault("site-unreachable")
def test_a_server_that_stops_responding_ends_the_crawl(serve: Callable[..., Site]) -> None:
    hangs = Answer("", pieces=dripping)
    pages: dict[str, Page] = {f"/{n}": hangs for n in range(20)}
    site = serve({"/": article("kettle", *(f"/{n}" for n in range(20))), **pages})

    results = crawl(f"{site.url}/", timeout_s=0.2, follow=True)

    assert [type(each) for each in results] == [Fetched, Failed, Failed, Failed, Stopped]


class TestFollow:
    def test_links_below_the_address_are_followed(self, serve: Callable[..., Site]) -> None:
        site = serve({
            "/guide/": article("kettle", "a", "/guide/b?x=1&utm_source=mail#part", "../other", "/guidebook", "a#top",
                               "mailto:a@b", "pic.png", "//127.0.0.2/guide/c", "javascript:go()"),
            "/guide/a": article("tea", "/guide/", "./d/../e/"),
            "/guide/b?x=1": article("cup"),
            "/guide/e/": article("spoon"),
            "*": article("unwanted page"),
        })  # fmt: skip

        results = crawl(f"{site.url}/guide/", follow=True)

        assert outline(results, site) == [
            ("Fetched", "/guide/"), ("Fetched", "/guide/a"), ("Fetched", "/guide/e/"), ("Fetched", "/guide/b?x=1"),
        ]  # fmt: skip

    def test_a_second_crawl_requests_every_page_once(self, serve: Callable[..., Site]) -> None:
        names = [f"p{n}" for n in range(30)]
        pages: dict[str, Page] = {f"/g/{name}": with_etag(article(name, *names), f'"{name}"') for name in names}
        site = serve({"/g/": with_etag(article("kettle", "/g", *names), '"0"'), "/g": redirect("/g/"), **pages})
        first = crawl(f"{site.url}/g/", follow=True)
        aliases = {each.same_as: each.address for each in first if isinstance(each, Skipped)}
        known = {
            name: replace(record, aliases=(aliases[name],) if name in aliases else ())
            for name, record in records(first).items()
        }
        del site.requests[:]

        results = crawl(f"{site.url}/g/", known, follow=True)

        assert {type(each) for each in results} == {Unchanged}
        assert sorted(site.paths()) == sorted(["/g/", *(f"/g/{name}" for name in names)])

    def test_a_crawl_that_was_interrupted_continues(self, serve: Callable[..., Site]) -> None:
        site = serve({"/": article("kettle", "a", "b"), "/a": article("tea"), "/b": article("cup")})
        began = time.time()
        pages = fetch_pages(f"{site.url}/", CrawlOptions(user_agent="x", follow=True, interval_s=0), {})
        known = records([next(pages), next(pages)])
        pages.close()  # type: ignore[attr-defined]
        del site.requests[:]

        results = crawl(f"{site.url}/", known, resume_from=began, follow=True)

        assert outline(results, site) == [("Unchanged", "/"), ("Unchanged", "/a"), ("Fetched", "/b")]
        assert site.paths() == ["/b"]

    @pytest.mark.fault("endless-site")
    def test_the_number_of_pages_is_limited(self, serve: Callable[..., Site]) -> None:
        def month(request: Request) -> Answer:
            number = int(request.path.rpartition("/")[2] or 0)
            return Answer(article(f"month {number}", f"/calendar/{number + 1}", f"/calendar/{number + 2}"))

        site = serve({"/": article("kettle", "/calendar/0", "/last"), "/last": article("end"), "*": month})

        results = crawl(f"{site.url}/", max_pages=20, follow=True)

        assert sum(isinstance(each, Fetched) for each in results) == 20
        assert results[-1] == LimitReached(pages=20, left=2)
        assert ("Fetched", "/last") in outline(results, site)

    @pytest.mark.fault("endless-site")
    def test_a_crawl_of_links_to_the_same_page_ends(self, serve: Callable[..., Site]) -> None:
        def same(request: Request) -> Answer:
            return Answer(
                article("kettle").replace("detail", "detail " * 50)
                + f"<a href='?n={len(request.path)}{request.path[-3:]}'>"
            )

        site = serve({"*": same})

        results = crawl(f"{site.url}/x", max_pages=50, follow=True)

        assert sum(isinstance(each, Fetched) for each in results) == 1
        assert len(results) < 10

    @pytest.mark.fault("endless-site")
    def test_a_crawl_of_looping_relative_links_ends(self, serve: Callable[..., Site]) -> None:
        site = serve({"*": lambda request: Answer(article(request.path, "a/b/"))})

        results = crawl(f"{site.url}/x/", max_pages=100, follow=True)

        assert outline(results, site)[-1] == ("Fetched", "/x/a/b/a/b/")

    def test_the_sitemap_names_pages_that_nothing_links_to(self, serve: Callable[..., Site]) -> None:
        part = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{}</urlset>'
        site = serve({"/g/": article("kettle"), "/g/a": article("tea"), "/g/b": article("cup"), "/other": article("x")})
        index = f"<sitemapindex><sitemap><loc>{site.url}/part.xml.gz</loc></sitemap></sitemapindex>"
        locations = "".join(f"<url><loc> {site.url}{path} </loc></url>" for path in ("/g/a", "/g/b", "/other"))
        site.set_pages({
            "/sitemap.xml": Answer(index, content_type="application/xml"),
            "/part.xml.gz": Answer(gzip.compress(part.format(locations).encode()), content_type="application/gzip"),
        })  # fmt: skip

        assert outline(crawl(f"{site.url}/g/", follow=True), site) == [
            ("Fetched", "/g/"), ("Fetched", "/g/a"), ("Fetched", "/g/b"),
        ]  # fmt: skip

    def test_robots_txt_is_obeyed_and_names_sitemaps(self, serve: Callable[..., Site]) -> None:
        site = serve({"/": article("kettle", "/private/x", "/a"), "/a": article("tea"), "/private/x": article("vault")})
        rules = f"User-agent: *\nDisallow: /a\n\nUser-agent: streamrag\nDisallow: /private\nSitemap: {site.url}/map.txt"
        site.set_pages(
            {
                "/robots.txt": Answer(rules, content_type="text/plain"),
                "/map.txt": Answer(f"{site.url}/c"),
                "/c": article("cup"),
            }
        )

        results = crawl(f"{site.url}/", follow=True)

        assert outline(results, site) == [
            ("Fetched", "/"),
            ("Skipped", "/private/x"),
            ("Fetched", "/a"),
            ("Fetched", "/c"),
        ]
        assert failure(crawl(f"{site.url}/private/x"))[0] == "robots"
        assert "/private/x" not in site.paths()

    def test_a_site_whose_rules_cannot_be_read_is_not_fetched(self, serve: Callable[..., Site]) -> None:
        site = serve({"/": article("kettle"), "/robots.txt": Answer("", 503)})

        assert failure(crawl(f"{site.url}/")) == ("robots", f"{site.url}/robots.txt: HTTP 503")
        assert site.paths() == []

    def test_base_href_and_canonical_links_are_used(self, serve: Callable[..., Site]) -> None:
        canonical = '<link rel="canonical" href="/g/page"><base href="/g/deep/">'
        site = serve({
            "/g/": article("kettle", "/g/page?print=1"),
            "/g/page?print=1": html("<h1>Tea</h1><p>Tea for print.</p><a href='leaf'>leaf</a>", head=canonical),
            "/g/page": html("<h1>Tea</h1><p>Tea.</p><a href='leaf'>leaf</a>", head=canonical),
            "/g/deep/leaf": html("<p>Leaf</p>", head='<link rel="canonical" href="/g/">'),
        })  # fmt: skip

        assert outline(crawl(f"{site.url}/g/", follow=True), site) == [
            ("Fetched", "/g/"), ("Skipped", "/g/page?print=1"), ("Fetched", "/g/page"), ("Fetched", "/g/deep/leaf"),
        ]  # fmt: skip

    def test_redirects_below_the_address_give_the_page_its_final_address(self, serve: Callable[..., Site]) -> None:
        site = serve({
            "/": redirect("/en/"), "/en/": article("kettle", "old", "away", "gone", "/en"), "/en": redirect("/en/"),
            "/en/old": redirect("new"), "/en/new": article("tea"), "/en/away": redirect("http://192.0.2.1/"),
        })  # fmt: skip

        assert outline(crawl(f"{site.url}/", follow=True), site) == [
            ("Fetched", "/en/"), ("Fetched", "/en/new"), ("Failed", "/en/away"), ("Skipped", "/en/gone"),
            ("Skipped", "/en"),
        ]  # fmt: skip

    def test_a_root_that_redirects_elsewhere_fails_and_names_the_new_address(self, serve: Callable[..., Site]) -> None:
        site = serve({"/guide/": redirect("/manual/"), "/manual/": article("kettle")})

        assert failure(crawl(f"{site.url}/guide/", follow=True)) == (
            "moved",
            f"the page redirects to {site.url}/manual/, which is not below this address; ingest that address instead",
        )

    def test_excluded_pages_are_not_requested(self, serve: Callable[..., Site]) -> None:
        site = serve({"/g/": article("kettle", "a", "v1/b"), "/g/a": article("tea"), "/g/v1/b": article("cup")})

        results = crawl(f"{site.url}/g/", is_excluded=lambda path: path.startswith("v1/"), follow=True)

        assert outline(results, site) == [("Fetched", "/g/"), ("Fetched", "/g/a"), ("Skipped", "/g/v1/b")]
        assert "/g/v1/b" not in site.paths()

    def test_a_known_page_that_is_no_longer_linked_is_still_checked(self, serve: Callable[..., Site]) -> None:
        site = serve({"/": article("kettle", "a"), "/a": article("tea")})
        known = records(crawl(f"{site.url}/", follow=True))
        site.set_pages({"/": article("kettle"), "/a": Answer("gone", 410)})

        results = crawl(f"{site.url}/", known, follow=True)

        assert outline(results, site) == [("Fetched", "/"), ("Failed", "/a")]

    def test_links_with_credentials_or_tokens_are_not_followed(self, serve: Callable[..., Site]) -> None:
        site = serve({"*": article("kettle", "/a?token=abc", "/b?page=2&X-Amz-Signature=f", "http://u:p@127.0.0.1/c")})

        assert outline(crawl(f"{site.url}/", follow=True), site) == [("Fetched", "/")]

    @pytest.mark.fault("secret-in-redirect")
    def test_a_credential_in_a_redirect_is_neither_stored_nor_shown(self, serve: Callable[..., Site]) -> None:
        site = serve({
            "/guide/": article("kettle", "/guide/tea"),
            "/guide/tea": redirect("/guide/cup?token=heron42"),
            "/guide/cup?token=heron42": article("cup"),
            "/old/": redirect("/login?page=2&X-Amz-Signature=heron42"),
            "*": article("login"),
        })  # fmt: skip

        below = crawl(f"{site.url}/guide/", follow=True)
        moved = crawl(f"{site.url}/old/", follow=True)

        assert outline(below, site) == [("Fetched", "/guide/"), ("Fetched", "/guide/tea")]
        assert failure(moved)[1].startswith(f"the page redirects to {site.url}/login, which is not below")
        assert "heron42" not in repr([*below, *moved])

    def test_two_requests_a_second_are_sent_to_a_host(self, serve: Callable[..., Site]) -> None:
        site = serve({"/": article("kettle", "a"), "/a": article("tea")})
        began = time.monotonic()

        crawl(f"{site.url}/", interval_s=0.1, follow=True)

        assert time.monotonic() - began >= 0.1 * (len(site.requests) - 1)
        assert CrawlOptions(user_agent="x").interval_s == 0.5

    def test_a_site_of_300_pages_is_fetched_whole(self, serve: Callable[..., Site]) -> None:
        pages: dict[str, Page] = {f"/s/{n}": article(f"topic{n}", f"{2 * n + 1}", f"{2 * n + 2}") for n in range(300)}
        site = serve({**pages, "/s/": article("start", "0")})

        results = crawl(f"{site.url}/s/", follow=True)

        assert sum(isinstance(each, Fetched) for each in results) == 301


def test_an_unreachable_start_page_stops_the_crawl(serve: Callable[..., Site]) -> None:
    assert [type(each) for each in crawl("http://no-such-host.invalid/", resolver=_unknown, follow=True)] == [
        Failed,
        Stopped,
    ]


def _unknown(_host: str, _port: int) -> list[str]:
    raise OSError("unknown")
