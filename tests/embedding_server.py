"""A server on this machine that answers `POST /v1/embeddings`, rightly or with the faults a test asks for.

with EmbeddingServer([Fault(status=429), GOOD]) as server:
    OpenAIEmbedder("some-model", base_url=server.base_url, api_key="key", timeout_s=5)
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A reply as it is: status, headers and body, or (`cut`) half of it, or (`stall`) nothing at all."""

    status: int = 200
    body: str = '{"error": {"message": "no"}}'
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    cut: bool = False
    stall: bool = False


GOOD = None
"""A right reply: for each text the vector of `vector_of`."""


def vector_of(text: str) -> list[float]:
    """Three numbers, not of unit length, that tell texts apart."""
    return [float(len(text)), float(sum(text.encode()) % 97), 1.0]


def reply_with(*embeddings: object) -> Fault:
    """A well-formed reply that carries these as its embeddings, whatever was asked."""
    data = [{"object": "embedding", "index": i, "embedding": embedding} for i, embedding in enumerate(embeddings)]
    return Fault(body=json.dumps({"object": "list", "model": "m", "data": data, "usage": _USAGE}))


_USAGE = {"prompt_tokens": 1, "total_tokens": 1}


class EmbeddingServer:
    """Serves while the `with` block runs. `replies` are used up in order, then all are right."""

    def __init__(self, replies: Sequence[Fault | None] = ()) -> None:
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self._replies = list(replies)
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self._answer))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.requests.append(asked)
        self.authorizations.append(handler.headers["Authorization"])
        fault = self._replies.pop(0) if self._replies else GOOD
        reply = fault or reply_with(*(vector_of(text) for text in asked["input"]))
        if reply.stall:
            self._closing.wait()
            return
        body = reply.body.encode()
        handler.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if reply.cut else body)
        handler.close_connection = True


def _handler_for(answer: Callable[[BaseHTTPRequestHandler], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing on stderr."""

    return Handler
