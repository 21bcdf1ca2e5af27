"""How the stages of an ingest run side by side: each is a generator that starts work ahead of what is asked of it.

Only the last one waits, for all of them at once; the others hand on a `Waiting`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar


class Step(Protocol):
    """One piece of work: what has to be done before its result is there, or None if it is."""

    @property
    def future(self) -> "Future[Any] | None": ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is ready. `steps` are those waited for, the last stage's first; when one is done there may be more."""

    steps: tuple[Step, ...]


Item: TypeAlias = Any  # of a type variable mypy makes `object` where items are a union
Started = TypeVar("Started", bound=Step)


def prefetch(
    items: Iterable[Item | Waiting], start: Callable[[Item], Started], *, weight: Callable[[Item], int], size: int
) -> Iterator[Started | Waiting]:
    """Start each item as soon as there is space for its weight within `size`, and yield them in order when done.

    An item that is heavier is started when nothing is before it. What needs no work is yielded before anything more
    is started.
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
