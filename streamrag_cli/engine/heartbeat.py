"""Detects an engine that hangs: an engine must send a hello immediately, and then a heartbeat twice a second."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from streamrag_cli.engine.messages import BEAT_S

if TYPE_CHECKING:
    import asyncio

HELLO_TIMEOUT_S: Final = 1.0
"""How long a client waits for an engine's hello."""
_SILENCE_S: Final = 10 * BEAT_S  # a limit that an engine on a busy machine does not exceed
TICK_S: Final = 0.1
_STOPPED_S: Final = 0.9
"""If a tick takes longer, this process was stopped or got hardly any CPU time."""


class HeartbeatMonitor:
    """Measures how long an engine has sent nothing while this process was running.

    Time during which this process itself was stopped (Ctrl-Z) does not count: messages may be waiting to be read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds and is monotonic."""
        self._clock = clock
        self._limit_s = HELLO_TIMEOUT_S
        self._silent_s = 0.0
        self._checked_at_s = clock()

    def received(self) -> None:
        """Record that a message has arrived. After the hello, the longer limit applies."""
        self._limit_s = _SILENCE_S
        self._silent_s = 0.0
        self._checked_at_s = self._clock()

    def check(self) -> None:
        """Call this every `TICK_S` seconds. Raises TimeoutError if the engine has sent nothing for too long."""
        now_s = self._clock()
        passed_s, self._checked_at_s = now_s - self._checked_at_s, now_s
        was_stopped = passed_s > _STOPPED_S
        self._silent_s += TICK_S if was_stopped else passed_s
        if (
            self._silent_s >= self._limit_s and not was_stopped
        ):  # after a stop, waiting messages must be read before silence counts
            raise TimeoutError


async def watch(reader: "asyncio.StreamReader", heartbeat: HeartbeatMonitor) -> None:
    """Make reads from `reader` fail with TimeoutError if the engine sends nothing for too long."""
    import asyncio

    while True:
        await asyncio.sleep(TICK_S)
        try:
            heartbeat.check()
        except TimeoutError as error:
            reader.set_exception(error)
            return
