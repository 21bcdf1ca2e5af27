"""The time limit on a silent engine, with a fake clock."""

import pytest

from streamrag_cli.engine.heartbeat import HeartbeatMonitor

_LIMIT_S = 5.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_silence_is_measured_from_the_last_message() -> None:
    clock = Clock()
    heartbeat = HeartbeatMonitor(clock)
    clock.now_s += 0.5
    heartbeat.received()
    for _ in range(9):
        clock.now_s += 0.5
        heartbeat.check()
    clock.now_s += _LIMIT_S - 9 * 0.5 - 0.25
    heartbeat.check()

    clock.now_s += 0.25
    with pytest.raises(TimeoutError):
        heartbeat.check()


@pytest.mark.fault("client-suspended")
def test_time_while_the_client_is_suspended_does_not_count() -> None:
    clock = Clock()
    heartbeat = HeartbeatMonitor(clock)
    heartbeat.received()
    clock.now_s += 60.0
    heartbeat.check()
    clock.now_s += 0.5

    heartbeat.check()
