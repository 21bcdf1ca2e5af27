"""Crawls of test sites."""

from collections.abc import Callable, Mapping
from typing import Any

from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.remote.web.allowed_addresses import resolve
from streamrag_cli.remote.web.crawl import fetch_pages
from streamrag_cli.remote.web.results import (
    CrawlOptions,
    Failed,
    Fetched,
    LimitReached,
    PageRecord,
    PageResult,
    Unchanged,
)
from tests.support.web_site import Site

PARSER = Loader()  # starting its process takes most of the time of a crawl


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
