"""When something is due in a watcher."""

from dataclasses import dataclass

import pytest

from streamrag_cli.watch.options import WatchOptions
from streamrag_cli.watch.schedule import Schedule


@dataclass
class Clocks:
    """Two clocks that only the test moves."""

    now: float = 1000.0
    wall_ahead: float = 1_700_000_000.0

    def options(self, every_s: float | None = None) -> WatchOptions:
        return WatchOptions(monotonic=lambda: self.now, wall=lambda: self.now + self.wall_ahead, every_s=every_s)


@pytest.mark.fault("watch-suspended")
def test_a_suspended_machine_is_noticed_once() -> None:
    clocks = Clocks()
    schedule = Schedule(clocks.options(), is_on_network=False)
    clocks.now += 2
    assert not schedule.clock_has_jumped()

    clocks.wall_ahead += 3600  # the monotonic clock does not advance while the machine is suspended

    assert [schedule.clock_has_jumped(), schedule.clock_has_jumped()] == [True, False]


def test_sweeps_are_due_every_fifteen_minutes() -> None:
    clocks = Clocks()
    schedule = Schedule(clocks.options(), is_on_network=False)

    assert [schedule.sweep_is_due(clocks.now + minutes * 60) for minutes in (14, 15, 16, 30)] == [
        False,
        True,
        False,
        True,
    ]


def test_polling_takes_at_most_one_percent_of_the_time_by_default() -> None:
    clocks = Clocks()
    schedule = Schedule(clocks.options(), is_on_network=False)
    set_by_user = Schedule(clocks.options(every_s=5), is_on_network=False)
    for each in (schedule, set_by_user):
        each.polled(clocks.now, 0.4, is_settling=False)

    due = [
        (schedule.poll_is_due(clocks.now + after, polls=True), set_by_user.poll_is_due(clocks.now + after, polls=False))
        for after in (4.9, 5.0, 39.0, 40.0)
    ]

    assert due == [(False, False), (False, True), (False, True), (True, True)]


def test_network_drives_are_polled_in_addition_to_events() -> None:
    clocks = Clocks()
    local = Schedule(clocks.options(), is_on_network=False)
    network = Schedule(clocks.options(), is_on_network=True)

    assert [each.poll_is_due(clocks.now + 31, polls=False) for each in (local, network)] == [False, True]


def test_failures_are_retried_at_growing_intervals_of_at_most_a_minute() -> None:
    clocks = Clocks()
    schedule = Schedule(clocks.options(), is_on_network=False)
    intervals = []
    for failures in (1, 2, 3, 10):
        schedule.retry_later(clocks.now, failures)
        intervals.append(schedule.retry_at - clocks.now)

    assert intervals == [1.0, 2.0, 4.0, 60.0]
