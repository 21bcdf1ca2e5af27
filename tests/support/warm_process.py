"""A process that a fork server starts, with the interface of `subprocess.Popen`."""

import json
import os
import select
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from tests.support.fork_server import Ended, ForkServer

_LIMIT_S = 600.0  # the tests have their own, shorter limits


class WarmProcess(subprocess.Popen[bytes]):
    """A fork of a process that has imported the program, in a session of its own.

    It is a child of the fork server, which reports how it ended. `Popen.__init__` is not called, because it would
    start a process.
    """

    def __init__(self, module: str, spec: Mapping[str, Any], *, stdin: int, stdout: int, stderr: int) -> None:
        """`spec` is passed to `main` of `module`, with the paths of its streams. A stream that is a terminal becomes
        the controlling terminal.
        """
        self.args = spec["arguments"]
        self.returncode = None
        self.encoding = self.errors = self.text_mode = None
        self._input = None
        self._communication_started = False
        self._child_created = True
        self._sigint_wait_secs = 0.25
        self._waitpid_lock = threading.Lock()
        self._server = ForkServer(module, time_limit_s=_LIMIT_S)
        self._thread = ThreadPoolExecutor(1)
        with ExitStack() as theirs:
            paths = {}
            self.stdin, paths["stdin"] = _stream(stdin, "wb", theirs)
            self.stdout, paths["stdout"] = _stream(stdout, "rb", theirs)
            self.stderr, paths["stderr"] = _stream(stderr, "rb", theirs)
            started, paths["started"] = _stream(subprocess.PIPE, "rb", theirs)
            assert started is not None
            self._ended: Future[Ended] = self._thread.submit(self._server.run, json.dumps({**spec, **paths}))
            with started:
                while not select.select([started], [], [], 0.05)[0]:
                    assert not self._ended.done(), self._ended.result()
                self.pid = int(started.readline())  # the process has opened its streams

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        return self._wait(0) if self.returncode is None and self._ended.done() else self.returncode

    def _wait(self, timeout: float | None) -> int:
        try:
            self.returncode = self._ended.result(timeout).status
        except TimeoutError:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout) from None
        return self.returncode

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, value, traceback)
        self._thread.shutdown()
        self._server.__exit__(kind, value, traceback)


def _stream(stream: int, mode: str, theirs: ExitStack) -> tuple[Any, str]:
    """The end of a pipe that this process keeps, or None, and a path by which the other process opens the stream."""
    if stream == subprocess.DEVNULL:
        return None, os.devnull
    if stream != subprocess.PIPE:
        return None, f"/proc/{os.getpid()}/fd/{stream}"
    reading, writing = os.pipe()
    own, other = (writing, reading) if mode == "wb" else (reading, writing)
    theirs.callback(os.close, other)
    return os.fdopen(own, mode), f"/proc/{os.getpid()}/fd/{other}"
