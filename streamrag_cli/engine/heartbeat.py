"""Tells a client whether its engine is alive: it says hello at once, and gives a sign of life twice a second."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from streamrag_cli.engine.messages import BEAT_S

if TYPE_CHECKING:
    import asyncio

HELLO_TIMEOUT_S: Final = 1.0
"""How long an engine may take for its hello."""
_SILENCE_S: Final = 10 * BEAT_S  # a busy machine is not a hung engine
TICK_S: Final = 0.1
_STOPPED_S: Final = 0.9
"""A tick that takes so long means that this process was stopped, or hardly ran."""


class HeartbeatMonitor:
    """How long an engine has said nothing while this process was running.

    Time in which this process itself was stopped (Ctrl-Z) tells nothing of the engine: what it sent may be waiting.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds and never steps back."""
        self._clock = clock
        self._limit_s = HELLO_TIMEOUT_S
        self._silent_s = 0.0
        self._checked_at_s = clock()

    def end(self) -> None:
        """Something has come. An engine that has said hello has more time from then on."""
        self._limit_s = _SILENCE_S
        self._silent_s = 0.0
        self._checked_at_s = self._clock()

    def check(self) -> None:
        """Call every `TICK_S`. Raises TimeoutError."""
        now_s = self._clock()
        passed_s, self._checked_at_s = now_s - self._checked_at_s, now_s
        was_stopped = passed_s > _STOPPED_S
        self._silent_s += TICK_S if was_stopped else passed_s
        if self._silent_s >= self._limit_s and not was_stopped:  # else what came in that time is read first
            raise TimeoutError


async def watch(reader: "asyncio.StreamReader", silence: HeartbeatMonitor) -> None:
    """Have who reads fail with TimeoutError when the engine is silent for too long."""
    import asyncio

    while True:
        await asyncio.sleep(TICK_S)
        try:
            silence.check()
        except TimeoutError as error:
            reader.set_exception(error)
            return
