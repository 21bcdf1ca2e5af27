"""A server on this machine that speaks the OpenAI protocol and fails on demand.

It uses a real socket, so that tests cover partial reads, resets and connections that stay open. It logs every request,
and a test can wait until the client has closed a connection:

    with OpenAIServer(chat=[failure(429, "slow down"), answer("Hello")]) as server:
        ...
        assert server.requests[0].closed_by_client.wait(timeout=10.0)

For manual use, `python -m tests.support.openai_server --answer "Hello there." --delay-ms 50` prints its base URL.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import math
import re
import signal
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeAlias

from tests.support.openai_connection import Connection, LoggedRequest
from tests.support.openai_replies import (
    MODEL,
    Cut,
    Delay,
    Reply,
    Stall,
    Step,
    answer,
    encoded,
    failure,
    vectors,
    whole_body,
)

Script: TypeAlias = Reply | Sequence[Reply] | Callable[[LoggedRequest], Reply]


class OpenAIServer:
    """Serves in a separate thread during the `with` block.

    A script is one reply for every request, a sequence of replies whose last one is repeated, or a function of the
    request. Without a script, `/v1/embeddings` returns bag-of-words vectors.
    """

    def __init__(
        self,
        *,
        chat: Script | None = None,
        embeddings: Script | None = None,
        models: Sequence[str] | Reply | Callable[[LoggedRequest], Reply] = (MODEL,),
        dimension: int = 32,
        port: int = 0,
    ) -> None:
        self._scripts: dict[str, Script] = {
            "/v1/chat/completions": chat if chat is not None else answer("Hello", " there", "."),
            "/v1/embeddings": embeddings if embeddings is not None else self._embed,
            "/v1/models": models if isinstance(models, Reply) or callable(models) else _model_list(models),
        }
        self._dimension = dimension
        self._served: dict[str, int] = {}
        self._arrival = threading.Condition()
        self.requests: list[LoggedRequest] = []
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="openai-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()

    def wait_for_requests(self, count: int, *, timeout_s: float = 60.0) -> list[LoggedRequest]:
        """Wait for the first `count` requests and return them."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: len(self.requests) >= count, timeout_s), self.requests
            return self.requests[:count]

    def log(self, request: LoggedRequest) -> Reply:
        """Record the request and return its reply."""
        with self._arrival:
            self.requests.append(request)
            self._arrival.notify_all()
        return self._reply_to(request)

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._main())

    async def _main(self) -> None:
        connections: set[Connection] = set()
        server = await self._loop.create_server(lambda: Connection(self.log, connections), sock=self._socket)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in tuple(connections):
            connection.abort()
        await asyncio.gather(*(connection.lost.wait() for connection in tuple(connections)))

    def _reply_to(self, request: LoggedRequest) -> Reply:
        path = request.path.partition("?")[0]
        script = self._scripts.get(path)
        if script is None:
            return failure(404, f"no such path: {path}")
        if isinstance(script, Reply):
            return script
        if callable(script):
            return script(request)
        number = self._served.get(path, 0)
        self._served[path] = number + 1
        return script[min(number, len(script) - 1)]

    def _embed(self, request: LoggedRequest) -> Reply:
        body = request.json
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        embeddings = [embedding_of(str(text), dimension=self._dimension) for text in texts]
        as_base64 = body.get("encoding_format") == "base64"
        return vectors(*(_packed(each) if as_base64 else each for each in embeddings))


def embedding_of(text: str, *, dimension: int) -> list[float]:
    """A deterministic unit vector; texts that share words have similar vectors."""
    vector = [0.0] * dimension
    for word in text.lower().split():
        digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
        vector[int.from_bytes(digest[:4], "big") % dimension] += 1.0 if digest[4] % 2 else -1.0
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else [1.0] + [0.0] * (dimension - 1)


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _model_list(models: Sequence[str]) -> Reply:
    data = [{"id": model, "object": "model", "created": 1, "owned_by": "tests"} for model in models]
    return whole_body(encoded({"object": "list", "data": data}), content_type="application/json")


def _script_from(arguments: argparse.Namespace) -> Reply:
    """The reply that the arguments describe: an answer word by word, an error, or an incomplete answer."""
    words = re.findall(r"\s*\S+", arguments.answer)
    if arguments.status != HTTPStatus.OK:
        return failure(arguments.status, "as asked on the command line")
    reply = answer(*words, between=(Delay(arguments.delay_ms / 1000),))
    stop_after = arguments.cut_after if arguments.cut_after is not None else arguments.stall_after
    if stop_after is None:
        return reply
    ending: Step = Cut(reset=False) if arguments.cut_after is not None else Stall(ping_every_s=1.0)
    return replace(reply, steps=(*reply.steps[: 1 + 2 * stop_after], ending))


def main() -> None:
    parser = argparse.ArgumentParser(description="A model server for manual tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer", default="A quick answer [1], made by the **test** server.")
    parser.add_argument("--delay-ms", type=float, default=20.0, help="delay between two tokens")
    parser.add_argument("--model", action="append", help="a model to list; may be repeated")
    parser.add_argument("--status", type=int, default=200, help="answer every question with this HTTP status")
    parser.add_argument("--cut-after", type=int, metavar="N", help="cut the connection after N tokens")
    parser.add_argument("--stall-after", type=int, metavar="N", help="stop sending after N tokens")
    arguments = parser.parse_args()
    models = arguments.model or [MODEL]
    with OpenAIServer(chat=_script_from(arguments), models=models, port=arguments.port) as server:
        print(server.base_url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
