"""The worker of a watcher that has been idle: a new process that has imported its libraries but no embedder."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue

from streamrag_cli.events import BatchDone, IngestEvent, Watching
from streamrag_cli.ingest.roots import IngestRequest
from streamrag_cli.settings import read_settings
from streamrag_cli.watch.options import WatchOptions
from streamrag_cli.watch.watcher import Watcher
from tests.support.http_client import wait_until

LIMIT_S = 60.0


@contextmanager
def events_of(watcher: Watcher, read_end: int) -> Iterator["SimpleQueue[IngestEvent]"]:
    """The events of a watcher that runs in a thread until the reader of its output closes `read_end`."""
    events: SimpleQueue[IngestEvent] = SimpleQueue()

    def run() -> None:
        with suppress(BrokenPipeError):
            for event in watcher.run():
                events.put(event)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield events
    finally:
        os.close(read_end)
        thread.join(LIMIT_S)


def libraries_of_workers() -> list[set[str]]:
    """For each worker of this process, which of these libraries it has loaded."""
    loaded = []
    for child in Path("/proc/self/task").glob("*/children"):
        for pid in child.read_text().split():
            with suppress(OSError):
                if b"streamrag_cli.watch.worker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    continue
                maps = Path(f"/proc/{pid}/maps").read_text()
                loaded.append({name for name in ("chromadb_rust_bindings", "onnxruntime") if name in maps})
    return loaded


def test_an_idle_worker_keeps_its_libraries_and_releases_the_embedder(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "rent.md").write_text("The rent is 700 euros a month.\n", encoding="utf-8")
    environment = {"HOME": str(tmp_path), "STREAMRAG_STORE": str(tmp_path / "store"), "PATH": os.environ["PATH"]}
    read_end, output = os.pipe()
    options = WatchOptions(keep_worker_s=0.5, output=output)
    watcher = Watcher(
        IngestRequest(paths=(folder,), working_directory=tmp_path, environment=environment),
        read_settings({}, environment),
        options,
    )

    with events_of(watcher, read_end) as events:
        while not isinstance(events.get(timeout=LIMIT_S), Watching):
            pass
        assert wait_until(lambda: libraries_of_workers() == [{"chromadb_rust_bindings"}], within_s=LIMIT_S)

        (folder / "deposit.md").write_text("The deposit is two months' rent.\n", encoding="utf-8")
        while not isinstance(event := events.get(timeout=LIMIT_S), BatchDone):
            pass
        assert event.counts["added"] == 1

    os.close(output)
    assert libraries_of_workers() == []
