"""Compares how long a user waits for a streamed answer and for one that is shown when it is complete.

The same question runs through the normal pipeline in this process, alternately in both modes. An extra first run is
not counted, because it includes imports and opening the collection.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from math import ceil
from time import perf_counter
from typing import Final, Literal, TypeAlias

from streamrag_cli.answer.pipeline import QUOTING_MODEL
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.events import Done, Error, Token
from streamrag_cli.model import Question, Timings
from streamrag_cli.service.interface import Service
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings

Mode = Literal["whole", "streamed"]
MODES: Final[tuple[Mode, ...]] = ("whole", "streamed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The 50th and 95th percentiles in milliseconds. Both are measured values, not interpolated."""

    p50_ms: float
    p95_ms: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> "Spread":
        """Compute the percentiles by nearest rank; for fewer than 20 values the 95th percentile is the maximum.

        >>> Spread.of([5.0, 1.0, 3.0])
        Spread(p50_ms=3.0, p95_ms=5.0)
        """
        ranked = sorted(values_ms)
        p50, p95 = (ranked[ceil(share * len(ranked)) - 1] for share in (0.50, 0.95))
        return cls(p50_ms=p50, p95_ms=p95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The results of a benchmark.

    `whole` is the wait for an answer that is not streamed, and `streamed` is the wait for the first token of a streamed
    answer. `retrieval` and `total` are durations in the streamed mode.
    """

    runs: int
    model: str
    whole: Spread
    streamed: Spread
    retrieval: Spread
    total: Spread

    @property
    def quotes(self) -> bool:
        """Whether the answers were quotes because no model was connected."""
        return self.model == QUOTING_MODEL

    @property
    def saved_percent(self) -> float:
        """The percentage by which streaming reduces the median wait."""
        return 100 * (1 - self.streamed.p50_ms / self.whole.p50_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchProgress:
    """The progress of a benchmark: `answers` out of `total` answers are complete."""

    answers: int
    total: int


BenchEvent: TypeAlias = BenchProgress | Report | Error
"""One `BenchProgress` per answer, then one `Report`; or an `Error` as the last event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measurement:
    """The measurements for one answer. `waited_ms` is the time until there was something to read."""

    waited_ms: float
    model: str
    timings: Timings


async def measure(question: str, settings: Settings, *, runs: int) -> AsyncGenerator[BenchEvent, None]:
    """Ask the question once as a warm-up, then `runs` times in each mode; stop at the first failure."""
    answers: dict[Mode, list[_Measurement]] = {mode: [] for mode in MODES}
    total = 2 * runs + 1
    async with SharedResources() as resources:
        service = LocalService(resources)
        for number in range(total):
            mode = MODES[(number + 1) % 2]
            measured = await _measure_once(mode, question, settings, service)
            if isinstance(measured, Error):
                yield measured
                return
            if number:
                answers[mode].append(measured)
            yield BenchProgress(answers=number + 1, total=total)
    streamed = answers["streamed"]
    yield Report(
        runs=runs,
        model=streamed[-1].model,
        whole=Spread.of([each.waited_ms for each in answers["whole"]]),
        streamed=Spread.of([each.waited_ms for each in streamed]),
        retrieval=Spread.of([each.timings.retrieval_ms or 0.0 for each in streamed]),
        total=Spread.of([each.timings.total_ms or 0.0 for each in streamed]),
    )


async def _measure_once(mode: Mode, question: str, settings: Settings, service: Service) -> _Measurement | Error:
    """Ask once and measure the wait: until the first token if `mode` is "streamed", else until the end."""
    asked_at = perf_counter()
    first_at: float | None = None
    async with aclosing(service.ask(Question(text=question, accepted_at=asked_at), settings)) as events:
        async for event in events:
            match event:
                case Token() if first_at is None:
                    first_at = perf_counter()
                case Error():
                    return event
                case Done(model=model, timings=timings):
                    readable_at = first_at if mode == "streamed" and first_at is not None else perf_counter()
                    waited_ms = (readable_at - asked_at) * 1000
                    return _Measurement(waited_ms=waited_ms, model=model, timings=timings)
                case _:
                    pass
    raise AssertionError("the event stream ended without Done or Error")
