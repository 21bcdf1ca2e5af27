"""An HTTP client for tests, based on the standard library, that reads server-sent events as they arrive."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

QUESTION = "Who built the lighthouse?"
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete reply. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def error_code(self) -> str:
        """The code of a failure in either shape: streamrag's own, or OpenAI's below `/v1`."""
        error = self.json["error"]
        return str(error["code"] if isinstance(error, dict) else self.code)


class EventStream:
    """An open stream of server-sent events."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status = response.status
        self.headers = _lower(response)

    def lines(self) -> Iterator[str]:
        while line := self._response.readline():
            yield line.decode().rstrip("\n")

    def events(self) -> Iterator[dict[str, Any]]:
        for line in self.lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))

    def next_of(self, kind: str) -> dict[str, Any]:
        """Skip all events before the next one of this kind, and return it."""
        return next(event for event in self.events() if event["type"] == kind)

    def leave(self) -> None:
        """Close the connection without reading the rest."""
        self._response.close()
        self._connection.close()


def request(
    url: str, method: str = "GET", *, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    connection, response = _send(url, method, body, headers or {})
    try:
        return Reply(status=response.status, headers=_lower(response), body=response.read())
    finally:
        connection.close()


def post_json(url: str, value: object, headers: Mapping[str, str] | None = None) -> Reply:
    return request(
        url, "POST", body=json.dumps(value).encode(), headers={"Content-Type": "application/json", **(headers or {})}
    )


@contextmanager
def streaming(
    url: str, method: str = "GET", *, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[EventStream]:
    connection, response = _send(url, method, body, headers or {})
    stream = EventStream(connection, response)
    try:
        yield stream
    finally:
        stream.leave()


def ask_url(base: str, question: str = QUESTION, path: str = "/rag/stream-with-sources") -> str:
    return f"{base}{path}?query={quote(question)}"


def _send(
    url: str, method: str, body: bytes | None, headers: Mapping[str, str]
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    if body is not None and "Content-Length" not in headers:
        connection.putheader("Content-Length", str(len(body)))
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    return connection, connection.getresponse()


def _lower(response: http.client.HTTPResponse) -> Mapping[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def wait_until(condition: Callable[[], bool], *, within_s: float = 30.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(0.005)
    return True
