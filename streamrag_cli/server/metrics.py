"""What `/metrics` tells, in Prometheus's words."""

import os
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from streamrag_cli.events import AskEvent, Done, Error, Sources, Token

_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60)


class Metrics:
    """Counts what passes. Each server has its own; the workers of one server add theirs up when they are asked."""

    content_type: Final = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._questions = Counter("streamrag_questions", "Questions accepted.", registry=self._registry)
        self._errors = Counter("streamrag_errors", "Answers that ended in an error.", ["code"], registry=self._registry)
        self._refused = Counter(
            "streamrag_refused", "Requests refused before anything was looked up.", ["code"], registry=self._registry
        )
        self._left = Counter(
            "streamrag_abandoned", "Answers whose reader went away before the end.", registry=self._registry
        )
        self._retrieval = Histogram(
            "streamrag_retrieval_seconds",
            "From a question accepted to its sources.",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._first_token = Histogram(
            "streamrag_first_token_seconds",
            "From a question accepted to the first piece of its answer.",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._open = Gauge(
            "streamrag_open_streams", "Answers being written.", registry=self._registry, multiprocess_mode="livesum"
        )

    def render(self) -> bytes:
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # as in a worker; prometheus_client then counts in files there
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    async def observed(self, events: AsyncGenerator[AskEvent, None]) -> AsyncGenerator[AskEvent, None]:
        """The same events, noted in passing."""
        self._questions.inc()
        self._open.inc()
        accepted_at = time.perf_counter()
        written = False
        ended = False
        try:
            async with aclosing(events):
                async for event in events:
                    match event:
                        case Sources():
                            self._retrieval.observe(time.perf_counter() - accepted_at)
                        case Token() if not written:
                            written = True
                            self._first_token.observe(time.perf_counter() - accepted_at)
                        case Error(code=code):
                            self._errors.labels(code).inc()
                            ended = True
                        case Done():
                            ended = True
                        case _:
                            pass
                    yield event
        finally:
            self._open.dec()
            if not ended:
                self._left.inc()
