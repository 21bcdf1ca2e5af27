"""Measures `ingest --watch`: python -m benchmarks.watch [latency|rested|checkout|idle]...

latency   the time from a save until a search finds the new text, and the memory of the watcher
rested    the same, each time after more than two minutes without changes
checkout  a `git checkout` that changes 5,000 files: the number of batches, and the times of questions during it
idle      processor time and memory with 100,000 files that do not change; they are empty, to save time
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from streamrag_cli.errors import NothingRelevantError
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings

SAVES = 10
RESTED_SAVES = 3
REST_S = 130.0
CHECKOUT_FILES = 5_000
IDLE_FILES = 100_000
IDLE_S = 60.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Events:
    """The events of a watcher, read in a thread."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.pid = process.pid
        self._events: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self._stream = process.stdout
        self._read_to = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._stream or ():
            with self._arrived:
                self._events.append(json.loads(line))
                self._arrived.notify()

    def until(self, kind: str) -> dict[str, Any]:
        """Wait for the next event of this type, and return it."""
        with self._arrived:
            while True:
                while self._read_to < len(self._events):
                    self._read_to += 1
                    if (event := self._events[self._read_to - 1])["type"] == kind:
                        return event
                if not self._arrived.wait(1800):
                    raise TimeoutError(kind)

    def count(self, kind: str) -> int:
        return sum(event["type"] == kind for event in self._events)


@contextmanager
def watcher(folder: Path, store: Path) -> Iterator[Events]:
    command = [
        sys.executable,
        "-m",
        "streamrag_cli",
        "ingest",
        str(folder),
        "--store",
        str(store),
        "--watch",
        "--jsonl",
    ]
    with subprocess.Popen([*command, "--yes"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield Events(process)
        finally:
            process.terminate()
            process.wait()


def latency(root: Path, *, saves: int = SAVES, rest_s: float = 0.0) -> None:
    (root / "docs").mkdir()
    (root / "docs" / "page.md").write_text("The first text of the page.\n", encoding="utf-8")
    with watcher(root / "docs", root / "store") as events:
        events.until("watching")
        times = []
        with closing(Retriever.open(Settings(store=root / "store"))) as retriever:
            for number in range(saves):
                time.sleep(rest_s)
                fact = f"The password of cabinet {number} is zebra{number * 7919}."
                (root / "docs" / "page.md").write_text(f"{fact}\n", encoding="utf-8")
                saved_at = time.perf_counter()
                while not finds(retriever, fact):
                    time.sleep(0.01)
                times.append(time.perf_counter() - saved_at)
                events.until("batch")
        print(f"save to answer, {saves} saves, each after {rest_s:.0f} s:", end=" ")
        print(f"median {statistics.median(times):.2f} s, max {max(times):.2f} s")
        print(f"memory of the watcher: {rss_mb(events.pid):.0f} MB")


def rested(root: Path) -> None:
    latency(root, saves=RESTED_SAVES, rest_s=REST_S)


def checkout(root: Path) -> None:
    docs = root / "docs"
    docs.mkdir()
    git(docs, "init", "-q", "-b", "one")
    for branch in ("one", "two"):
        if branch == "two":
            git(docs, "checkout", "-q", "-b", "two")
        for number in range(CHECKOUT_FILES):
            page = docs / f"part-{number % 50}" / f"{number}.md"
            page.parent.mkdir(exist_ok=True)
            page.write_text(f"Page {number} of branch {branch}.\n", encoding="utf-8")
        git(docs, "add", ".")
        git(docs, "-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "-q", "-m", branch)
    with watcher(docs, root / "store") as events:
        events.until("watching")
        before = events.count("batch")
        times: list[float] = []
        with closing(Retriever.open(Settings(store=root / "store"))) as retriever:
            began = time.perf_counter()
            git(docs, "checkout", "-q", "one")
            in_git_s = time.perf_counter() - began
            while events.count("batch") == before:
                asked_at = time.perf_counter()
                finds(retriever, "What is page 77 of the branch?")
                times.append(time.perf_counter() - asked_at)
                time.sleep(0.05)
        took_s = time.perf_counter() - began
        time.sleep(3)
        batches = events.count("batch") - before
        changed = events.until("batch")["counts"]["changed"] or events.until("batch")["counts"]["changed"]
        print(f"checkout of {changed:,} files: git {in_git_s:.1f} s, {batches} batch after {took_s:.1f} s")
        print(
            f"{len(times)} questions during it, none failed: median {statistics.median(times) * 1000:.0f} ms,", end=" "
        )
        print(f"max {max(times) * 1000:.0f} ms")


def idle(root: Path) -> None:
    docs = root / "docs"
    for number in range(IDLE_FILES):
        page = docs / f"part-{number // 100}" / f"{number}.md"
        if number % 100 == 0:
            page.parent.mkdir(parents=True)
        page.touch()
    with watcher(docs, root / "store") as events:
        events.until("watching")
        time.sleep(5)
        before, began = processor_s(events.pid), time.perf_counter()
        time.sleep(IDLE_S)
        used_s, took_s = processor_s(events.pid) - before, time.perf_counter() - began
        print(f"idle with {IDLE_FILES:,} files: {used_s / took_s:.3%} of a core, {rss_mb(events.pid):.0f} MB")
    from streamrag_cli.watch.files import WatchedFiles

    files = WatchedFiles([docs], named=[docs], own=[], exclude=(), environment=None, polls=False)
    files.register()
    began = time.process_time()
    files.has_changed()
    print(f"a sweep of {IDLE_FILES:,} files: {time.process_time() - began:.2f} s of processor time")
    files.close()


def finds(retriever: Retriever, fact: str) -> bool:
    try:
        hits = retriever.retrieve(fact, limit=3, min_score=0.0).hits
    except NothingRelevantError:
        return False
    return any(fact in hit.chunk.text for hit in hits)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def main() -> None:
    parts = {"latency": latency, "rested": rested, "checkout": checkout, "idle": idle}
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory(prefix="watch-") as directory:
            parts[name](Path(directory))


if __name__ == "__main__":
    main()
