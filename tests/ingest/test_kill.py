"""After `kill -9` before any write of an ingest, the store opens and the next ingest gives the same result."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tests.support.fork_server import Ended, ForkServer

CONCURRENT = 4
UNCHANGED = "# One\n\nwhat keeps stays as it is"


@pytest.fixture(scope="module")
def servers() -> Iterator[SimpleQueue[ForkServer]]:
    """One process per concurrent step, because steps mostly wait for the disk."""
    with ExitStack() as stack:
        queue: SimpleQueue[ForkServer] = SimpleQueue()
        for _ in range(CONCURRENT):
            queue.put(stack.enter_context(ForkServer("tests.support.killed_ingest")))
        yield queue


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A store with the documents from the first ingest."""
    put(tmp_path / "docs/kept.md", UNCHANGED)
    put(tmp_path / "docs/changed.md", "# Two\n\nthis text will change\n\n# Three\n\nthis will stay")
    put(tmp_path / "docs/deleted.md", "# Four\n\nthis will be gone")
    return tmp_path / "docs"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(0, 1_700_000_000_000_000_000 + len(text)))


def change(docs: Path) -> None:
    put(docs / "changed.md", "# Two\n\nthis text has been replaced\n\n# Three\n\nthis will stay")
    put(docs / "added.md", "# Five\n\nthis is new")
    (docs / "deleted.md").unlink()


def run(servers: SimpleQueue[ForkServer], *words: str) -> Ended:
    server = servers.get()
    try:
        return server.run(*words)
    finally:
        servers.put(server)


def resumed(servers: SimpleQueue[ForkServer], command: str, docs: Path, store: Path, *, kill_at: int) -> dict[str, Any]:
    """The answer after a kill before that write, and the contents of the store after the next ingest."""
    killed = run(servers, command, str(docs), str(store), str(kill_at))
    assert killed.status == -signal.SIGKILL
    ended = run(servers, "resume", str(docs), str(store))
    assert ended.status == 0, f"killed at {kill_at}"
    shutil.rmtree(store)
    contents: dict[str, Any] = json.loads(ended.stdout)
    return contents


@pytest.mark.fault("ingest-killed")
@pytest.mark.parametrize("command", ["ingest", "rebuild"])
def test_a_killed_update_is_completed_by_the_next_ingest(
    servers: SimpleQueue[ForkServer], docs: Path, tmp_path: Path, command: str
) -> None:
    before, undisturbed = tmp_path / "before", tmp_path / "undisturbed"
    assert run(servers, "ingest", str(docs), str(before)).status == 0
    change(docs)
    shutil.copytree(before, undisturbed)
    steps = json.loads(run(servers, command, str(docs), str(undisturbed)).stdout)
    expected = json.loads(run(servers, "resume", str(docs), str(undisturbed)).stdout)

    def outcome(step: int) -> dict[str, Any]:
        store = shutil.copytree(before, tmp_path / str(step))
        return resumed(servers, command, docs, store, kill_at=step)

    with ThreadPoolExecutor(CONCURRENT) as pool:
        outcomes = list(pool.map(outcome, steps["different"]))

    assert (steps["writes"] > 40, len(outcomes) > 10) == (True, True)
    assert expected["answered"] == UNCHANGED
    assert [path for path, *_ in expected["content"]["documents"]] == [str(path) for path in sorted(docs.iterdir())]
    assert expected["content"]["in doubt"] == []
    assert outcomes == [expected] * len(outcomes)


@pytest.mark.fault("ingest-killed")
def test_a_killed_first_ingest_is_completed_by_the_next(
    servers: SimpleQueue[ForkServer], docs: Path, tmp_path: Path
) -> None:
    undisturbed = tmp_path / "undisturbed"
    steps = json.loads(run(servers, "ingest", str(docs), str(undisturbed)).stdout)
    expected = json.loads(run(servers, "resume", str(docs), str(undisturbed)).stdout)

    def outcome(step: int) -> dict[str, Any]:
        return resumed(servers, "ingest", docs, tmp_path / str(step), kill_at=step)

    with ThreadPoolExecutor(CONCURRENT) as pool:
        outcomes = list(pool.map(outcome, steps["different"]))

    assert (steps["writes"] > 40, len(outcomes) > 20) == (True, True)
    assert [each["content"] for each in outcomes] == [expected["content"]] * len(outcomes)
    # Documents are written in the order of their names, and `kept.md` is the last.
    answers = list(dict.fromkeys(each["answered"] for each in outcomes))
    assert (answers[:2], answers[-1]) == (["store_missing", "store_empty"], UNCHANGED)
    assert not {"store_damaged", "store_busy", "store_not_writable"} & set(answers)
