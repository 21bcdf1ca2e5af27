"""A running `streamrag ingest --watch --jsonl`, whose events are read as they arrive."""

import json
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.support.command_line import CommandLine

LIMIT_S: Final = 60.0


class RunningWatcher:
    """A running watcher. `until` reads its events and keeps them in `events`."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self._arrived: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._arrived.put(json.loads(line))
        self._arrived.put(None)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join(LIMIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def until(self, kind: str) -> list[dict[str, Any]]:
        """Read events up to the next one of this type, and return them without progress events."""
        events: list[dict[str, Any]] = []
        deadline = time.monotonic() + LIMIT_S
        while not events or events[-1]["type"] != kind:
            event = self._arrived.get(timeout=max(0.1, deadline - time.monotonic()))
            assert event is not None, f"the watcher ended before {kind}: {self.events}"
            self.events.append(event)
            if event["type"] != "progress":
                events.append(event)
        return events

    def batch(self) -> dict[str, str]:
        """The actions for the documents in the next batch, by name."""
        return {event["source"]: event["action"] for event in self.until("batch") if event["type"] == "document"}

    def notice(self, code: str) -> dict[str, Any]:
        """The next notice with this code."""
        while (notice := self.until("notice")[-1])["code"] != code:
            pass
        return notice

    def is_silent(self, seconds: float) -> bool:
        """Whether no event arrives within this time."""
        try:
            event = self._arrived.get(timeout=seconds)
        except queue.Empty:
            return True
        raise AssertionError(event)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal, read the last events, and return the exit code."""
        self.process.send_signal(number)
        while (event := self._arrived.get(timeout=LIMIT_S)) is not None:
            self.events.append(event)
        return self.process.wait(LIMIT_S)


@contextmanager
def watching(cli: CommandLine, *arguments: str) -> Iterator[RunningWatcher]:
    """A watcher that is killed at the end of the block, if it is still running."""
    process = subprocess.Popen(
        (*cli.program, "ingest", "--watch", "--jsonl", *arguments),
        cwd=cli.directory,
        env=cli.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    watcher = RunningWatcher(process)
    try:
        yield watcher
    finally:
        watcher.close()
