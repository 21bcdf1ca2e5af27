"""Ingests of web pages: what happens to the documents in the store."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.events import Notice
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.ingest.pipeline import ingest
from tests.support.ingests import Ingests
from tests.support.pdf_bytes import pdf_bytes
from tests.support.warm_command_line import WarmCommandLine
from tests.support.web_site import (
    Answer,
    Page,
    Request,
    Site,
    article,
    html,
    redirect,
    self_signed_certificate,
    web_site,
    with_etag,
)

NAVIGATION = '<nav><a href="/guide/">Home</a> <a href="/login">Sign in</a></nav>'
BANNER = '<div class="cookie-banner">We use cookies. <button>Accept</button></div>'
FOOTER = "<footer>Copyright 2026 The kettle company</footer>"


@pytest.fixture
def pages(ingests: Ingests) -> Ingests:
    """Ingests that do not wait between two requests."""
    return replace(ingests, limits=IngestLimits(request_interval_s=0))


@pytest.fixture
def site() -> Iterator[Site]:
    guide: dict[str, Page] = {
        "/guide/": with_etag(article("kettle", "tea", "cup"), '"k"'),
        "/guide/tea": with_etag(article("tea"), '"t"'),
        "/guide/cup": article("cup"),
    }
    with web_site(guide) as site:
        yield site


def short(actions: dict[str, str], site: Site) -> dict[str, str]:
    return {source.removeprefix(site.url): action for source, action in actions.items()}


def failure(ingests: Ingests) -> tuple[str, str]:
    [failed] = [each for each in ingests.events if getattr(each, "action", "") == "failed"]
    return getattr(failed, "code", ""), getattr(failed, "reason", "")


def copies(ingests: Ingests) -> list[Path]:
    return [each for each in Path(ingests.settings.state_directory).rglob("*") if each.is_file()]


def test_a_page_is_ingested_without_its_navigation_banner_and_footer(pages: Ingests) -> None:
    body = f"{NAVIGATION}{BANNER}<main><h1>Kettle</h1><p>Descale the kettle with vinegar.</p></main>{FOOTER}"
    with web_site({"/kettle": html(body)}) as site:
        assert short(pages.run(f"{site.url}/kettle"), site) == {"/kettle": "added"}

    assert list(pages.stored().values()) == ["# Kettle\n\nDescale the kettle with vinegar."]


def test_the_follow_flag_ingests_linked_pages_and_is_remembered_by_later_runs(pages: Ingests, site: Site) -> None:
    first = pages.run(f"{site.url}/guide/", follow=True)
    site.set_pages({"/guide/cup": article("cup", "spoon"), "/guide/spoon": article("spoon")})
    named = pages.run(f"{site.url}/guide/")
    site.set_pages({"/guide/spoon": article("fork")})
    everything = pages.run()

    assert short(first, site) == {"/guide/": "added", "/guide/tea": "added", "/guide/cup": "added"}
    assert short(named, site) == {
        "/guide/": "unchanged", "/guide/tea": "unchanged", "/guide/cup": "changed", "/guide/spoon": "added",
    }  # fmt: skip
    assert short(everything, site)["/guide/spoon"] == "changed"


def test_the_no_follow_flag_removes_the_linked_pages(pages: Ingests, site: Site) -> None:
    pages.run(f"{site.url}/guide/", follow=True)

    assert short(pages.run(f"{site.url}/guide/", follow=False), site) == {
        "/guide/": "unchanged", "/guide/tea": "deleted", "/guide/cup": "deleted",
    }  # fmt: skip


def test_an_unchanged_page_is_requested_only_once(pages: Ingests, site: Site) -> None:
    pages.run(f"{site.url}/guide/tea")
    del site.requests[:]

    assert short(pages.run(), site) == {"/guide/tea": "unchanged"}
    assert site.paths() == ["/guide/tea"]


@pytest.mark.fault("page-gone")
def test_a_page_is_removed_when_it_is_missing_twice_in_a_row(pages: Ingests, site: Site) -> None:
    pages.run(f"{site.url}/guide/", follow=True)
    site.set_pages({"/guide/tea": Answer("gone", 410)})

    first = short(pages.run(), site)
    dry = short(pages.run(dry_run=True), site)
    second = short(pages.run(), site)
    third = short(pages.run(), site)

    assert (first["/guide/tea"], dry["/guide/tea"], second["/guide/tea"]) == ("unchanged", "deleted", "deleted")
    assert third == {"/guide/": "unchanged", "/guide/cup": "unchanged", "/guide/tea": "skipped"}
    assert len(pages.stored()) == 2


@pytest.mark.fault("page-fails")
@pytest.mark.parametrize(
    "answer", [Answer("down", 500), Answer("no", 403), html('<div id="root"></div><script></script>')]
)
def test_a_page_that_fails_keeps_its_stored_version(pages: Ingests, site: Site, answer: Page) -> None:
    pages.run(f"{site.url}/guide/tea")
    stored = pages.stored()
    site.set_pages({"/guide/tea": answer})

    pages.run()

    assert failure(pages)[0] in {"http_status", "needs_javascript"}
    assert pages.done.counts["failed"] == 1
    pages.run(rebuild=True)
    assert pages.stored() == stored


@pytest.mark.fault("site-unreachable")
def test_documents_stay_if_the_site_cannot_be_reached(pages: Ingests) -> None:
    with web_site({"/": article("kettle", "tea"), "/tea": article("tea")}) as site:
        pages.run(f"{site.url}/", follow=True)
    stored = pages.stored()

    pages.run()
    assert failure(pages) == ("unreachable", f"cannot connect to {site.url}")
    pages.run(rebuild=True)

    assert pages.stored() == stored
    assert len(stored) == 2


def test_a_new_page_that_cannot_be_fetched_is_not_recorded(pages: Ingests, site: Site) -> None:
    pages.run(f"{site.url}/missing")
    assert failure(pages) == ("http_status", "HTTP 404")

    pages.run()

    assert pages.error.code == "no_path"
    assert copies(pages) == []


def test_a_dry_run_fetches_but_stores_nothing(pages: Ingests, site: Site) -> None:
    assert short(pages.run(f"{site.url}/guide/", follow=True, dry_run=True), site)["/guide/tea"] == "added"

    assert copies(pages) == []
    assert not pages.store.exists()


def test_removed_pages_leave_no_copies(pages: Ingests, site: Site) -> None:
    pages.run(f"{site.url}/guide/", follow=True)
    assert all(each.stat().st_mode & 0o077 == 0 for each in copies(pages))

    pages.remove(f"{site.url}/guide/")

    assert (pages.stored(), copies(pages)) == ({}, [])


@pytest.mark.fault("crawl-interrupted")
def test_an_interrupted_crawl_continues_where_it_stopped(pages: Ingests, site: Site) -> None:
    def interrupt(number: int, _address: str) -> None:
        if number == 2:
            raise KeyboardInterrupt

    request = replace(pages.request(f"{site.url}/guide/"), follow=True, on_fetch=interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(ingest(request, pages.settings, pages.embedder))
    del site.requests[:]

    assert len(pages.run(f"{site.url}/guide/", follow=True)) == 3
    assert "/guide/" not in site.paths()


def test_the_page_limit_is_reported_and_remembered(pages: Ingests, site: Site) -> None:
    limited = short(pages.run(f"{site.url}/guide/", follow=True, max_pages=2), site)
    [note] = [each for each in pages.events if isinstance(each, Notice)]

    assert limited == {"/guide/": "added", "/guide/tea": "added"}
    assert (note.code, note.message) == (
        "max_pages",
        f"stopped at the limit of 2 pages for {site.url}/guide/: 1 more link was not followed; to follow more:"
        f" streamrag ingest --follow --max-pages 4 {site.url}/guide/",
    )
    assert len(pages.run()) == 2
    assert len(pages.run(f"{site.url}/guide/", max_pages=4)) == 3


def test_exclude_patterns_are_compared_with_the_path_below_the_address(pages: Ingests, site: Site) -> None:
    excluding = replace(pages, settings=replace(pages.settings, exclude=("t*",)))

    assert short(excluding.run(f"{site.url}/guide/", follow=True), site) == {
        "/guide/": "added", "/guide/tea": "skipped", "/guide/cup": "added",
    }  # fmt: skip


def test_linked_pdf_and_csv_files_are_ingested(pages: Ingests) -> None:
    files: dict[str, Page] = {
        "/": article("kettle", "report", "data"),
        "/report": Answer(pdf_bytes([["The heron landed."]]), content_type="application/pdf"),
        "/data": Answer("name,legs\nheron,2\n", content_type="text/csv"),
    }
    with web_site(files) as site:
        pages.run(f"{site.url}/", follow=True)

        stored = pages.stored()
    assert stored[f"{site.url}/report"] == "The heron landed."
    assert "heron" in stored[f"{site.url}/data"]


@pytest.mark.fault("private-address")
def test_a_private_address_recorded_by_another_user_is_refused(pages: Ingests, site: Site, tmp_path: Path) -> None:
    pages.run(f"{site.url}/guide/tea")
    elsewhere = replace(pages, settings=replace(pages.settings, state_directory=str(tmp_path / "other")))
    del site.requests[:]

    elsewhere.run()

    assert failure(elsewhere) == (
        "blocked_address",
        "127.0.0.1 is not a public address, and you have not fetched this page on this machine before; to fetch the"
        " page, pass its URL to ingest",
    )
    assert site.requests == []
    assert len(pages.stored()) == 1


@pytest.mark.fault("page-gone")
def test_a_single_missing_page_is_removed_and_does_not_stop_other_addresses(cli: WarmCommandLine) -> None:
    def sync(*addresses: str) -> dict[str, int]:
        counts = json.loads(cli.run("ingest", "--json", *addresses).stdout)["counts"]
        return {action: count for action, count in counts.items() if count}

    with web_site({"/tea": article("tea"), "/cup": article("cup")}) as site:
        assert sync(f"{site.url}/tea", f"{site.url}/cup") == {"added": 2}
        site.set_pages({"/tea": Answer("gone", 404)})

        assert sync() == {"unchanged": 2, "failed": 1}
        assert sync() == {"unchanged": 1, "deleted": 1}

        site.set_pages({"/tea": article("tea")})
        assert sync() == {"added": 1, "unchanged": 1}


@pytest.mark.fault("untrusted-certificate")
def test_a_self_signed_certificate_is_refused_unless_the_user_trusts_it(cli: WarmCommandLine, tmp_path: Path) -> None:
    certificate = self_signed_certificate(tmp_path / "own.pem")
    with web_site({"/tea": article("tea")}, certificate=certificate) as site:
        refused = cli.run("ingest", f"{site.url}/tea")
        trusted = cli.having(SSL_CERT_FILE=str(certificate)).run("ingest", f"{site.url}/tea")
        unreadable = cli.having(SSL_CERT_FILE="/no/such.pem").cold.run("ingest", "--rebuild", f"{site.url}/tea")

    assert refused.code == 6
    reason = f"the certificate of {site.url} is not trusted: self-signed certificate"
    assert f"{reason}; to trust the certificates in a file: SSL_CERT_FILE=FILE streamrag ingest ..." in refused.stderr
    assert trusted.code == 0, trusted
    named = "the certificates in SSL_CERT_FILE or SSL_CERT_DIR cannot be read: no such file or directory"
    assert named in unreadable.stderr


def test_sources_link_to_the_heading_and_the_show_command_finds_it(cli: WarmCommandLine) -> None:
    part = '<h2 id="care">Daily care</h2><p>Descale the kettle with vinegar.</p>'
    body = f"<main><h1>Manual</h1><p>Intro text.</p>{part}</main>"
    with web_site({"/manual": html(body)}) as site:
        assert cli.run("ingest", f"{site.url}/manual").code == 0
        [source, *_] = json.loads(cli.run("search", "descale kettle", "--json").stdout)["hits"]
        assert (source["source"], source["url"]) == (f"{site.url}/manual", f"{site.url}/manual#care")

        assert (
            cli.run("show", f"{site.url}/manual#care").stdout == b"## Daily care\n\nDescale the kettle with vinegar.\n"
        )
        assert cli.run("show", f"{site.url}/manual#nothing").code == 2
        assert cli.run("ls").stdout.startswith(f"{site.url}/manual\t".encode())


def test_the_follow_flag_ingests_the_pages_in_the_folder_of_the_named_page(cli: WarmCommandLine) -> None:
    files: dict[str, Page] = {"/g/start.html": article("kettle", "tea.html"), "/g/tea.html": article("tea")}
    with web_site(files) as site:
        outcome = cli.run("ingest", "--follow", f"{site.url}/g/start.html", "--jsonl")
        again = cli.run("ingest", "--json")

    assert outcome.code == 0, outcome
    counts = json.loads(again.stdout)["counts"]
    assert {action: count for action, count in counts.items() if count} == {"unchanged": 2}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--follow", "docs"], "--follow and --max-pages require the address of a web page"),
        (["--follow", "https://h/?page=2"], "--follow requires an address without a query"),
        (["--no-follow", "--max-pages", "3", "https://h/"], "--max-pages requires --follow"),
        (["https://ada:pw@h/"], "the address contains credentials"),
        (["https://h/?access_token=x"], "the address contains credentials"),
        (["ftp://h/"], "streamrag cannot ingest ftp:// addresses"),
    ],
)
@pytest.mark.fault("credentials-in-address")
def test_invalid_addresses_and_flags_are_usage_errors(cli: WarmCommandLine, arguments: list[str], code: str) -> None:
    outcome = cli.run("ingest", *arguments)

    assert outcome.code == 2
    assert code in outcome.stderr
    assert "hint: " in outcome.stderr
    assert "pw" not in outcome.stderr.replace("ada:", "")


def test_a_redirected_page_keeps_the_requested_address(pages: Ingests) -> None:
    def moved(_: Request) -> Answer:
        return redirect("/new/")

    with web_site({"/old": moved, "/new/": article("kettle")}) as site:
        assert short(pages.run(f"{site.url}/old"), site) == {"/old": "added"}
