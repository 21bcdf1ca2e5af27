"""Fetches one URL with the standard library, for callers that must not wait for an HTTP library to be imported."""

from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from streamrag_cli.model_server.deadline import Deadline
from streamrag_cli.model_server.network_policy import RedirectedError, is_this_machine, reject_other_origin


def fetch(request: Request, *, limit_s: float, most_bytes: int) -> tuple[int, bytes]:
    """Send `request` and return the status and at most `most_bytes` of the body. Takes at most `limit_s`.

    Raises TimeoutError, RedirectedError, and OSError and HTTPException like `urllib.request`. An error status is
    returned, not raised.
    """
    with Deadline(limit_s) as deadline:
        try:
            status, body = _fetch(request, limit_s, most_bytes, deadline)
        except Exception:
            if deadline.expired:
                raise TimeoutError from None
            raise
        if deadline.expired:  # the deadline may have closed the connection, so the body may be incomplete
            raise TimeoutError
    return status, body


def _fetch(request: Request, limit_s: float, most_bytes: int, deadline: Deadline) -> tuple[int, bytes]:
    class WatchedHttp(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            deadline.watch(self.sock)

    class WatchedHttps(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            deadline.watch(self.sock)

    class Plain(HTTPHandler):
        def http_open(self, req: Request) -> HTTPResponse:
            return self.do_open(WatchedHttp, req)

    class Tls(HTTPSHandler):
        def https_open(self, req: Request) -> HTTPResponse:
            return self.do_open(WatchedHttps, req)

    no_proxies = [ProxyHandler({})] if is_this_machine(urlsplit(request.full_url).hostname or "") else []
    try:
        with build_opener(Plain, Tls, _SameOriginRedirects, *no_proxies).open(request, timeout=limit_s) as response:
            return response.status, response.read(most_bytes)
    except HTTPError as error:
        with error:
            return error.code, _partial_body(error, most_bytes)


class _SameOriginRedirects(HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917 - the signature is the standard library's
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        try:
            reject_other_origin(req.full_url, newurl)
        except RedirectedError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _partial_body(error: HTTPError, most_bytes: int) -> bytes:
    """The body of an error reply, or b"" if it cannot be read: callers can do without it."""
    try:
        return error.read(most_bytes)
    except (OSError, HTTPException):
        return b""
