"""The watcher's end of the connection to its worker process: starts the process, sends jobs and receives events."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import BinaryIO, Final, cast

from streamrag_cli.codec import read_event, read_line, to_line
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import Error, Event, IngestDone
from streamrag_cli.telemetry import child_environment
from streamrag_cli.watch.messages import Job

_READ_BYTES: Final = 1 << 16


class Question(str):
    """A yes-or-no question to the user. The reply is sent with `Worker.answer`."""

    __slots__ = ()


class Worker:
    """One worker process and its current job."""

    def __init__(self, *, debug: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "streamrag_cli.watch.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if debug else subprocess.DEVNULL,
            env={**os.environ, **child_environment()},
            start_new_session=True,  # only the watcher handles Ctrl-C
        )
        self._jobs = cast("BinaryIO", self._process.stdin)
        self._events = cast("BinaryIO", self._process.stdout)
        self._unread = b""
        self.is_busy = False
        self.has_embedder = False
        """Whether a job has loaded the embedder, which takes most of the memory that can be released."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        return self._events.fileno()

    def begin(self, job: Job) -> None:
        """Send a job. If the worker has exited, `receive` reports this."""
        self.is_busy = job.only_loads is None
        self.has_embedder = self.has_embedder or job.only_loads != "libraries"
        with contextlib.suppress(BrokenPipeError):
            self._jobs.write(to_line(job))
            self._jobs.flush()

    def answer(self, *, confirmed: bool) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._jobs.write(b"true\n" if confirmed else b"false\n")
            self._jobs.flush()

    def receive(self) -> Iterator[Event | Question]:
        """Yield the events that have arrived; wait if there are none. After the last event, the worker is not busy.

        If the process has exited during a job, the last event is an `Error` `worker_ended`.
        """
        content = os.read(self._events.fileno(), _READ_BYTES)
        if not content:
            was_busy, self.is_busy = self.is_busy, False
            if was_busy:
                yield _ended(self._process.wait())
            return
        *lines, self._unread = (self._unread + content).split(b"\n")
        for line in lines:
            event = _read(line)
            if isinstance(event, IngestDone | Error):
                self.is_busy = False
            yield event

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self, wait_s: float) -> None:
        """Stop the process. Wait at most `wait_s` seconds while it saves the passages that it has embedded."""
        with contextlib.suppress(OSError):
            if self.is_busy:
                self._process.terminate()
            self._jobs.close()
        with contextlib.suppress(OSError):
            self._events.close()  # it must not wait for a reader
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _read(line: bytes) -> Event | Question:
    return read_event(line) if line.startswith(b'{"event"') else Question(read_line(line)["question"])


def _ended(code: int) -> Error:
    how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
    return Error(
        message=f"the ingest process {how}",
        code="worker_ended",
        hint="streamrag doctor",
        retryable=True,
        exit_code=ExitCode.BUG,
    )
