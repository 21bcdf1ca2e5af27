"""A model server that records when a question arrives and when it writes the first token of its answer.

It is blocking and minimal, so that its own cost does not matter. Times are `time.monotonic()`, shared by all processes.
"""

import hashlib
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

DIMENSION: Final = 384
FIRST_TOKEN: Final = "Firstly"
_ANSWER: Final = (FIRST_TOKEN, " a", " word", " [1]", ".")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The times at which the whole question had arrived and at which the first token of its answer was written."""

    arrived_at_s: float
    first_token_at_s: float


class RecordingServer:
    """Serves in threads during the `with` block, and waits `think_s` before the first token of an answer."""

    def __init__(self, *, think_s: float) -> None:
        self.think_s = think_s
        self.received: list[Received] = []
        owner = self

        class Handler(_Handler):
            server_owner = owner

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_owner: RecordingServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Do not log requests."""

    def do_GET(self) -> None:
        self._send_json({"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "here"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        arrived_at_s = time.monotonic()
        request = json.loads(body)
        if self.path.endswith("/embeddings"):
            texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
            data = [{"object": "embedding", "index": n, "embedding": _vector(text)} for n, text in enumerate(texts)]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            self._send_json({"object": "list", "model": "m", "data": data, "usage": usage})
            return
        self._answer(arrived_at_s)

    def _answer(self, arrived_at_s: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        time.sleep(self.server_owner.think_s)
        first_token_at_s = time.monotonic()
        self.server_owner.received.append(Received(arrived_at_s=arrived_at_s, first_token_at_s=first_token_at_s))
        for token in _ANSWER:
            self._send_event(json.dumps(_chunk({"role": "assistant", "content": token}, None)))
        self._send_event(json.dumps(_chunk({}, "stop")))
        self._send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _send_event(self, data: str) -> None:
        line = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))

    def _send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _chunk(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}


def _vector(text: str) -> Sequence[float]:
    """A bag-of-words vector: texts that share words are close to each other."""
    vector = [0.0] * DIMENSION
    for word in text.lower().split():
        vector[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) % DIMENSION] += 1.0
    length = sum(value * value for value in vector) ** 0.5 or 1.0
    return [value / length for value in vector]
