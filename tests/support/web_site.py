"""A web server for tests: its pages are given as a mapping, and it records all requests."""

import gzip
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest


@dataclass(frozen=True)
class Answer:
    """A reply. `pieces` are sent after the body, as slowly as they are produced; the connection then closes."""

    body: bytes | str = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = "text/html; charset=utf-8"
    pieces: Callable[[], Iterator[bytes]] | None = None


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]


Page = Answer | str | Callable[[Request], Answer]


@dataclass
class Site:
    """A web site: pages by path and query, with "*" for all other paths. Tests may change the pages at any time."""

    url: str
    pages: dict[str, Page]
    requests: list[Request] = field(default_factory=list)

    def paths(self) -> list[str]:
        """The paths that were requested, without `robots.txt` and sitemaps."""
        return [each.path for each in self.requests if not each.path.endswith(("robots.txt", "sitemap.xml"))]

    def set_pages(self, pages: Mapping[str, Page]) -> None:
        self.pages.update(pages)

    def answer(self, request: Request) -> Answer:
        page = self.pages.get(request.path, self.pages.get("*", Answer("not found", 404)))
        if isinstance(page, str):
            return Answer(page)
        return page if isinstance(page, Answer) else page(request)


@contextmanager
def web_site(pages: Mapping[str, Page], host: str = "127.0.0.1", *, certificate: Path | None = None) -> Iterator[Site]:
    """Serve the pages on a free port on `host`, with HTTPS if there is a `certificate` (a file with its key)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            request = Request(self.path, {name.lower(): value for name, value in self.headers.items()})
            site.requests.append(request)
            answer = site.answer(request)
            body = answer.body.encode() if isinstance(answer.body, str) else answer.body
            self.send_response(answer.status)
            if answer.content_type is not None:
                self.send_header("Content-Type", answer.content_type)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.pieces is not None:
                self.send_header("Connection", "close")
            elif "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(body)))
            with suppress(OSError):
                self.end_headers()
                self.wfile.write(body)
                for piece in answer.pieces() if answer.pieces else ():
                    self.wfile.write(piece)
                    self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Do not log requests."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """A client may close the connection at any time."""

    with Server((host, 0), Handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        site = Site(f"{'https' if certificate else 'http'}://{host}:{server.server_address[1]}", dict(pages))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="web-site")
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def self_signed_certificate(file: Path, host: str = "127.0.0.1") -> Path:
    """Write a certificate for the IP address `host` and its key to `file`. Skips the test without openssl."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    subprocess.run(
        [*command, "-addext", f"subjectAltName=IP:{host}", "-keyout", str(file), "-out", f"{file}.crt"],
        check=True,
        capture_output=True,
    )
    with file.open("ab") as both:
        both.write(Path(f"{file}.crt").read_bytes())
    return file


def html(body: str, *, head: str = "") -> str:
    return f"<!doctype html><html><head><title>Page</title>{head}</head><body>{body}</body></html>"


def article(topic: str, *links: str) -> str:
    """A page with a heading, an id for it, a paragraph and links."""
    anchors = "".join(f'<p><a href="{link}">{link}</a></p>' for link in links)
    text = f"This page explains the {topic} in detail, so that everybody can use the {topic} at home and at work."
    return html(f'<main><h1 id="{topic}">The {topic}</h1><p>{text}</p>{anchors}</main>')


def with_etag(body: str, tag: str) -> Callable[[Request], Answer]:
    """A page that answers conditional requests."""

    def answer(request: Request) -> Answer:
        if request.headers.get("if-none-match") == tag:
            return Answer(status=304, headers={"ETag": tag})
        return Answer(body, headers={"ETag": tag})

    return answer


def redirect(target: str, status: int = 302) -> Answer:
    return Answer(status=status, headers={"Location": target})


def gzipped(data: bytes, **headers: str) -> Answer:
    return Answer(gzip.compress(data), headers={"Content-Encoding": "gzip", **headers})


def dripping(interval_s: float = 0.05) -> Iterator[bytes]:
    while True:
        time.sleep(interval_s)
        yield b" "


@contextmanager
def endless_server(first: bytes, block: bytes) -> Iterator[str]:
    """A server that has no robots.txt, and answers every other request with `first` and endlessly many `block`s."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            path = self.rfile.readline().split()[1]
            while self.rfile.readline().strip():
                pass
            if path == b"/robots.txt":
                self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with suppress(OSError):
                self.wfile.write(first)
                while True:
                    self.wfile.write(block)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="endless-server")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
