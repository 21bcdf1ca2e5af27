"""Requests pages within limits on time, size and rate. Follows redirects, and uses no cookies or proxies."""

import base64
import netrc
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import httpcore2

from streamrag_cli.remote.web import robots
from streamrag_cli.remote.web.allowed_addresses import resolve
from streamrag_cli.remote.web.connection import CheckedBackend, TimeLimit
from streamrag_cli.remote.web.content import ACCEPTED_ENCODINGS, read_body, too_large
from streamrag_cli.remote.web.results import CrawlOptions, FetchError
from streamrag_cli.remote.web.urls import is_same_service, normalised, origin_of, shown_origin

MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BUSY: Final = frozenset({429, 503})
_LONGEST_WAIT_S: Final = 30.0
_UNKNOWN_ISSUERS: Final = frozenset({18, 19, 20, 21})
"""The codes of OpenSSL for certificates that are self-signed or whose issuer is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply for a page, after redirects. `url` is its final address. `body` is empty unless the status is 200."""

    url: str
    status: int
    headers: dict[str, str]
    body: bytes


class WebClient:
    """Sends the requests of one crawl, which begins at `named`, the address that the user passed."""

    def __init__(self, named: str, options: CrawlOptions, resolver: Callable[[str, int], list[str]] = resolve) -> None:
        self._named = named
        self._options = options
        self._limit = TimeLimit(options.timeout_s)
        _, host, port = origin_of(named)
        ports = (80, 443) if port == 80 else (port,)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # replaced when it is needed
            max_connections=4,
            network_backend=CheckedBackend(host, ports, self._limit, resolver, may_be_private=options.may_be_private),
        )
        self._requested_at: dict[str, float] = {}
        self.robots = robots.Robots(self._read_robots)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.close()

    def get(self, url: str, *, etag: str = "", last_modified: str = "") -> Reply:
        """Request a page, conditionally if it has validators. Follows redirects that robots.txt allows.

        Raises FetchError.
        """
        conditions = {"If-None-Match": etag} if etag else {}
        conditions |= {"If-Modified-Since": last_modified} if last_modified else {}
        return self._get(url, conditions, max_bytes=self._options.max_bytes, checks_robots=True)

    def _get(self, url: str, headers: dict[str, str], *, max_bytes: int, checks_robots: bool) -> Reply:
        first = url
        for _ in range(MAX_REDIRECTS + 1):
            try:
                if checks_robots and not self.robots.allow(url):
                    raise FetchError(f"the robots.txt of {shown_origin(url)} disallows this page", "robots")
                reply = self._request_patiently(url, headers, max_bytes)
            except FetchError as error:
                if url == first or error.code != "blocked_address":
                    raise
                raise FetchError(f"the page redirects to {shown_origin(url)}: {error.reason}", error.code) from error
            if reply.status not in _REDIRECTS or "location" not in reply.headers:
                return reply
            target = normalised(reply.headers["location"], url)
            if target is None:
                raise FetchError("the page redirects to an address that is not a web page", "bad_redirect")
            if origin_of(url)[0] == "https" and origin_of(target)[0] == "http":
                raise FetchError(
                    f"the page redirects to {shown_origin(target)}, which is not encrypted", "bad_redirect"
                )
            url = target
        raise FetchError(f"the page redirects more than {MAX_REDIRECTS} times", "too_many_redirects")

    def _read_robots(self, url: str) -> tuple[int, bytes]:
        try:
            reply = self._get(url, {}, max_bytes=robots.MAX_BYTES, checks_robots=False)
        except FetchError as error:
            if error.is_connection or error.code == "blocked_address":
                raise
            return 404, b""  # there is no usable file
        return reply.status, reply.body

    def _request_patiently(self, url: str, headers: dict[str, str], max_bytes: int) -> Reply:
        """Request one address, and repeat the request if the server asks for a short delay."""
        reply = self._request(url, headers, max_bytes)
        delay_s = _whole_number(reply.headers.get("retry-after", ""))
        if reply.status in _BUSY and delay_s is not None and delay_s <= _LONGEST_WAIT_S:
            time.sleep(delay_s)
            reply = self._request(url, headers, max_bytes)
        return reply

    def _request(self, url: str, headers: dict[str, str], max_bytes: int) -> Reply:
        self._wait_for_turn(url)
        self._limit.restart()
        try:
            with self._pool.stream("GET", url, headers=self._headers(url, headers)) as response:
                received = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                length = _whole_number(received.get("content-length", ""))
                body = b""
                if response.status == 200:
                    if length is not None and length > max_bytes:
                        raise too_large(max_bytes)
                    pieces = self._counted(response.iter_stream(), max_bytes)
                    body = read_body(pieces, received.get("content-encoding", ""), max_bytes)
                return Reply(url=url, status=response.status, headers=received, body=body)
        except (httpcore2.TimeoutException, TimeoutError) as error:
            message = f"the reply was not complete within {self._options.timeout_s:g} s"
            raise FetchError(message, "timed_out", is_connection=True) from error
        except (httpcore2.ConnectError, ssl.SSLError) as error:
            raise self._unreachable(url, error) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
            raise FetchError("the connection was closed early, or the reply is not valid HTTP", "malformed") from error

    def _counted(self, pieces: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
        """Yield the pieces of a body as they arrive, and extend the time limit for each of them.

        Headers do not extend the limit, because they can be endless.

        Raises FetchError `too_large`.
        """
        received = 0
        for piece in pieces:
            received += len(piece)
            if received > max_bytes:  # compressed data can be larger than its content
                raise too_large(max_bytes)
            self._limit.add_bytes(len(piece))
            yield piece

    def _unreachable(self, url: str, error: Exception) -> FetchError:
        if (refused := _refused_certificate(error)) is not None:
            reason = f"the certificate of {shown_origin(url)} is not trusted: {refused.verify_message}"
            if refused.verify_code in _UNKNOWN_ISSUERS:
                reason += "; to trust the certificates in a file: SSL_CERT_FILE=FILE streamrag ingest ..."
            return FetchError(reason, "unreachable", is_connection=True)
        proxy = "; pages are fetched without the environment's proxy" if self._options.has_proxy else ""
        return FetchError(f"cannot connect to {shown_origin(url)}{proxy}", "unreachable", is_connection=True)

    def _wait_for_turn(self, url: str) -> None:
        """Wait until the interval since the last request to the host has passed."""
        _, host, _ = origin_of(url)
        interval_s = max(self._options.interval_s, self.robots.delay_s(url))
        wait_s = self._requested_at.get(host, -interval_s) + interval_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        self._requested_at[host] = time.monotonic()

    def _headers(self, url: str, headers: dict[str, str]) -> dict[bytes | str, bytes | str]:
        own = {
            "Host": shown_origin(url).partition("://")[2],  # httpcore2 leaves out the brackets around an IPv6 address
            "User-Agent": self._options.user_agent,
            "Accept": "text/html,application/xhtml+xml,application/pdf;q=0.9,*/*;q=0.5",
            "Accept-Encoding": ACCEPTED_ENCODINGS,
        }
        authorization = self._authorization(url)
        values = own | headers | ({"Authorization": authorization} if authorization else {})
        return {name: value.encode("latin-1") for name, value in values.items()}  # a server's ETag may not be ASCII

    def _authorization(self, url: str) -> str:
        """The credentials in `~/.netrc` for the host that the user has named; "" for any other host."""
        file = self._options.netrc
        if file is None or not is_same_service(url, self._named):
            return ""
        with suppress(OSError, netrc.NetrcParseError, UnicodeDecodeError):
            entry = netrc.netrc(file).hosts.get(origin_of(url)[1])
            if entry:
                user, _, password = entry
                return "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode("ascii")
        return ""


def _refused_certificate(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The cause of this error if the certificate of the server was refused."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def _whole_number(value: str) -> int | None:
    """The value of a header that must be a whole number; None if it is not a number or has more than 15 digits."""
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 15 else None
