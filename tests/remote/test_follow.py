"""Crawls that follow links."""

import gzip
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from streamrag_cli.remote.web.crawl import fetch_pages
from streamrag_cli.remote.web.results import (
    CrawlOptions,
    Failed,
    Fetched,
    LimitReached,
    Skipped,
    Stopped,
    Unchanged,
)
from tests.support.crawls import crawl, failure, outline, records
from tests.support.web_site import (
    Answer,
    Page,
    Request,
    Site,
    article,
    html,
    redirect,
    with_etag,
)


def test_links_below_the_address_are_followed(serve: Callable[..., Site]) -> None:
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


def test_a_second_crawl_requests_every_page_once(serve: Callable[..., Site]) -> None:
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


def test_a_crawl_that_was_interrupted_continues(serve: Callable[..., Site]) -> None:
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
def test_the_number_of_pages_is_limited(serve: Callable[..., Site]) -> None:
    def month(request: Request) -> Answer:
        number = int(request.path.rpartition("/")[2] or 0)
        return Answer(article(f"month {number}", f"/calendar/{number + 1}", f"/calendar/{number + 2}"))

    site = serve({"/": article("kettle", "/calendar/0", "/last"), "/last": article("end"), "*": month})

    results = crawl(f"{site.url}/", max_pages=20, follow=True)

    assert sum(isinstance(each, Fetched) for each in results) == 20
    assert results[-1] == LimitReached(pages=20, left=2)
    assert ("Fetched", "/last") in outline(results, site)


@pytest.mark.fault("endless-site")
def test_a_crawl_of_links_to_the_same_page_terminates(serve: Callable[..., Site]) -> None:
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
def test_a_crawl_of_looping_relative_links_terminates(serve: Callable[..., Site]) -> None:
    site = serve({"*": lambda request: Answer(article(request.path, "a/b/"))})

    results = crawl(f"{site.url}/x/", max_pages=100, follow=True)

    assert outline(results, site)[-1] == ("Fetched", "/x/a/b/a/b/")


def test_pages_listed_only_in_the_sitemap_are_fetched(serve: Callable[..., Site]) -> None:
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


def test_robots_txt_is_obeyed_and_its_sitemaps_are_read(serve: Callable[..., Site]) -> None:
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


def test_a_site_whose_rules_cannot_be_read_is_not_fetched(serve: Callable[..., Site]) -> None:
    site = serve({"/": article("kettle"), "/robots.txt": Answer("", 503)})

    assert failure(crawl(f"{site.url}/")) == ("robots", f"{site.url}/robots.txt: HTTP 503")
    assert site.paths() == []


def test_base_href_and_canonical_links_are_used(serve: Callable[..., Site]) -> None:
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


def test_a_page_that_redirects_below_the_root_gets_its_final_address(serve: Callable[..., Site]) -> None:
    site = serve({
        "/": redirect("/en/"), "/en/": article("kettle", "old", "away", "gone", "/en"), "/en": redirect("/en/"),
        "/en/old": redirect("new"), "/en/new": article("tea"), "/en/away": redirect("http://192.0.2.1/"),
    })  # fmt: skip

    assert outline(crawl(f"{site.url}/", follow=True), site) == [
        ("Fetched", "/en/"), ("Fetched", "/en/new"), ("Failed", "/en/away"), ("Skipped", "/en/gone"),
        ("Skipped", "/en"),
    ]  # fmt: skip


def test_a_root_that_redirects_elsewhere_fails_and_names_the_new_address(serve: Callable[..., Site]) -> None:
    site = serve({"/guide/": redirect("/manual/"), "/manual/": article("kettle")})

    assert failure(crawl(f"{site.url}/guide/", follow=True)) == (
        "moved",
        f"the page redirects to {site.url}/manual/, which is not below the ingested address; ingest that page instead",
    )


def test_excluded_pages_are_not_requested(serve: Callable[..., Site]) -> None:
    site = serve({"/g/": article("kettle", "a", "v1/b"), "/g/a": article("tea"), "/g/v1/b": article("cup")})

    results = crawl(f"{site.url}/g/", is_excluded=lambda path: path.startswith("v1/"), follow=True)

    assert outline(results, site) == [("Fetched", "/g/"), ("Fetched", "/g/a"), ("Skipped", "/g/v1/b")]
    assert "/g/v1/b" not in site.paths()


def test_a_known_page_that_is_no_longer_linked_is_still_checked(serve: Callable[..., Site]) -> None:
    site = serve({"/": article("kettle", "a"), "/a": article("tea")})
    known = records(crawl(f"{site.url}/", follow=True))
    site.set_pages({"/": article("kettle"), "/a": Answer("gone", 410)})

    results = crawl(f"{site.url}/", known, follow=True)

    assert outline(results, site) == [("Fetched", "/"), ("Failed", "/a")]


def test_links_with_credentials_or_tokens_are_not_followed(serve: Callable[..., Site]) -> None:
    site = serve({"*": article("kettle", "/a?token=abc", "/b?page=2&X-Amz-Signature=f", "http://u:p@127.0.0.1/c")})

    assert outline(crawl(f"{site.url}/", follow=True), site) == [("Fetched", "/")]


@pytest.mark.fault("secret-in-redirect")
def test_a_credential_in_a_redirect_is_neither_stored_nor_shown(serve: Callable[..., Site]) -> None:
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


def test_a_host_receives_at_most_two_requests_per_second(serve: Callable[..., Site]) -> None:
    site = serve({"/": article("kettle", "a"), "/a": article("tea")})
    began = time.monotonic()

    crawl(f"{site.url}/", interval_s=0.1, follow=True)

    assert time.monotonic() - began >= 0.1 * (len(site.requests) - 1)
    assert CrawlOptions(user_agent="x").interval_s == 0.5


def test_a_site_of_300_pages_is_fetched_completely(serve: Callable[..., Site]) -> None:
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
