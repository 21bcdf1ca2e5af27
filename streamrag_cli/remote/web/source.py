"""Yields web pages as the documents in a root. A root's copy has the pages in `files/`, their records in `pages/`.

A crawl that was interrupted continues: pages that it has checked are not requested again.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from streamrag_cli import __version__
from streamrag_cli.addresses import Address
from streamrag_cli.counting import counted_noun
from streamrag_cli.documents.discovery_results import DiscoveryResult, FoundFile, SkippedPath, UnreadableDirectory
from streamrag_cli.documents.gitignore import IgnoreRules, exclude_rules
from streamrag_cli.remote.copies import Copy
from streamrag_cli.remote.sources import FetchNote, FetchOptions
from streamrag_cli.remote.web.crawl import fetch_pages
from streamrag_cli.remote.web.page_records import hashed, read_records, record_as_json
from streamrag_cli.remote.web.results import (
    PRODUCT,
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

MAX_PAGES: Final = 500
_CONTINUES_FOR_S: Final = 24 * 3600.0
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def discover(root: Address, copy: Copy, options: FetchOptions) -> Iterator[DiscoveryResult | FetchNote]:
    """Fetch the page, or the pages below it, and yield them. Raises DocumentError, OSError."""
    with copy.locked():
        yield from _Pages(root, copy, options).run()


class _Pages:
    """The pages in one root, and the crawl that updates their copies."""

    def __init__(self, root: Address, copy: Copy, options: FetchOptions) -> None:
        self._root = root
        self._copy = copy
        self._options = options
        self._records = read_records(copy)
        self._former = copy.metadata()
        is_named = root in options.named
        self._follow = bool(self._chosen("follow", options.follow if is_named else None, False))
        self._max_pages = int(self._chosen("max_pages", options.max_pages if is_named else None, MAX_PAGES))
        self._start = str(self._chosen("start", options.starts.get(root), ""))
        self._yielded: set[str] = set()
        self._failed: set[str] = set()

    def _chosen(self, name: str, value: object, default: object) -> Any:
        """An option's value in this command; if it is not set, its value in the last ingest, or else the default."""
        return value if value is not None else self._former.get(name, default)

    def run(self) -> Iterator[DiscoveryResult | FetchNote]:
        began_at = self._former.get("began_at") or 0.0
        now = time.time()
        if not now - _CONTINUES_FOR_S < began_at <= now:
            began_at = now
        settings = {"follow": self._follow, "max_pages": self._max_pages, "start": self._start}
        self._copy.save(settings | {"began_at": began_at})
        for number, result in enumerate(fetch_pages(self._root.text, self._crawl_options(began_at), self._records), 1):
            if not isinstance(result, LimitReached):
                self._options.on_fetch(number, result.address)
            yield from self._documents(result)
        self._remove_others()
        self._copy.save(settings)

    def _crawl_options(self, began_at: float) -> CrawlOptions:
        environment = self._options.environment
        home = environment.get("HOME")
        return CrawlOptions(
            user_agent=f"{PRODUCT}/{__version__}",
            start=self._start,
            follow=self._follow,
            max_pages=self._max_pages,
            max_bytes=self._options.limit_bytes,
            is_excluded=_exclusion(self._options.exclude),
            may_be_private=self._root in self._options.named or bool(self._former),
            netrc=Path(home, ".netrc") if home else None,
            has_proxy=any(environment.get(each) for each in _PROXIES),
            resume_from=began_at,
            interval_s=self._options.interval_s,
        )

    def _documents(self, result: PageResult) -> Iterator[DiscoveryResult | FetchNote]:
        match result:
            case Fetched(address=address, content=content, record=record):
                self._write(address, content, record)
                yield self._document(address, record)
            case Unchanged(address=address, record=record):
                self._save(address, record)
                yield self._document(address, record)
            case Failed(address=address, reason=reason, code=code, record=record):
                self._failed.add(address)
                yield UnreadableDirectory(path=Address(address), reason=reason, code=code)
                if record is not None:
                    self._save(address, record)
                    yield self._document(address, record)
            case Skipped(address=address, code=code, same_as=same_as):
                if same_as in self._records:
                    target = self._records[same_as]
                    self._save(same_as, replace(target, aliases=tuple(sorted({*target.aliases, address}))))
                yield SkippedPath(name=address, code=code)
            case Stopped(address=address, reason=reason, code=code):
                yield from self._unchecked(address, reason, code)
            case LimitReached(pages=pages, left=left):
                more = f"{counted_noun(left, 'more link was', 'more links were')} not followed"
                message = (
                    f"stopped at the limit of {counted_noun(pages, 'page')} for {self._root}: {more}; to follow more:"
                )
                command = f"streamrag ingest --follow --max-pages {2 * self._max_pages} {self._root}"
                yield FetchNote(message=f"{message} {command}", code="max_pages")
            case Gone():
                pass

    def _unchecked(self, root: str, reason: str, code: str) -> Iterator[DiscoveryResult]:
        """The results for the pages that were not checked because the server does not respond."""
        left = [each for each in self._records if each not in self._yielded]
        if left and root not in self._failed:
            reason = f"{reason}; {counted_noun(len(left), 'page was', 'pages were')} not checked"
            yield UnreadableDirectory(path=self._root, reason=reason, code=code)
        for address in left:
            yield self._document(address, self._records[address])

    def _document(self, address: str, record: PageRecord) -> FoundFile:
        self._yielded.add(address)
        is_named = address in {self._root.text, self._start}
        real = os.path.realpath(self._file(address, record))
        return FoundFile(name=address, root=self._root, real=real, is_named=is_named, checks_secrets=not is_named)

    def _file(self, address: str, record: PageRecord) -> Path:
        return self._copy.files / f"{hashed(address)}{record.suffix}"

    def _write(self, address: str, content: bytes, record: PageRecord) -> None:
        former = self._records.get(address)
        self._copy.write(f"files/{hashed(address)}{record.suffix}", content)
        self._save(address, record)
        if former and former.suffix != record.suffix:
            self._file(address, former).unlink(missing_ok=True)

    def _save(self, address: str, record: PageRecord) -> None:
        self._records[address] = record
        self._copy.write(f"pages/{hashed(address)}.json", record_as_json(address, record))

    def _remove_others(self) -> None:
        """Remove the copies of pages that are gone. A dry run keeps them, so that the next ingest reports them."""
        if self._options.dry_run:
            return
        for address, record in self._records.items():
            if address not in self._yielded:
                self._file(address, record).unlink(missing_ok=True)
                (self._copy.directory / "pages" / f"{hashed(address)}.json").unlink(missing_ok=True)


def _exclusion(patterns: Any) -> Callable[[str], bool]:
    """Return a function that decides whether to exclude a page. It takes the page's path below the root."""
    rules = IgnoreRules().excluding("/", exclude_rules(patterns))

    def is_excluded(path: str) -> bool:
        names = path.split("/")
        folders = ["/" + "/".join(names[:end]) for end in range(1, len(names)) if names[end - 1]]
        entry = "/" + path.rstrip("/")
        return any(rules.ignores(each, directory=True) for each in folders) or any(
            rules.ignores(each, directory=path.endswith("/"))
            for each in (entry, entry.partition("?")[0])
            if each != "/"
        )

    return is_excluded
