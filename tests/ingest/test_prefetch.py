"""Prefetching starts a bounded amount of work ahead and yields it in order."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from streamrag_cli.ingest.prefetch import Waiting, prefetch


@dataclass(eq=False)
class Work:
    """An item that is done from the start or when the test calls `finish`."""

    name: str
    weight: int = 1
    future: "Future[None] | None" = field(default_factory=Future)

    def finish(self) -> None:
        assert self.future is not None
        self.future.set_result(None)


def shown(step: Work | Waiting) -> str:
    if isinstance(step, Waiting):
        return f"waiting for {' '.join(each.name for each in step.steps if isinstance(each, Work))}"
    return step.name


class Stage:
    """A stage over `items` that records the items it started."""

    def __init__(self, *items: Work | Waiting, size: int) -> None:
        self.started = ""
        self._steps = prefetch(iter(items), self._start, weight=lambda item: item.weight, size=size)

    def _start(self, item: Work) -> Work:
        self.started += item.name
        return item

    def next(self) -> str:
        return shown(next(self._steps))

    def rest(self) -> list[str]:
        return list(map(shown, self._steps))


def test_items_in_progress_fit_the_size_limit_and_stay_in_order() -> None:
    a, b, c = works = [Work("a"), Work("b"), Work("c")]
    stage = Stage(*works, size=2)

    assert (stage.next(), stage.started) == ("waiting for a", "ab")
    b.finish()
    assert (stage.next(), stage.started) == ("waiting for a", "ab")
    a.finish()
    assert (stage.next(), stage.next(), stage.started) == ("a", "b", "abc")
    c.finish()
    assert stage.rest() == ["c"]


def test_an_item_over_the_size_limit_is_the_only_one_in_progress() -> None:
    a, big, c = works = [Work("a"), Work("B", weight=9), Work("c")]
    stage = Stage(*works, size=3)

    assert (stage.next(), stage.started) == ("waiting for a", "a")
    a.finish()
    assert (stage.next(), stage.next(), stage.started) == ("a", "waiting for B", "aB")
    big.finish()
    c.finish()
    assert stage.rest() == ["B", "c"]


def test_finished_items_are_yielded_before_others_are_started() -> None:
    stage = Stage(Work("a", future=None), Work("b"), size=5)

    assert (stage.next(), stage.started) == ("a", "a")
    assert (stage.next(), stage.started) == ("waiting for b", "ab")


def test_a_stage_waits_for_its_own_work_and_the_previous_stage_concurrently() -> None:
    a, upstream = Work("a"), Work("upstream")

    def items() -> Iterator[Work | Waiting]:
        yield a
        while not (upstream.future and upstream.future.done()):
            yield Waiting((upstream,))
        yield Work("b", future=None)

    stage = Stage(size=5)
    steps = prefetch(items(), stage._start, weight=lambda item: item.weight, size=5)

    assert shown(next(steps)) == "waiting for a upstream"
    a.finish()
    assert (shown(next(steps)), shown(next(steps))) == ("a", "waiting for upstream")
    upstream.finish()
    assert list(map(shown, steps)) == ["b"]
