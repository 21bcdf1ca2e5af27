"""Fetching single web pages from a real server on this machine."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.remote.web.results import (
    Failed,
    Fetched,
    Gone,
    Stopped,
    Unchanged,
)
from tests.support.crawls import crawl, failure, only, outline, records
from tests.support.web_site import (
    Answer,
    Page,
    Request,
    Site,
    article,
    dripping,
    redirect,
    web_site,
    with_etag,
)


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


def test_the_last_modified_header_is_sent_back(serve: Callable[..., Site]) -> None:
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


def test_a_page_that_reappears_does_not_count_as_missing(serve: Callable[..., Site]) -> None:
    site = serve({"/a": with_etag(article("kettle"), '"v1"')})
    known = {name: replace(record, missing=1) for name, record in records(crawl(f"{site.url}/a")).items()}

    assert [each.missing for each in records(crawl(f"{site.url}/a", known)).values()] == [0]


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_an_error_other_than_not_found_does_not_remove_the_page(serve: Callable[..., Site], status: int) -> None:
    site = serve({"/a": article("kettle")})
    known = records(crawl(f"{site.url}/a"))
    site.set_pages({"/a": Answer("no", status)})

    result = only(crawl(f"{site.url}/a", known))

    assert isinstance(result, Failed)
    assert (result.code, result.record) == ("http_status", known[f"{site.url}/a"])


def test_a_request_to_a_busy_server_is_repeated_after_the_requested_delay(serve: Callable[..., Site]) -> None:
    answers = iter([Answer("busy", 429, {"Retry-After": "0"}), Answer(article("kettle"))])
    site = serve({"/a": lambda _: next(answers)})

    assert [type(each) for each in crawl(f"{site.url}/a")] == [Fetched]


@pytest.mark.fault("hostile-web-server")
@pytest.mark.fault("hostile-web-server")
@pytest.mark.parametrize("delay", ["9" * 5000, "\xb2", "-1", "soon"])
def test_an_unusable_delay_requested_by_a_busy_server_is_ignored(serve: Callable[..., Site], delay: str) -> None:
    site = serve({"/page": Answer("busy", 503, {"Retry-After": delay})})

    (result,) = crawl(f"{site.url}/page")

    assert isinstance(result, Failed)
    assert (result.reason, result.code) == ("HTTP 503", "http_status")
    assert site.paths() == ["/page"]


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


def test_proxies_set_in_the_environment_are_not_used(
    serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, site = serve({}), serve({"/a": article("kettle")})
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)

    assert [type(each) for each in crawl(f"{site.url}/a")] == [Fetched]
    assert proxy.requests == []


def test_no_page_is_removed_if_the_server_cannot_be_reached(serve: Callable[..., Site]) -> None:
    with web_site({"/": article("kettle", "b", "c"), "/b": article("tea"), "/c": article("cup")}) as site:
        known = records(crawl(f"{site.url}/", follow=True))

    results = crawl(f"{site.url}/", known, follow=True)

    assert outline(results, site) == [("Failed", "/"), ("Stopped", "/")]
    assert failure(results) == ("unreachable", f"cannot connect to {site.url}")


@pytest.mark.fault("site-unreachable")
def test_a_crawl_stops_if_the_server_stops_responding(serve: Callable[..., Site]) -> None:
    hangs = Answer("", pieces=dripping)
    pages: dict[str, Page] = {f"/{n}": hangs for n in range(20)}
    site = serve({"/": article("kettle", *(f"/{n}" for n in range(20))), **pages})

    results = crawl(f"{site.url}/", timeout_s=0.2, follow=True)

    assert [type(each) for each in results] == [Fetched, Failed, Failed, Failed, Stopped]
