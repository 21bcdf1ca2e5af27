"""Fetches one page, or with `follow` the pages below an address that are linked or listed in a sitemap.

Pages are requested one after the other, in the order in which they are found: pages near the first one before pages
that are further away. Addresses with a query come last, because a calendar has infinitely many of them.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from streamrag_cli.documents.formats import suffixes
from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.errors import DocumentError
from streamrag_cli.remote.web import sitemaps
from streamrag_cli.remote.web.allowed_addresses import resolve
from streamrag_cli.remote.web.client import Reply, WebClient
from streamrag_cli.remote.web.content import as_utf_8, format_suffix
from streamrag_cli.remote.web.page import Page, inspect
from streamrag_cli.remote.web.results import (
    CrawlOptions,
    Failed,
    Fetched,
    FetchError,
    Gone,
    LimitReached,
    PageRecord,
    PageResult,
    Skipped,
    SkipReason,
    Stopped,
    Unchanged,
)
from streamrag_cli.remote.web.urls import (
    Scope,
    has_secret,
    is_followed,
    is_same_page,
    normalised,
    origin_of,
    without_secret,
)

GONE_AFTER: Final = 2
"""A page is removed after this number of consecutive replies with status 404 or 410."""
_GONE: Final = frozenset({404, 410})
_STOPS_AFTER: Final = 3
"""A crawl ends after this number of consecutive requests without a reply."""
_REQUESTS_PER_PAGE: Final = 3
"""Limits the requests for links that lead to no new page, as a multiple of `max_pages`."""
_MOST_SITEMAPS: Final = 20
_REASONS: Final[Mapping[SkipReason, str]] = {
    "excluded": "excluded",
    "robots": "not allowed by robots.txt",
    "same_page": "the same page as {}",
    "unsupported": "unsupported format",
    "dead_link": "HTTP {}",
    "outside_address": "redirects to {}, which is not below the ingested address",
}


def fetch_pages(
    root: str,
    options: CrawlOptions,
    known: Mapping[str, PageRecord],
    *,
    resolver: Callable[[str, int], list[str]] = resolve,
    loader: Loader | None = None,
) -> Iterator[PageResult]:
    """Yield a result for the page `root`, an address in its normal form, or with `follow` for each page below it.

    `known` are the pages that the last crawl has fetched; a known page without a result no longer belongs to
    the root. A result is yielded as soon as the page is fetched, so that nothing is lost if the caller stops.
    `loader` parses the pages; None means a new one.
    """
    with ExitStack() as stack:
        client = stack.enter_context(WebClient(options.start or root, options, resolver))
        loader = loader or stack.enter_context(Loader())
        yield from _Crawl(root, options, dict(known), client, loader).run()


class _Crawl:
    def __init__(
        self, root: str, options: CrawlOptions, known: Mapping[str, PageRecord], client: WebClient, loader: Loader
    ) -> None:
        self._start = options.start or root
        self._root = root
        self._scope = Scope.of(root)
        self._options = options
        self._known = known
        self._client = client
        self._loader = loader
        self._supported = suffixes()
        self._aliases = {alias: page for page, record in known.items() for alias in record.aliases}
        self._rest = iter(known)
        self._queues: tuple[deque[str], deque[str]] = (deque(), deque())
        self._queued: set[str] = set()
        self._visited: set[str] = set()
        self._digests: dict[str, str] = {}
        self._new_pages = 0
        self._new_requests = 0
        self._without_reply = 0

    def run(self) -> Iterator[PageResult]:
        if not self._options.follow:
            yield from self._visit(self._start)
            return
        self._enqueue(self._start)
        left = 0
        is_first = True
        while address := self._next():
            if self._is_full() and address not in self._known:
                left += 1
                continue
            for result in self._visit(address):
                yield result
                if isinstance(result, Stopped):
                    return
            if is_first:
                is_first = False
                self._read_sitemaps()
        if left:
            yield LimitReached(pages=len(self._known) + self._new_pages, left=left)

    def _next(self) -> str:
        """The next address to visit; "" at the end. Known pages that are no longer linked come last."""
        for queue in self._queues:
            if queue:
                return queue.popleft()
        return next((each for each in self._rest if each not in self._visited), "")

    def _is_full(self) -> bool:
        pages, limit = len(self._known) + self._new_pages, self._options.max_pages
        return pages >= limit or self._new_requests >= _REQUESTS_PER_PAGE * limit

    def _enqueue(self, address: str) -> None:
        if address not in self._queued:
            self._queued.add(address)
            self._queues["?" in address].append(address)

    def _visit(self, linked: str) -> Iterator[PageResult]:
        address = self._aliases.get(linked, linked)
        if address in self._visited:
            return
        self._visited.add(address)
        record = self._known.get(address)
        self._new_requests += record is None
        if self._options.is_excluded(self._scope.below(address)):
            yield self._skipped(address, "excluded")
        elif record and record.checked_at >= self._options.resume_from:
            yield self._unchanged(address, record)
        else:
            yield from self._request(address, record)

    def _request(self, address: str, record: PageRecord | None) -> Iterator[PageResult]:
        try:
            reply = self._client.get(
                address,
                etag=record.etag if record else "",
                last_modified=record.last_modified if record else "",
            )
            self._without_reply = 0
            yield from self._result(address, record, reply)
        except FetchError as error:
            if error.code == "robots" and not error.is_connection and address != self._start and record is None:
                yield self._skipped(address, "robots")
                return
            yield Failed(address=address, reason=error.reason, code=error.code, record=record)
            self._without_reply = self._without_reply + 1 if error.is_connection else 0
            is_unreachable = error.is_connection and address == self._start
            if self._options.follow and (is_unreachable or self._without_reply == _STOPS_AFTER):
                yield Stopped(address=self._root, reason=error.reason, code=error.code)

    def _result(self, address: str, record: PageRecord | None, reply: Reply) -> Iterator[PageResult]:
        if reply.status == 304 and record:
            yield self._unchanged(address, replace(record, missing=0, checked_at=time.time()))
        elif reply.status in _GONE:
            yield self._missing(address, record, reply.status)
        elif reply.status != 200:
            hint = "; ~/.netrc may have the credentials for it" if reply.status == 401 else ""
            yield Failed(address=address, reason=f"HTTP {reply.status}{hint}", code="http_status", record=record)
        else:
            yield from self._page(address, record, reply)

    def _missing(self, address: str, record: PageRecord | None, status: int) -> PageResult:
        if record is None and address != self._start:
            return self._skipped(address, "dead_link", str(status))
        if record is None:
            return Failed(address=address, reason=f"HTTP {status}", code="http_status")
        if record.missing + 1 >= GONE_AFTER:
            return Gone(address=address, reason=f"HTTP {status}, twice in a row")
        reason = f"HTTP {status}; the page will be removed if it is still missing at the next ingest"
        return Failed(address=address, reason=reason, code="http_status", record=replace(record, missing=1))

    def _page(self, address: str, record: PageRecord | None, reply: Reply) -> Iterator[PageResult]:
        name = address
        if reply.url != address and self._options.follow:
            if not self._scope.contains(reply.url):
                yield self._moved_away(address, record, without_secret(reply.url))
                return
            if reply.url in self._visited:
                yield self._skipped(address, "same_page", reply.url, same_as=reply.url)
                return
            if not has_secret(reply.url):  # it would be stored and shown
                name, record = reply.url, self._known.get(reply.url)
                self._visited.add(name)
        content_type = reply.headers.get("content-type", "")
        suffix = format_suffix(content_type, reply.url, reply.body, self._supported)
        if not suffix:
            shown = content_type.partition(";")[0].strip()[:60] or "no Content-Type"
            if address == self._start or record:
                yield Failed(address=name, reason=f"unsupported format ({shown})", code="unsupported", record=record)
            else:
                yield self._skipped(name, "unsupported")
            return
        digest = hashlib.sha256(reply.body).hexdigest()
        if self._digests.setdefault(digest, name) != name:
            yield self._skipped(name, "same_page", self._digests[digest])
            return
        aliases = {*(record.aliases if record else ()), *([address] if address != name else [])}
        current = PageRecord(
            digest=digest,
            suffix=suffix,
            text_digest=record.text_digest if record else "",
            etag=reply.headers.get("etag", ""),
            last_modified=reply.headers.get("last-modified", ""),
            links=record.links if record else (),
            anchors=record.anchors if record else (),
            aliases=tuple(sorted(aliases)),
            checked_at=time.time(),
        )
        if record and (record.digest, record.suffix) == (digest, suffix):
            yield self._unchanged(name, current)
        else:
            yield self._with_new_content(name, current, record, reply)

    def _with_new_content(self, name: str, current: PageRecord, record: PageRecord | None, reply: Reply) -> PageResult:
        """The result for a page whose body is new; its links are queued."""
        content = as_utf_8(reply.body, reply.headers.get("content-type", ""))
        if current.suffix == ".html":
            try:
                page = inspect(content, self._loader)
            except DocumentError as error:
                return Failed(address=name, reason=error.message, code=error.code, record=record)
            if page.needs_javascript:
                reason = "the page needs JavaScript to show its text, and streamrag does not run JavaScript"
                return Failed(address=name, reason=reason, code="needs_javascript", record=record)
            base = (normalised(page.base, reply.url) if page.base else None) or reply.url
            current = replace(
                current, links=self._links(page, base), anchors=page.anchors, text_digest=page.text_digest
            )
            canonical = normalised(page.canonical, base) if page.canonical else None
            if self._options.follow and canonical and name != self._start and self._is_other(canonical, name):
                self._enqueue(canonical)
                return self._skipped(name, "same_page", canonical, same_as=canonical)
            if page.text_digest and self._digests.setdefault(page.text_digest, name) != name:
                return self._skipped(name, "same_page", self._digests[page.text_digest])
            if record and page.text_digest and record.text_digest == page.text_digest:
                return self._unchanged(name, current)
        self._follow(current)
        self._new_pages += record is None
        return Fetched(address=name, content=content, record=current)

    def _is_other(self, canonical: str, name: str) -> bool:
        return is_same_page(canonical, name) and self._scope.contains(canonical)

    def _links(self, page: Page, base: str) -> tuple[str, ...]:
        """The links to pages below the root, in the order in which they appear."""
        addresses = dict.fromkeys(filter(None, (normalised(link, base) for link in page.links)))
        return tuple(each for each in addresses if self._scope.contains(each) and is_followed(each))

    def _follow(self, record: PageRecord) -> None:
        for link in record.links:
            self._enqueue(link)

    def _unchanged(self, name: str, record: PageRecord) -> Unchanged:
        for digest in filter(None, (record.digest, record.text_digest)):
            self._digests.setdefault(digest, name)
        self._follow(record)
        return Unchanged(address=name, record=record)

    def _moved_away(self, address: str, record: PageRecord | None, target: str) -> PageResult:
        if address == self._start:
            reason = (
                f"the page redirects to {target}, which is not below the ingested address; ingest that page instead"
            )
            return Failed(address=address, reason=reason, code="moved", record=record)
        if record:
            return Failed(address=address, reason=f"the page redirects to {target}", code="moved", record=record)
        return self._skipped(address, "outside_address", target)

    def _skipped(self, address: str, code: SkipReason, detail: str = "", *, same_as: str = "") -> Skipped:
        return Skipped(address=address, reason=_REASONS[code].format(detail), code=code, same_as=same_as)

    def _read_sitemaps(self) -> None:
        """Queue the pages in the site's sitemaps and in those of the root's folder. Errors are ignored."""
        scheme, host, port = origin_of(self._root)
        pending = deque([f"{self._scope.prefix}sitemap.xml", normalised("/sitemap.xml", self._root) or ""])
        try:
            pending.extendleft(reversed(self._client.robots.sitemaps(self._root)))
        except FetchError:
            return
        seen: set[str] = set()
        while pending and len(seen) < _MOST_SITEMAPS and not self._without_reply:
            address = normalised(pending.popleft(), self._root)
            if address is None or address in seen or origin_of(address) != (scheme, host, port):
                continue
            seen.add(address)
            try:
                reply = self._client.get(address)
            except FetchError:
                continue
            if reply.status == 200 and origin_of(reply.url) == (scheme, host, port):
                pages, further = sitemaps.addresses_in(reply.body, self._loader)
                pending.extend(further)
                for page in filter(None, map(normalised, pages)):
                    if self._scope.contains(page) and is_followed(page):
                        self._enqueue(page)
