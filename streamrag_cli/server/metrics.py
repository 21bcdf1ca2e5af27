"""Metrics of the server, in the Prometheus format."""

import os
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from streamrag_cli.events import AskEvent, Done, Error, Sources, Token

_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60)


class Metrics:
    """The metrics of one server process. With several workers, `render` combines the metrics of all of them."""

    content_type: Final = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        histogram = partial(Histogram, registry=self._registry, buckets=_BUCKETS_S)
        gauge = partial(Gauge, registry=self._registry, multiprocess_mode="livesum")
        since = "Seconds from accepting a question to"
        self._questions = counter("streamrag_questions", "Accepted questions.")
        self._errors = counter("streamrag_errors", "Answers that ended with an error.", ["code"])
        self._refused = counter("streamrag_refused", "Requests refused before any search.", ["code"])
        self._abandoned = counter("streamrag_abandoned", "Answers whose client disconnected before the end.")
        self._retrieval = histogram("streamrag_retrieval_seconds", f"{since} its sources.")
        self._first_token = histogram("streamrag_first_token_seconds", f"{since} the first piece of its answer.")
        self._open = gauge("streamrag_open_streams", "Answers in progress.")

    def render(self) -> bytes:
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # set in a worker, whose values are in files in that directory
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def count_refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    async def counted(self, events: AsyncGenerator[AskEvent, None]) -> AsyncGenerator[AskEvent, None]:
        """Pass on `events` and count them."""
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
                self._abandoned.inc()
