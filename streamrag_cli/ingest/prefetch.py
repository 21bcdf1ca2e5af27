"""Runs the stages of an ingest concurrently. Each stage is a generator that starts work before results are requested.

A stage that has no result yet yields a `Waiting` to the next stage. Only the last stage waits, for all stages together.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar


class Step(Protocol):
    """One piece of work. `future` is None if its result is already available."""

    @property
    def future(self) -> "Future[Any] | None": ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """Yielded if no result is ready. `steps` are the pending steps, beginning with the step of the last stage.

    If `is_idle` is False, the stage has other work to do, so that the caller should not wait for the steps.
    """

    steps: tuple[Step, ...]
    is_idle: bool = True


Item: TypeAlias = Any  # a type variable would become `object` in mypy if items are a union
Started = TypeVar("Started", bound=Step)


def prefetch(
    items: Iterable[Item | Waiting], start: Callable[[Item], Started], *, weight: Callable[[Item], int], size: int
) -> Iterator[Started | Waiting]:
    """Start items as long as their total weight is at most `size`. Yield them in order when they are done.

    An item that is heavier than `size` is started when no other item is pending. An item whose result is already
    available is yielded before any further item is started.
    """
    source = iter(items)
    following = next(source, None)
    ahead: deque[tuple[Started, int]] = deque()
    weight_ahead = 0
    while ahead or following is not None:
        while following is not None and not isinstance(following, Waiting):
            own_weight = weight(following)
            if ahead and (ahead[0][0].future is None or weight_ahead + own_weight > size):
                break
            ahead.append((start(following), own_weight))
            weight_ahead += own_weight
            following = next(source, None)
        if ahead and ((future := ahead[0][0].future) is None or future.done()):
            step, own_weight = ahead.popleft()
            weight_ahead -= own_weight
            yield step
        else:
            behind = following.steps if isinstance(following, Waiting) else ()
            yield Waiting((*(step for step, _ in list(ahead)[:1]), *behind))
        if isinstance(following, Waiting):
            following = next(source, None)
