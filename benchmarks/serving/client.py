"""The client: asks many questions concurrently, records when bytes arrive, and parses them after the last answer.

    python -m benchmarks.serving.client

This reads one round per line, as the JSON object `{"port", "streams", "tokens", "pace_ms", "first_number"}`, and prints
a report of each round as one line.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.serving.marks import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The results of one round. Times are in milliseconds; those of a stream begin when its question is sent.

    `wrong` counts answers with any wrong character, `concurrent` is the maximum number of concurrent answers, and
    `retrieval_ms` are the times that streamrag's events report.
    """

    streams: int
    tokens: int
    wall_ms: float
    first_token_ms: list[float]
    retrieval_ms: list[float]
    concurrent: int
    wrong: int


class Stream(asyncio.Protocol):
    """One question and the bytes of its answer."""

    def __init__(self, mark: Mark, port: int) -> None:
        body = json.dumps({"query": mark.question}).encode()
        self._request = (
            b"POST /rag/stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (port, len(body), body)
        )
        self._token = f'"{mark.token(0)}'.encode()
        self.mark = mark
        self.received = bytearray()
        self.asked_at = self.first_token_at = self.ended_at = 0.0
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self) -> None:
        self.asked_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.first_token_at and self._token in self.received:
            self.first_token_at = time.perf_counter()

    def connection_lost(self, _: Exception | None) -> None:
        self.ended_at = time.perf_counter()
        self.ended.set()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the chunked body."""
        body = bytearray()
        rest = bytes(self.received).partition(b"\r\n\r\n")[2]
        while (size := int(rest.partition(b"\r\n")[0] or b"0", 16)) > 0:
            start = rest.index(b"\r\n") + 2
            body += rest[start : start + size]
            rest = rest[start + size + 2 :]
        lines = body.decode().split("\n")
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


async def ask_concurrently(port: int, marks: list[Mark]) -> Report:
    """Open all connections, then ask all questions, and wait for the last answer."""
    loop = asyncio.get_running_loop()
    streams = [Stream(mark, port) for mark in marks]
    for stream in streams:
        await loop.create_connection(lambda stream=stream: stream, "127.0.0.1", port)  # type: ignore[misc]
    started = time.perf_counter()
    for stream in streams:
        stream.ask()
    async with asyncio.timeout(300):
        for stream in streams:
            await stream.ended.wait()
    wall_ms = (max(stream.ended_at for stream in streams) - started) * 1000
    read = [_read(stream.events) for stream in streams]
    return Report(
        streams=len(streams),
        tokens=sum(mark.tokens for mark in marks),
        wall_ms=wall_ms,
        first_token_ms=[(stream.first_token_at - stream.asked_at) * 1000 for stream in streams],
        retrieval_ms=[retrieval_ms for _, retrieval_ms in read if retrieval_ms is not None],
        concurrent=_most_concurrent(streams),
        wrong=sum(answer != stream.mark.answer for stream, (answer, _) in zip(streams, read, strict=True)),
    )


def _read(events: list[dict[str, Any]]) -> tuple[str | None, float | None]:
    """The answer, or None if it is incomplete, and the retrieval time, from the events of streamrag or of the model."""
    if not events:
        return None, None
    if "type" in events[0]:
        done = events[-1] if events[-1]["type"] == "done" else None
        answer = "".join(event["token"] for event in events if event["type"] == "token")
        return (answer, float(done["timings"]["retrieval_ms"])) if done else (None, None)
    choices = [event["choices"][0] for event in events]
    answer = "".join(choice["delta"].get("content", "") for choice in choices)
    return (answer if choices[-1]["finish_reason"] == "stop" else None), None


def _most_concurrent(streams: list[Stream]) -> int:
    """The maximum number of concurrent answers, each counted from its first to its last token."""
    steps = [(stream.first_token_at, 1) for stream in streams] + [(stream.ended_at, -1) for stream in streams]
    most = now = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most


async def main() -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        spec = json.loads(line)
        numbers = range(spec["first_number"], spec["first_number"] + spec["streams"])
        marks = [Mark(number=number, tokens=spec["tokens"], pace_ms=spec["pace_ms"]) for number in numbers]
        print(json.dumps(asdict(await ask_concurrently(spec["port"], marks))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
