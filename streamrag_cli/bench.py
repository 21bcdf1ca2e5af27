"""How long one waits for an answer that is streamed, beside one that is shown when it is whole.

The same question goes through the ordinary pipeline, in this process, both ways in turn. One question more comes
first and is not counted: it pays for imports and for opening the collection, which neither way is to blame for.
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

Way = Literal["whole", "streamed"]
WAYS: Final[tuple[Way, ...]] = ("whole", "streamed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Two percentiles, in milliseconds: each is a value that was measured."""

    p50_ms: float
    p95_ms: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> "Spread":
        """The percentiles by nearest rank; of few values the 95th is the greatest.

        >>> Spread.of([5.0, 1.0, 3.0])
        Spread(p50_ms=3.0, p95_ms=5.0)
        """
        ranked = sorted(values_ms)
        p50, p95 = (ranked[ceil(share * len(ranked)) - 1] for share in (0.50, 0.95))
        return cls(p50_ms=p50, p95_ms=p95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was measured. `whole` is how long one waits for an answer that is not streamed, `streamed` how long for
    the first token of one that is; `retrieval` and `total` are those of the streamed answers.
    """

    runs: int
    model: str
    whole: Spread
    streamed: Spread
    retrieval: Spread
    total: Spread

    @property
    def quotes(self) -> bool:
        """Whether no model was connected, and the answers were quotes."""
        return self.model == QUOTING_MODEL

    @property
    def saved_percent(self) -> float:
        """By how much streaming shortens the wait, in the middle of the runs."""
        return 100 * (1 - self.streamed.p50_ms / self.whole.p50_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchProgress:
    """So many answers there are, of so many."""

    answers: int
    total: int


BenchEvent: TypeAlias = BenchProgress | Report | Error
"""An `BenchProgress` for each answer, then a `Report`; or an `Error` as the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """One answer. `waited_ms` is until there was something to read."""

    waited_ms: float
    model: str
    timings: Timings


async def measure(question: str, settings: Settings, *, runs: int) -> AsyncGenerator[BenchEvent, None]:
    """Ask `2 * runs + 1` times; the first failure ends it."""
    answers: dict[Way, list[_Measured]] = {way: [] for way in WAYS}
    total = 2 * runs + 1
    async with SharedResources() as library:
        service = LocalService(library)
        for number in range(total):
            way = WAYS[(number + 1) % 2]
            measured = await _waited(way, question, settings, service)
            if isinstance(measured, Error):
                yield measured
                return
            if number:
                answers[way].append(measured)
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


async def _waited(way: Way, question: str, settings: Settings, service: Service) -> _Measured | Error:
    """`way` is how the answer is shown, and so when there is something to read."""
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
                    readable_at = first_at if way == "streamed" and first_at is not None else perf_counter()
                    waited_ms = (readable_at - asked_at) * 1000
                    return _Measured(waited_ms=waited_ms, model=model, timings=timings)
                case _:
                    pass
    raise AssertionError("a stream of events ended without Done or Error")
