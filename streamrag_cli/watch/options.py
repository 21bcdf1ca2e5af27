"""How a watcher works, and the clocks that it uses."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from streamrag_cli.store.watchers import BEAT_EVERY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """The times of a watcher in seconds; tests lower them. Without `every_s`, it polls only if it has to."""

    settle_s: float = 0.3
    """A batch begins when no file has changed for this long."""
    every_s: float | None = None
    polls: bool = False
    sweep_every_s: float = 900.0
    """How often all files are compared, in case events were lost."""
    whole_every_s: float = 6 * 3600.0
    """How often everything is ingested as a whole, in case rules outside of the folders have changed."""
    tick_s: float = 2.0
    """How often the roots and the clocks are checked."""
    beat_every_s: float = BEAT_EVERY_S
    standby_every_s: float = 5.0
    keep_worker_s: float = 120.0
    """How long the worker stays, with the embedder, after its last job."""
    first_retry_s: float = 1.0
    longest_retry_s: float = 60.0
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    output: int | None = None
    """The descriptor of a pipe whose reader may close it while nothing is written."""
    debug: bool = False
