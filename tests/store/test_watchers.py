"""The records of watchers, and the lease that only one process has."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from streamrag_cli.store.registry import open_store
from streamrag_cli.store.watchers import WatcherState, WatchLease, host_name, moment_of, watcher_from_text
from tests.support.stores import PostgresStore, Store, document

NOW_S = 1_800_000_000.0


def state(**values: object) -> WatcherState:
    fields: dict[str, object] = {
        "id": "w1",
        "host": host_name(),
        "pid": os.getpid(),
        "roots": ("/docs",),
        "method": "inotify",
        "started_at": moment_of(NOW_S),
        "beat_at": moment_of(NOW_S),
    }
    return WatcherState(**fields | values)  # type: ignore[arg-type]


def test_watcher_records_are_replaced_and_removed_by_id(store: Store) -> None:
    opened = open_store(store.place)
    opened.record_watcher("default", state())
    assert opened.watchers("default") == []  # there is no collection

    store.put(document("a.md", "One."))
    for each in (state(), state(id="w2"), state(problem="the disk is full")):
        opened.record_watcher("default", each)
    assert opened.watchers("default") == [state(problem="the disk is full"), state(id="w2")]

    opened.forget_watcher("default", "w1")
    assert opened.watchers("default") == [state(id="w2")]

    store.remove()
    store.put(document("a.md", "One."))
    assert opened.watchers("default") == []


def test_a_watcher_record_can_be_written_during_an_ingest(store: Store) -> None:
    store.put(document("a.md", "One."))
    with store.writing():
        open_store(store.place).record_watcher("default", state())

    assert open_store(store.place).watchers("default") == [state()]


@pytest.fixture
def leases() -> Iterator[list[WatchLease]]:
    """Leases that are closed at the end."""
    leases: list[WatchLease] = []
    yield leases
    for lease in leases:
        lease.close()


@pytest.mark.fault("watch-two")
def test_a_root_has_one_watcher_among_all_machines(store: Store, leases: list[WatchLease]) -> None:
    if not isinstance(store, PostgresStore):
        pytest.skip("the locks of a local store belong to a process; tests/watch has two")
    opened = open_store(store.place)
    both, first, other = (opened.watch_lease("default", roots) for roots in (["/a", "/b"], ["/a"], ["/c"]))
    leases += [both, first, other]

    assert [first.acquire(), other.acquire(), both.acquire(), first.acquire()] == [True, True, False, True]

    first.close()
    assert [both.acquire(), first.acquire()] == [True, False]


def test_a_lease_does_not_exclude_ingests(store: Store) -> None:
    with closing(open_store(store.place).watch_lease("default", ["/docs"])) as lease:
        assert lease.acquire()
        store.put(document("a.md", "One."))


@pytest.mark.fault("watch-stale")
def test_a_watcher_that_stopped_working_is_reported_with_the_reason() -> None:
    clauses = [
        each.silence(NOW_S + 400)
        for each in (
            state(beat_at=moment_of(NOW_S + 390)),
            state(beat_at=moment_of(NOW_S + 390), pid=2**22 + 1),
            state(beat_at=moment_of(NOW_S + 390), pid=2**22 + 1, host="another machine"),
            state(),
            state(beat_at=moment_of(NOW_S + 390), last_sweep_at=moment_of(NOW_S), sweep_every_s=100.0),
        )
    ]

    assert [clause.rpartition(" since ")[0] or clause for clause in clauses] == [
        "",
        "is no longer running",
        "",
        "has not reported",
        "has not compared the files",
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1}', '{"roots": 3}', None, b"{}"])
def test_a_malformed_watcher_record_is_ignored(text: object) -> None:
    assert watcher_from_text(text) is None


def test_a_watcher_that_ended_a_week_ago_is_forgotten() -> None:
    old = replace(state(), beat_at=moment_of(NOW_S - 8 * 86_400))

    assert [old.is_forgotten(NOW_S), state().is_forgotten(NOW_S)] == [True, False]
