"""The options and results of a crawl, and the record that it keeps of each page."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

SkipReason: TypeAlias = Literal["excluded", "robots", "same_page", "unsupported", "dead_link", "outside_address"]
PRODUCT: Final = "streamrag"
"""The name of this program in the User-Agent header and in robots.txt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRecord:
    """A page's state after the last crawl, stored as JSON next to its copy.

    `digest` is the hex SHA-256 of the body as it was received, and `text_digest` that of its text, or "". `suffix`
    names its format. `missing` counts replies with status 404 or 410 in a row. `links` are addresses below the root.
    `anchors` maps headings to their ids. `aliases` are addresses that lead to this page. `checked_at` is the time of
    the last successful request, in seconds since the epoch.
    """

    digest: str
    suffix: str
    text_digest: str = ""
    etag: str = ""
    last_modified: str = ""
    missing: int = 0
    links: tuple[str, ...] = ()
    anchors: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    checked_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlOptions:
    """How pages are fetched. `start` is the first page if that is not the root itself.

    At most `max_pages` pages are fetched in addition to the known ones. Each reply has at most `max_bytes`, and must
    arrive within `timeout_s` plus one second per 100 kB of its body. `interval_s` is the time between two requests to a
    host. Pages that were checked at or after `resume_from`, in seconds since the epoch, are not requested.

    `is_excluded` is called with a page's path below the root. `netrc` is the file with credentials.
    `may_be_private` is false for a root that the user has never named on this machine.
    """

    user_agent: str
    start: str = ""
    follow: bool = False
    max_pages: int = 500
    max_bytes: int = 50_000_000
    timeout_s: float = 15.0
    interval_s: float = 0.5
    is_excluded: Callable[[str], bool] = lambda _path: False
    may_be_private: bool = True
    netrc: Path | None = None
    has_proxy: bool = False
    resume_from: float = field(default=float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A new or changed page.

    `content` is the body. If the server declares a charset, it is converted to UTF-8 with a byte order mark, unless it
    cannot be decoded.
    """

    address: str
    content: bytes
    record: PageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """A page whose copy is up to date. `record` replaces its former record."""

    address: str
    record: PageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A known page that the server has reported as missing twice in a row."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A page that could not be fetched. If it is known, its copy stays, and `record` replaces its former record."""

    address: str
    reason: str
    code: str
    record: PageRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A page that does not become a document in this root. `same_as` is the page that replaces it."""

    address: str
    reason: str
    code: SkipReason
    same_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The crawl ended early because the server does not respond. Other known pages stay as they are."""

    address: str
    reason: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReached:
    """The last result of a crawl that did not follow all links because of `max_pages`."""

    pages: int
    left: int


PageResult: TypeAlias = Fetched | Unchanged | Gone | Failed | Skipped | Stopped | LimitReached


class FetchError(Exception):
    """A page could not be fetched. `reason` is one line for the user, and `code` is for programs.

    `is_connection` is true if the server itself could not be reached or did not respond.
    """

    def __init__(self, reason: str, code: str, *, is_connection: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.is_connection = is_connection
