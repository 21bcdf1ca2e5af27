"""The options for a watcher."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from streamrag_cli.store.watchers import BEAT_EVERY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """A watcher's intervals in seconds; tests reduce them. Without `every_s`, polling is only a fallback."""

    settle_s: float = 0.3
    """The time without changes after which a batch begins."""
    every_s: float | None = None
    polls: bool = False
    sweep_every_s: float = 900.0
    """The interval between comparisons of all files, in case events were lost."""
    whole_every_s: float = 6 * 3600.0
    """The interval between complete ingests, in case ignore rules outside the folders have changed."""
    tick_s: float = 2.0
    """The interval between checks of the roots and the clocks."""
    beat_every_s: float = BEAT_EVERY_S
    standby_every_s: float = 5.0
    keep_worker_s: float = 120.0
    """The time after its last job until the worker exits, and another one without an embedder takes its place."""
    first_retry_s: float = 1.0
    longest_retry_s: float = 60.0
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    output: int | None = None
    """The descriptor of an output pipe, to detect that its reader closes it while nothing is written."""
    debug: bool = False
